"""Connected agents: a short-lived token for a machine that knows the workspace key, and what it is to collect."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from shared.identity.access import RoleAssignment, RoleAssignments
from shared.identity.builtin_roles import role_named
from shared.identity.local_issuer import LocalIssuer
from shared.identity.model import AuthorizationFailed, ObjectId, Principal
from shared.identity.shared_keys import KeyPair, check_agent, parse_agent_authorization
from shared.identity.sign_in import SignIns
from shared.kernel.clock import Clock
from shared.kernel.errors import OmsError
from shared.kernel.ids import derived_id
from shared.loganalytics.logstore.model import WorkspaceId

TOKEN_LIFETIME: Final = timedelta(hours=1)
CLIENT: Final = "oms-agent"
_PUBLISHER: Final = "Monitoring Metrics Publisher"


class AgentBodyInvalid(OmsError):
    code = "InvalidRequestContent"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRule:
    """The data collection rule that a workspace's own agents send to."""

    immutable_id: str
    resource_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """A data source of the workspace: its kind (`LinuxSyslog`, …) and its properties, as the management API keeps them."""

    kind: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """`signer` issues the tokens: the bundle itself, also where people sign in with Entra."""

    signer: LocalIssuer
    keys: Callable[[str], KeyPair]
    check: Callable[[str, Callable[[KeyPair], None]], None]
    assignments: RoleAssignments
    rule_of: Callable[[WorkspaceId], DefaultRule]
    data_sources: Callable[[WorkspaceId], Sequence[DataSource]]
    invitations: SignIns
    clock: Clock

    def token(self, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
        """A bearer good for one hour, for this workspace's own rule and nothing else.

        `headers` in lower case: the OMS agent's signature over date and body by either key. InvalidSignature, WorkspaceNotFound.
        """
        workspace, signature = parse_agent_authorization(headers.get("authorization", ""))
        self.check(
            workspace,
            partial(
                check_agent,
                signature=signature,
                body=body,
                sent_hash=headers.get("x-ms-sha256_content", ""),
                date=headers.get("x-ms-date", ""),
                now=self.clock.now(),
            ),
        )
        identity = WorkspaceId(workspace)
        principal = self.principal(identity)
        self._allow(principal, self.rule_of(identity))
        return {
            "token_type": "Bearer",
            "expires_in": int(TOKEN_LIFETIME.total_seconds()),
            "access_token": self.signer.issue(
                principal, audience=self.signer.base_url, lifetime=TOKEN_LIFETIME
            ),
        }

    def principal(self, workspace: WorkspaceId) -> Principal:
        """Who the agents of a workspace are: one service principal, with rights on its rule alone."""
        return Principal(
            object_id=ObjectId(derived_id("agents of workspace", workspace)),
            name=f"agents of {workspace}",
            tenant=self.signer.tenant,
            is_app=True,
            client_id=f"{CLIENT}/{workspace}",
        )

    def workspace_of(self, principal: Principal) -> WorkspaceId:
        """The workspace whose agent is calling. AuthorizationFailed for anybody else."""
        client, _, workspace = principal.client_id.partition("/")
        identity = WorkspaceId(workspace)
        if client != CLIENT or principal.object_id != self.principal(identity).object_id:
            raise AuthorizationFailed("this is for agents, with the token that the workspace key gives")
        return identity

    def configuration(self, workspace: WorkspaceId) -> Mapping[str, Any]:
        """What the agent collects: the workspace's data sources in the agent's words, and a version that changes with them."""
        wanted = collection_of(self.data_sources(workspace))
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        return {"version": digest[:12], "dataCollectionRule": self.rule_of(workspace).immutable_id, **wanted}

    def invite(self, workspace: WorkspaceId) -> str:
        """A token with which one machine may join within 15 minutes."""
        return self.invitations.make_link(self.principal(workspace))

    def join(self, token: str) -> Mapping[str, Any]:
        """What a machine needs to connect, for an invitation that is used up by this. SignInTokenInvalid."""
        workspace = self.workspace_of(self.invitations.sign_in(token).principal)
        return {
            "workspaceId": workspace,
            "workspaceKey": self.keys(workspace).primary,
            "dataCollectionRule": self.rule_of(workspace).immutable_id,
        }

    def _allow(self, principal: Principal, rule: DefaultRule) -> None:
        role = role_named(_PUBLISHER)
        if role is None:
            raise AuthorizationFailed(f"the role {_PUBLISHER} is not defined")
        self.assignments.add(
            RoleAssignment(
                name=derived_id("agents may send", principal.object_id, rule.resource_id),
                scope=rule.resource_id,
                role_id=role.id,
                principal_id=principal.object_id,
                created_by="oms",
            )
        )


def collection_of(sources: Sequence[DataSource]) -> dict[str, Any]:
    """Data sources of the kinds LinuxPerformanceObject, LinuxSyslog and CustomLog; the agent's defaults where there are none."""
    objects = [s for s in sources if s.kind == "LinuxPerformanceObject"]
    syslog = [s for s in sources if s.kind == "LinuxSyslog"]
    logs = [s for s in sources if s.kind == "CustomLog"]
    wanted: dict[str, Any] = {}
    if objects:
        wanted["perfObjects"] = sorted(str(s.properties.get("objectName", "")) for s in objects)
        wanted["perfInterval"] = min(float(s.properties.get("intervalSeconds", 10)) for s in objects)
    if syslog:
        wanted["syslogMinimum"] = {
            str(s.properties["syslogName"]): _least_severe(s.properties.get("syslogSeverities", ()))
            for s in syslog
            if s.properties.get("syslogName")
        }
    if logs:
        wanted["logs"] = [
            {"table": log["table"], "path": path, "form": log["form"]}
            for s in logs
            for log, path in _custom(s)
        ]
    return wanted


_SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def _least_severe(entries: Sequence[Mapping[str, Any]]) -> str:
    taken = [_SEVERITIES.index(e["severity"]) for e in entries if e.get("severity") in _SEVERITIES]
    return _SEVERITIES[max(taken, default=len(_SEVERITIES) - 1)]


def _custom(source: DataSource) -> list[tuple[dict[str, str], str]]:
    """Microsoft's CustomLog: `customLogName` and the Linux paths of its inputs."""
    table = str(source.properties.get("customLogName", ""))
    form = "json" if source.properties.get("format") == "json" else "text"
    found: list[tuple[dict[str, str], str]] = []
    for given in source.properties.get("inputs", ()):
        locations = given.get("location", {}).get("fileSystemLocations", {})
        found += [
            ({"table": table, "form": form}, str(path))
            for path in locations.get("linuxFileTypeLogPaths") or ()
        ]
    return found
