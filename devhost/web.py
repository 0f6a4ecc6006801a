"""The host's HTTP side as a raw ASGI application: routes, keys, limits, and the host's own `/admin` pages."""

import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from devhost.keys import Keys
from devhost.routes import Route, RouteTable, WrongMethod, compile_route
from devhost.worker import Function, Request, Response, Worker

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_LIMIT: Final = 210 * 1024 * 1024
# What only App Service may say: learn.microsoft.com/azure/app-service/configure-authentication-user-identities
_FORBIDDEN_PREFIXES: Final = ("x-ms-client-principal", "x-ms-token-", "x-arr-clientcert")
# What belongs to the connection, not to the answer.
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})
CLIENT_CERTIFICATE_STATE: Final = "client_certificate"


class RoutesClash(Exception):
    """Two functions take the same method on the same route."""


class _BodyTooLarge(Exception):
    pass


class _ClientGone(Exception):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """What the `/admin` pages ask of the host."""

    status: Callable[[], Mapping[str, Any]]
    functions: Callable[[], Sequence[Mapping[str, Any]]]
    nudge: Callable[[str], bool]
    run: Callable[[str, str], bool]
    """Start a queue or timer function by hand, with an input; False where there is none of that name."""


@dataclass(slots=True, kw_only=True)
class Web:
    """Answers HTTP. While `draining`, each answer closes its connection."""

    worker: Worker
    keys: Keys
    admin: Admin
    route_prefix: str
    table: RouteTable[Function] = field(init=False)
    body_limit: int = BODY_LIMIT
    draining: bool = False

    def __post_init__(self) -> None:
        self.table = RouteTable(http_routes(self.worker.functions, self.route_prefix))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served here")
        raw_path = scope["raw_path"].decode("latin-1") or "/"
        headers = _headers(scope)
        try:
            if raw_path.casefold().startswith("/admin/host/") or raw_path.casefold().startswith(
                "/admin/functions"
            ):
                response = await self._answer_admin(scope, raw_path.rstrip("/").casefold(), headers, receive)
            else:
                response = await self._answer(scope, raw_path, headers, receive)
        except _BodyTooLarge:
            response = _plain(
                413, f"The request body is larger than {self.body_limit} bytes.", ("connection", "close")
            )
        except _ClientGone:
            return
        await _send(send, response, close=self.draining)

    async def _answer(
        self, scope: Scope, raw_path: str, headers: dict[str, str], receive: Receive
    ) -> Response:
        method = scope["method"].upper()
        found = self.table.find(method, raw_path)
        if isinstance(found, WrongMethod) and method == "HEAD" and "GET" in found.allowed:
            # The server drops the body of an answer to HEAD.
            found = self.table.find("GET", raw_path)
        if isinstance(found, WrongMethod):
            return _plain(405, f"{method} is not allowed here.", ("allow", ", ".join(found.allowed)))
        if found is None:
            return _plain(404, "There is nothing here.")
        function, query = found.target, query_of(scope["query_string"])
        level = str(function.binding.get("authLevel", "FUNCTION")).upper()
        if level != "ANONYMOUS" and not self.keys.opens(_presented(headers, query), admin=level == "ADMIN"):
            return _plain(401, "A key is wanted, in x-functions-key or ?code=.")
        body = await read_body(receive, headers, self.body_limit)
        raw_query = scope["query_string"].decode("latin-1")
        request = Request(
            method=method,
            url=f"{scope['scheme']}://{headers.get('host') or _authority(scope)}{raw_path}{'?' + raw_query if raw_query else ''}",
            headers=headers,
            route=found.values,
            query=query,
            body=body,
        )
        outcome = await self.worker.call_http(function, request)
        if outcome.response is None:
            # The worker library has logged the exception; the caller gets no more than Azure tells.
            return Response(status=500, headers=(), body=b"")
        return outcome.response

    async def _answer_admin(
        self, scope: Scope, path: str, headers: dict[str, str], receive: Receive
    ) -> Response:
        method = scope["method"].upper()
        if path == "/admin/host/ping":
            return _json(200, {})
        query = query_of(scope["query_string"])
        if not self.keys.opens(_presented(headers, query), admin=True):
            return _plain(401, "The master key is wanted, in x-functions-key or ?code=.")
        if path == "/admin/host/status" and method == "GET":
            return _json(200, self.admin.status())
        if path == "/admin/host/nudge" and method == "POST":
            known = self.admin.nudge(query.get("queue", ""))
            return _json(202 if known else 404, {})
        if path == "/admin/functions" and method == "GET":
            return _json(200, self.admin.functions())
        name = path.removeprefix("/admin/functions/")
        if path.startswith("/admin/functions/"):
            if method == "GET":
                listed = [each for each in self.admin.functions() if str(each["name"]).casefold() == name]
                return _json(200, listed[0]) if listed else _plain(404, f"There is no function {name}.")
            if method == "POST":
                body = await read_body(receive, headers, self.body_limit)
                return self._run_by_hand(name, body)
        return _plain(404, "There is nothing here.")

    def _run_by_hand(self, name: str, body: bytes) -> Response:
        try:
            given = json.loads(body or b"{}").get("input", "")
        except (ValueError, AttributeError):
            return _plain(400, 'The body must be a JSON object: {"input": "..."}.')
        if self.admin.run(name, given if isinstance(given, str) else json.dumps(given)):
            return _json(202, {})
        return _plain(404, f"There is no queue or timer function {name}.")


