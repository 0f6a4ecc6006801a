"""The launcher's side of the host's HTTP: is it there, and the one call that makes the default workspace."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

BOOTSTRAP_PATH: Final = "/operations/bootstrap"
_PING_PATH: Final = "/admin/host/ping"
_NEEDED: Final = (
    "tenantId",
    "subscriptionId",
    "resourceGroup",
    "location",
    "workspaceName",
    "workspaceId",
    "workspaceKey",
    "dataCollectionRule",
    "token",
    "portalUrl",
)


class BootstrapRefused(Exception):
    """The host answered the first call with something else than a workspace."""


def answers(port: int, ca: Path | None) -> bool:
    """Whether the host's HTTP is there."""
    try:
        status, _ = _ask(port, ca, "GET", _PING_PATH, {}, seconds=5)
    except (OSError, http.client.HTTPException):
        return False
    return status == 200


def bootstrap(port: int, ca: Path | None, secret: str) -> Mapping[str, Any]:
    """Make (or find) the default workspace; what clients need to know. BootstrapRefused, OSError."""
    status, body = _ask(port, ca, "POST", BOOTSTRAP_PATH, {"x-oms-bootstrap": secret}, seconds=90)
    if status != 200:
        raise BootstrapRefused(
            f"POST {BOOTSTRAP_PATH} answered {status}: {body[:500].decode(errors='replace')}"
        )
    try:
        answer: Mapping[str, Any] = json.loads(body)
        missing = [name for name in _NEEDED if name not in answer]
    except (ValueError, TypeError) as error:
        raise BootstrapRefused(f"POST {BOOTSTRAP_PATH} answered no JSON object: {error}") from error
    if missing:
        raise BootstrapRefused(f"POST {BOOTSTRAP_PATH} did not say {', '.join(missing)}")
    return answer


def _ask(
    port: int, ca: Path | None, method: str, path: str, headers: Mapping[str, str], *, seconds: float
) -> tuple[int, bytes]:
    if ca is not None:
        context = ssl.create_default_context(cafile=str(ca))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, headers={**headers, "content-length": "0"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
