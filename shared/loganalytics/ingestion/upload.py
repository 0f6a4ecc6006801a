"""The Logs Ingestion API: arrays of records for a stream of a data collection rule, sent with a bearer token.

learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.identity.model import Principal
from shared.kernel.clock import Clock
from shared.loganalytics.ingestion import bodies
from shared.loganalytics.ingestion.declared_logs import DeclaredLog, declared_frame, standard_constants
from shared.loganalytics.ingestion.errors import (
    ContentLengthLimitExceeded,
    InvalidApiVersionParameter,
    InvalidPayload,
    InvalidRule,
    InvalidStream,
    MissingApiVersionParameter,
    RuleAccessDenied,
    RuleNotFound,
    TransformNotSupported,
    UnsupportedContentEncoding,
)
from shared.loganalytics.ingestion.inflate import BodyTooLarge, BodyUnreadable
from shared.loganalytics.ingestion.ports import (
    AccessPolicy,
    IngestionWorkspace,
    LogAppender,
    RuleDirectory,
    RuleDocument,
    TransformRunner,
    WorkspaceDirectory,
)
from shared.loganalytics.ingestion.quota import DailyCap
from shared.loganalytics.ingestion.room import Room
from shared.loganalytics.ingestion.rules import CUSTOM, MICROSOFT, Route, routes
from shared.loganalytics.tables.model import LogTable
from shared.loganalytics.tables.registry import TableRegistry

MAX_UPLOAD_BYTES: Final = 1024 * 1024
ACTION: Final = "Microsoft.Insights/Telemetry/Write"
"""The data action of Monitoring Metrics Publisher, which Azure asks for on the rule."""

_RULE_ID: Final = re.compile(r"dcr-[0-9a-f]{32}")
_API_VERSION: Final = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A request as it came. Header names are lower case."""

    rule: str
    stream: str
    api_version: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    workspace: IngestionWorkspace
    table: LogTable
    route: Route


