"""HTTP to the bundle with the standard library alone: a command starts in a fraction of a second."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from oms_cli.context import Context
from oms_cli.errors import CommandFailed, Exit


class ServiceError(CommandFailed):
    """The service answered with an error; `error` is its envelope's content."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        denied = status in (401, 403)
        super().__init__(
            f"{error.get('code', status)}: {error.get('message', 'the service gave no reason')}",
            Exit.DENIED if denied else Exit.FAILED,
        )
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Client:
    context: Context

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 200,
    ) -> bytes:
        """The body of the answer. ServiceError for an error, CommandFailed (UNREACHABLE) where nobody answers."""
        parts = urlsplit(self.context.url)
        host, port = parts.hostname or "localhost", parts.port
        if parts.scheme == "https":
            trust = ssl.create_default_context(cafile=self.context.ca_file)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=trust
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request(
                method,
                parts.path + path,
                body=body,
                headers={"Authorization": f"Bearer {self.context.token}", **(headers or {})},
            )
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as unreachable:
            raise CommandFailed(
                f"{self.context.url} does not answer: {unreachable}", Exit.UNREACHABLE
            ) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise ServiceError(response.status, _error_of(data))
        return data

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """JSON in, JSON out (None for an empty answer)."""
        encoded = None if body is None else json.dumps(body).encode()
        data = self.send(method, path, encoded, {"Content-Type": "application/json", **(headers or {})})
        return json.loads(data) if data else None


def _error_of(data: bytes) -> Mapping[str, Any]:
    try:
        return json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return {"message": data[:300].decode(errors="replace").strip() or "the service gave no reason"}
