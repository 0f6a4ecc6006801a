"""The agent's conversation with the bundle: a signed request for a token, then the Logs Ingestion API like any other client."""

import base64
import gzip
import hashlib
import hmac
import http.client
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from oms_agent.config import Connection

TIMEOUT: Final = 30
RENEW_BEFORE: Final = timedelta(minutes=5)
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NotReached(Exception):
    """Nobody answered, or not in HTTP: worth trying again."""


class Refused(Exception):
    """The bundle answered with an error. `retry_after` is in seconds, where it said so."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.retry_after = retry_after

    @property
    def is_final(self) -> bool:
        """Whether the same request would be refused again: the data is at fault, not the moment."""
        return self.status in (400, 404, 413, 415, 422)


def signature(key: str, date: str, body: bytes) -> str:
    """The OMS agent's signature over date and content (docs/protocols.md d). `key` is base64."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    signed = hmac.new(base64.b64decode(key), f"{date}\n{digest}\n".encode(), hashlib.sha256)
    return base64.b64encode(signed.digest()).decode()


@dataclass(slots=True)
class Transport:
    """One connection, kept open. Used by one thread at a time; a lock sees to it."""

    connection: Connection
    version: str
    _http: http.client.HTTPConnection | None = field(default=None, init=False)
    _token: str = field(default="", init=False)
    _expires: datetime = field(default=NEVER, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def post_records(self, stream: str, body: bytes, *, request_id: str) -> None:
        """Durable in the bundle on return. Doing it again with the same id does not write twice."""
        path = f"/dataCollectionRules/{self.connection.rule}/streams/{stream}?api-version=2023-01-01"
        headers = {"Content-Encoding": "gzip", "x-ms-client-request-id": request_id}
        self._authorised("POST", path, gzip.compress(body, 1), headers)

    def get(self, path: str) -> Any:
        data = self._authorised("GET", path, None, {})
        return json.loads(data) if data else None

    def token(self) -> str:
        """A bearer for this workspace, asked for with the workspace key and kept until shortly before it expires."""
        with self._lock:
            if datetime.now(UTC) >= self._expires - RENEW_BEFORE:
                body = json.dumps({"workspaceId": self.connection.workspace_id}).encode()
                date = format_datetime(datetime.now(UTC), usegmt=True)
                digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
                signed = signature(self.connection.workspace_key, date, body)
                headers = {
                    "x-ms-Date": date,
                    "x-ms-SHA256_Content": digest,
                    "Authorization": f"{self.connection.workspace_id}; {signed}",
                    "Content-Type": "application/json",
                }
                answer = json.loads(self._send("POST", "/operations/agents/token", body, headers))
                self._token = answer["access_token"]
                self._expires = datetime.now(UTC) + timedelta(seconds=float(answer["expires_in"]))
            return self._token

    def _authorised(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        with self._lock:
            given = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json", **headers}
            try:
                return self._send(method, path, body, given)
            except Refused as refused:
                if refused.status == 401:
                    self._expires = NEVER
                raise

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        parts = urlsplit(self.connection.endpoint)
        given = {"User-Agent": f"oms-agent/{self.version}", **headers}
        for attempt in (1, 2):
            link = self._http or self._open()
            try:
                link.request(method, parts.path + path, body=body, headers=given)
                response = link.getresponse()
                data = response.read()
                break
            except (OSError, http.client.HTTPException) as failed:
                # A kept connection that the other side closed meanwhile is opened once more; both writes carry an id.
                fresh = self._http is None
                self.close()
                if fresh or attempt == 2:
                    raise NotReached(
                        f"{self.connection.endpoint}: {failed or type(failed).__name__}"
                    ) from None
        else:
            raise NotReached(self.connection.endpoint)
        self._http = link
        if response.status >= 400:
            raise _refused(response, data)
        return data

    def _open(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.connection.endpoint)
        host = parts.hostname or "localhost"
        if parts.scheme == "https":
            trust = ssl.create_default_context(cafile=self.connection.ca_file)
            return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=trust)
        return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def _refused(response: http.client.HTTPResponse, data: bytes) -> Refused:
    try:
        error = json.loads(data)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        code, message = response.reason, data[:200].decode(errors="replace")
    wait = response.headers.get("Retry-After", "")
    return Refused(response.status, code, message, float(wait) if wait.isdigit() else None)