@dataclass(frozen=True, kw_only=True)
class LogsIngestion:
    """Takes uploads. What it refuses changed nothing; what it took is durable."""

    rules: RuleDirectory
    workspaces: WorkspaceDirectory
    tables: TableRegistry
    log: LogAppender
    cap: DailyCap
    access: AccessPolicy
    clock: Clock
    transforms: TransformRunner | None = None
    room: Room = field(default_factory=Room)

    def take(self, upload: Upload, principal: Principal) -> None:
        """Check an upload from the outside in (version, rule, access, stream, size, body), and keep its records.

        A repeat with the same `x-ms-client-request-id` and body is not written twice.
        """
        _check_version(upload.api_version)
        rule = self._rule(upload.rule)
        if not self.access.allows(principal, ACTION, rule.resource_id):
            raise RuleAccessDenied(
                "The authentication token provided does not have access to ingest data for the data collection rule "
                f"with immutable Id '{rule.immutable_id}'."
            )
        targets = [self._target(rule, upload.stream, route) for route in routes(rule, upload.stream)]
        if len(upload.body) > MAX_UPLOAD_BYTES:
            raise _too_large(len(upload.body))
        body = _unpack(upload)
        with self.room.hold(len(body)):
            self._take(upload, targets, body)

    def _take(self, upload: Upload, targets: Sequence[_Target], body: bytes) -> None:
        records = _records(body)
        _check_size(upload, body, len(records))
        for target in targets:
            if target.table.billable:
                self.cap.check(target.workspace)
        # All ways are worked out before the first record is kept.
        kept = [(target, self._transformed(target, records)) for target in targets if records]
        for target, transformed in kept:
            if transformed:
                self._keep(upload, target, transformed)

    def _transformed(self, target: _Target, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        route = target.route
        if not route.transform:
            return records
        if self.transforms is None:
            raise TransformNotSupported(
                "A transformKql other than 'source' is not supported here.", target="transformKql"
            )
        return self.transforms.run(
            route.transform,
            columns=route.columns or {each.name: each.type for each in target.table.columns},
            records=records,
            received=self.clock.now(),
            workspace=target.workspace.id,
        )

    def _keep(self, upload: Upload, target: _Target, records: list[dict[str, Any]]) -> None:
        workspace = target.workspace
        frame = declared_frame(
            DeclaredLog(
                table=target.table,
                records=records,
                declared=None if target.route.transform else target.route.columns,
                constants=standard_constants(
                    workspace.id,
                    target.table.name,
                    resource=upload.headers.get("x-ms-azureresourceid", "").strip(),
                ),
                received=self.clock.now(),
                request_id=_request_id(upload, target),
            )
        )
        self.cap.add(workspace, frame, self.log.append(workspace.id, [frame]))

    def _rule(self, immutable_id: str) -> RuleDocument:
        folded = immutable_id.lower()
        rule = self.rules.by_immutable_id(folded) if _RULE_ID.fullmatch(folded) else None
        if rule is None:
            raise RuleNotFound(f"Data collection rule with immutable Id '{immutable_id[:100]}' not found.")
        return rule

    def _target(self, rule: RuleDocument, stream: str, route: Route) -> _Target:
        destination = route.destination
        workspace = None
        if destination.customer_id:
            workspace = self.workspaces.by_customer_id(destination.customer_id)
        elif destination.resource_id:
            workspace = self.workspaces.by_resource_id(destination.resource_id)
        if workspace is None or not workspace.is_active:
            raise InvalidRule(
                f"The workspace that the rule '{rule.immutable_id}' sends the stream {stream} to is not there.",
                target=stream,
            )
        table = self.tables.schema(workspace.id, route.table)
        # A `Microsoft-` stream is a standard table's; a custom table is made before records are sent to it.
        if table is None or (rule.default_for and stream.startswith(MICROSOFT) == table.is_custom):
            what = "a custom table of the workspace" if stream.startswith(CUSTOM) else "a standard table"
            raise InvalidStream(
                f"The stream {stream} was not configured in the data collection rule: {route.table} is not {what}.",
                target=stream,
            )
        return _Target(workspace=workspace, table=table, route=route)


def _request_id(upload: Upload, target: _Target) -> bytes | None:
    client = upload.headers.get("x-ms-client-request-id", "").strip()
    if not client:
        return None
    # The body is part of it: the chunks of one client operation may share an id.
    cause = "\x1f".join(
        (upload.rule.lower(), upload.stream, target.table.name, target.route.transform, client)
    )
    return hashlib.sha256(cause.encode() + b"\n" + hashlib.sha256(upload.body).digest()).digest()


def _check_version(version: str) -> None:
    if not version:
        raise MissingApiVersionParameter(
            "The api-version query parameter (?api-version=) is required for all requests."
        )
    if _API_VERSION.fullmatch(version) is None:
        raise InvalidApiVersionParameter(f"The api-version '{version[:40]}' is invalid.")


def _unpack(upload: Upload) -> bytes:
    encoding = upload.headers.get("content-encoding", "")
    try:
        return bodies.unpack(upload.body, encoding, limit=2 * MAX_UPLOAD_BYTES)
    except BodyTooLarge as large:
        raise _too_large(large.size) from None
    except bodies.EncodingUnknown as unknown:
        raise UnsupportedContentEncoding(
            f"The Content-Encoding '{unknown}' is none of gzip, deflate, identity."
        ) from None
    except BodyUnreadable as bad:
        raise InvalidPayload(str(bad)) from None


def _check_size(upload: Upload, body: bytes, records: int) -> None:
    """ContentLengthLimitExceeded. Of a packed body the limit holds for its records alone, without what stands between them:
    so Microsoft's clients count when they cut their chunks, and write brackets and `, ` around them.
    """
    packed = len(upload.body) != len(body)
    if len(body) - (2 * records if packed else 0) > MAX_UPLOAD_BYTES:
        raise _too_large(len(body))


def _too_large(size: int) -> ContentLengthLimitExceeded:
    return ContentLengthLimitExceeded(
        f"Maximum allowed content length: {MAX_UPLOAD_BYTES} bytes (1 MB). Provided content length: {size} bytes."
    )


def _records(body: bytes) -> list[dict[str, Any]]:
    try:
        return bodies.objects(bodies.parse(body), single=False)
    except BodyUnreadable as bad:
        raise InvalidPayload(str(bad)) from None
