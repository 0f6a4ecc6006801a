"""The HTTP Data Collector API: signed posts of custom logs, whose tables and columns come into being with their first record.

learn.microsoft.com/azure/azure-monitor/logs/data-collector-api
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from shared.identity.shared_keys import InvalidSignature, check_data_collector, parse_shared_key
from shared.kernel.clock import Clock
from shared.kql.types import Column
from shared.loganalytics.ingestion import bodies
from shared.loganalytics.ingestion.custom_logs import CustomLog, custom_log_frame
from shared.loganalytics.ingestion.declared_logs import standard_constants
from shared.loganalytics.ingestion.errors import (
    InactiveCustomer,
    InvalidApiVersion,
    InvalidAuthorization,
    InvalidCustomerId,
    InvalidDataFormat,
    InvalidLogType,
    MissingApiVersion,
    MissingContentType,
    MissingLogType,
    PostTooLarge,
    UnsupportedContentType,
)
from shared.loganalytics.ingestion.inflate import BodyTooLarge, BodyUnreadable
from shared.loganalytics.ingestion.ports import IngestionWorkspace, LogAppender, WorkspaceDirectory
from shared.loganalytics.ingestion.quota import DailyCap
from shared.loganalytics.ingestion.room import Room
from shared.loganalytics.tables.model import (
    MAX_LOG_TYPE,
    ColumnNameInvalid,
    ColumnTypeConflict,
    LogTable,
    TooManyColumns,
)
from shared.loganalytics.tables.registry import TableRegistry

API_VERSION: Final = "2016-04-01"
MAX_POST_BYTES: Final = 30 * 1024 * 1024
MAX_RESOURCE_ID: Final = 1024

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LOG_TYPE: Final = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_LOG_TYPE}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request as it came. Header names are lower case. `workspace` is what host name or path say, '' if nothing."""

    api_version: str
    headers: Mapping[str, str]
    body: bytes
    workspace: str = ""


@dataclass(frozen=True, kw_only=True)
class DataCollector:
    """Takes posts. What it refuses changed nothing; what it took is durable."""

    workspaces: WorkspaceDirectory
    tables: TableRegistry
    log: LogAppender
    cap: DailyCap
    clock: Clock
    room: Room = field(default_factory=Room)

    def take(self, post: Post) -> None:
        """Check a post from the outside in (headers, workspace, signature, size, body), and keep its records.

        May be called again with the same post: it is not written twice.
        """
        _check_headers(post)
        workspace, signature = self._authenticate(post)
        body = _unpack(post)
        self.cap.check(workspace)
        with self.room.hold(len(body)):
            self._keep(post, workspace, signature, body)

    def _keep(self, post: Post, workspace: IngestionWorkspace, signature: str, body: bytes) -> None:
        table = post.headers["log-type"].strip() + "_CL"
        log = CustomLog(
            table=table,
            value=_parse(body),
            size=len(body),
            time_field=post.headers.get("time-generated-field", "").strip(),
            constants=standard_constants(
                workspace.id,
                table,
                source="RestAPI",
                resource=post.headers.get("x-ms-azureresourceid", "").strip()[:MAX_RESOURCE_ID],
            ),
            received=self.clock.now(),
            request_id=request_id(signature, table, post.body),
        )
        try:
            frame = custom_log_frame(
                log, self.tables.schema(workspace.id, table), partial(self._extend, workspace, table)
            )
        except (ColumnNameInvalid, ColumnTypeConflict, TooManyColumns) as refused:
            raise InvalidDataFormat(refused.message, target=refused.target) from None
        if frame is not None:
            self.cap.add(workspace, frame, self.log.append(workspace.id, [frame]))

    def _extend(self, workspace: IngestionWorkspace, table: str, columns: Iterable[Column]) -> LogTable:
        return self.tables.extend(workspace.id, table, columns)

    def _authenticate(self, post: Post) -> tuple[IngestionWorkspace, str]:
        now = self.clock.now()
        try:
            customer, signature = parse_shared_key(post.headers.get("authorization", ""))
            if _GUID.fullmatch(customer) is None:
                raise InvalidCustomerId("The workspace ID in the Authorization header is not a GUID.")
            if post.workspace and post.workspace.lower() != customer:
                raise InvalidAuthorization(
                    "The request's address and its signature name different workspaces."
                )
            workspace = self.workspaces.by_customer_id(customer)
            if workspace is None:
                raise InvalidCustomerId("There is no workspace with this ID.")
            if not workspace.is_active:
                raise InactiveCustomer("The workspace is closed.")
            date = post.headers.get("x-ms-date", "")
            if not date:
                raise InvalidAuthorization("The x-ms-date header is missing.")
            self.workspaces.check(
                customer,
                partial(
                    check_data_collector,
                    signature=signature,
                    length=len(post.body),
                    content_type=post.headers["content-type"],
                    date=date,
                    now=now,
                ),
            )
        except InvalidSignature as refused:
            raise InvalidAuthorization(refused.message) from None
        return workspace, signature


def request_id(signature: str, table: str, body: bytes) -> bytes:
    """What makes a post the same post. The signature alone does not: it covers the body's length and the second, no more.

    The table is part of it, for a client may send one body to two tables within a second.
    """
    cause = f"{signature}\n{table}\n".encode()
    return hashlib.sha256(cause + hashlib.sha256(body).digest()).digest()


def _check_headers(post: Post) -> None:
    if not post.api_version:
        raise MissingApiVersion("The api-version query parameter is missing.")
    if post.api_version != API_VERSION:
        raise InvalidApiVersion(f"The api-version is not {API_VERSION}.")
    content_type = post.headers.get("content-type", "").strip()
    if not content_type:
        raise MissingContentType("The Content-Type header is missing.")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedContentType("The content type is not application/json.")
    log_type = post.headers.get("log-type", "").strip()
    if not log_type:
        raise MissingLogType("The Log-Type header is missing.")
    if _LOG_TYPE.fullmatch(log_type) is None:
        raise InvalidLogType(
            f"The Log-Type may hold letters, digits and underscores only, up to {MAX_LOG_TYPE} of them."
        )


def _unpack(post: Post) -> bytes:
    try:
        return bodies.unpack(post.body, post.headers.get("content-encoding", ""), limit=MAX_POST_BYTES)
    except BodyTooLarge:
        raise PostTooLarge(f"The post is larger than {MAX_POST_BYTES // 2**20} MB.") from None
    except bodies.EncodingUnknown:
        raise InvalidDataFormat("The Content-Encoding is not gzip, deflate or identity.") from None
    except BodyUnreadable as bad:
        raise InvalidDataFormat(str(bad)) from None


def _parse(body: bytes) -> object:
    try:
        return bodies.parse(body)
    except BodyUnreadable as bad:
        raise InvalidDataFormat(str(bad)) from None
