"""Which bundle a command talks to: options, then the environment, then the ready file that `oms up` leaves."""

import json
import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oms_cli.errors import CommandFailed, Exit

READY: Final = Path(".oms") / "ready.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """An address and the means to speak to it."""

    url: str
    token: str
    workspace: str
    ca_file: str | None
    ready: dict[str, Any]

    def of(self, name: str) -> str:
        """A value that only the ready file has. CommandFailed where there is none."""
        value = self.ready.get(name)
        if not isinstance(value, str):
            raise CommandFailed(
                f"this needs {name}: run it where `oms up` runs, or name the ready file with OMS_READY",
                Exit.USAGE,
            )
        return value


def add_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    group.add_argument("--url", help="address of the bundle (OMS_URL)")
    group.add_argument("--token", help="bearer token (OMS_TOKEN)")
    group.add_argument("--workspace", "-w", help="workspace id (OMS_WORKSPACE)")
    group.add_argument("--ca-file", help="certificate authority of the bundle (OMS_CA_FILE)")


def find_ready() -> Path | None:
    """The ready file named by OMS_READY, else `.oms/ready.json` here or in a folder above."""
    if named := os.environ.get("OMS_READY"):
        return Path(named)
    here = Path.cwd()
    return next((folder / READY for folder in (here, *here.parents) if (folder / READY).is_file()), None)


def resolve(options: Namespace) -> Context:
    """CommandFailed (USAGE) where nothing says which bundle is meant."""
    ready: dict[str, Any] = {}
    path = find_ready()
    if path is not None:
        try:
            ready = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as unreadable:
            raise CommandFailed(f"the ready file {path} cannot be read: {unreadable}", Exit.USAGE) from None

    def pick(option: str | None, variable: str, key: str) -> str | None:
        return option or os.environ.get(variable) or ready.get(key)

    url = pick(options.url, "OMS_URL", "url")
    token = pick(options.token, "OMS_TOKEN", "token")
    if not url or not token:
        raise CommandFailed(
            "which bundle? Start one with `oms up`, or give --url and --token (OMS_URL, OMS_TOKEN)",
            Exit.USAGE,
        )
    return Context(
        url=url.rstrip("/"),
        token=token,
        workspace=pick(options.workspace, "OMS_WORKSPACE", "workspaceId") or "",
        ca_file=pick(options.ca_file, "OMS_CA_FILE", "caFile"),
        ready=ready,
    )
