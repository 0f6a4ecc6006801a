"""The agent's configuration: where the bundle is (a file on this machine) and what to collect (pulled from the workspace)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self


class ConfigurationInvalid(Exception):
    """The agent's own file, or what the workspace sent, is not a configuration; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How this machine reaches the bundle. The key signs the request for a short-lived token and never leaves otherwise."""

    endpoint: str
    workspace_id: str
    workspace_key: str
    rule: str
    spool_dir: Path
    state_dir: Path
    ca_file: str | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """ConfigurationInvalid says which key is missing."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                endpoint=data["endpoint"].rstrip("/"),
                workspace_id=data["workspaceId"],
                workspace_key=data["workspaceKey"],
                rule=data["dataCollectionRule"],
                spool_dir=Path(data["spoolDir"]),
                state_dir=Path(data["stateDir"]),
                ca_file=data.get("caFile"),
            )
        except OSError as unreadable:
            raise ConfigurationInvalid(f"{path} cannot be read: {unreadable}") from None
        except (ValueError, TypeError, AttributeError) as broken:
            raise ConfigurationInvalid(f"{path} is not a JSON object of settings: {broken}") from None
        except KeyError as missing:
            raise ConfigurationInvalid(f"{path} does not say {missing}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomLog:
    """A file to follow. `form` is text (a record a line, in RawData) or json (an object a line). `path` may have wildcards."""

    table: str
    path: str
    form: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What to collect. Intervals in seconds. `version` names this state of the workspace's data sources."""

    version: str = "default"
    heartbeat_interval: float = 60
    perf_interval: float = 10
    perf_objects: frozenset[str] = frozenset({"Processor", "Memory", "Logical Disk", "Network", "System"})
    journal: bool = True
    syslog_port: int = 0  # 0: no listener
    syslog_minimum: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # facility -> least severe level taken
    logs: Sequence[CustomLog] = ()
    cpu_budget: float = 5.0  # percent of one core, averaged over a minute
    memory_budget_mb: float = 150
    spool_limit_mb: float = 256

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """The service's answer; what it does not say keeps its default. ConfigurationInvalid."""
        known: Final = {
            "version": str, "heartbeatInterval": float, "perfInterval": float, "journal": bool, "syslogPort": int,
            "cpuBudget": float, "memoryBudgetMb": float, "spoolLimitMb": float,
        }  # fmt: skip
        names = {
            "version": "version", "heartbeatInterval": "heartbeat_interval", "perfInterval": "perf_interval",
            "journal": "journal", "syslogPort": "syslog_port", "cpuBudget": "cpu_budget",
            "memoryBudgetMb": "memory_budget_mb", "spoolLimitMb": "spool_limit_mb",
        }  # fmt: skip
        try:
            values: dict[str, Any] = {
                names[key]: kind(data[key]) for key, kind in known.items() if key in data
            }
            if "perfObjects" in data:
                values["perf_objects"] = frozenset(map(str, data["perfObjects"]))
            if "syslogMinimum" in data:
                values["syslog_minimum"] = {str(k): str(v) for k, v in data["syslogMinimum"].items()}
            if "logs" in data:
                values["logs"] = tuple(
                    CustomLog(
                        table=str(log["table"]), path=str(log["path"]), form=str(log.get("form", "text"))
                    )
                    for log in data["logs"]
                )
        except (KeyError, TypeError, ValueError, AttributeError) as broken:
            raise ConfigurationInvalid(
                f"the workspace sent a configuration that is not one: {broken!r}"
            ) from None
        return cls(**values)