def http_routes(functions: Sequence[Function], prefix: str) -> Sequence[Route[Function]]:
    """The routes of an app's HTTP functions. RoutesClash, TemplateInvalid."""
    routes: list[Route[Function]] = []
    taken: dict[tuple[str, str], str] = {}
    for function in functions:
        if function.trigger != "httpTrigger":
            continue
        template = str(function.binding.get("route") or function.name).strip("/")
        route = compile_route(
            f"{prefix}/{template}".strip("/"), function.binding.get("methods") or (), function
        )
        for method in route.methods or ("*",):
            other = taken.setdefault((route.template.casefold(), method), function.name)
            if other != function.name:
                raise RoutesClash(f"{other} and {function.name} both take {method} {route.template}")
        routes.append(route)
    return routes


def query_of(raw: bytes) -> dict[str, str]:
    """The query as the worker gets it on Azure: decoded, repeated names joined by commas, empty values left out."""
    if not raw:
        return {}
    values: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=False):
        name = spelled.setdefault(name.casefold(), name)
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _headers(scope: Scope) -> dict[str, str]:
    """The headers as the worker gets them: lower-case names, repeated ones joined, what outsiders may not say left out."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name.startswith(_FORBIDDEN_PREFIXES):
            continue
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        if value:
            headers[name] = (
                f"{headers[name]}{'; ' if name == 'cookie' else ','}{value}" if name in headers else value
            )
    client = scope.get("client")
    if client:
        address = f"[{client[0]}]:{client[1]}" if ":" in client[0] else f"{client[0]}:{client[1]}"
        before = headers.get("x-forwarded-for")
        headers["x-forwarded-for"] = f"{before}, {address}" if before else address
    certificate = scope.get("state", {}).get(CLIENT_CERTIFICATE_STATE)
    if certificate:
        headers["x-arr-clientcert"] = certificate
    return headers


def _authority(scope: Scope) -> str:
    host, port = scope["server"] or ("localhost", None)
    return f"{host}:{port}" if port else host


def _presented(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    return headers.get("x-functions-key") or query.get("code", "")


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body, or _BodyTooLarge as soon as that is known."""
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _send(send: Send, response: Response, *, close: bool) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in response.headers
        if name.lower() not in _HOP_BY_HOP or (name.lower(), value) == ("connection", "close")
    ]
    bodiless = response.status < 200 or response.status in (204, 304)
    if not bodiless and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(response.body)).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else response.body})


def _plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    return Response(
        status=status, headers=[("content-type", "text/plain; charset=utf-8"), *headers], body=text.encode()
    )


def _json(status: int, value: object) -> Response:
    return Response(
        status=status, headers=[("content-type", "application/json")], body=json.dumps(value).encode()
    )


def body_limit_setting() -> int:
    """FUNCTIONS_REQUEST_BODY_SIZE_LIMIT, in bytes, as on Azure."""
    text = os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
    return int(text) if text.isdigit() else BODY_LIMIT
