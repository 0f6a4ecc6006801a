"""uvicorn as this host wants it: our sockets, no signal handlers of its own, the client's certificate in the scope."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, override

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from devhost.web import CLIENT_CERTIFICATE_STATE

_BACKLOG = 2048


class _Protocol(HttpToolsProtocol):
    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it as well
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            encoded = base64.b64encode(certificate).decode()
            self.app_state = {**self.app_state, CLIENT_CERTIFICATE_STATE: encoded}


class Server(uvicorn.Server):
    """Serves until `should_exit` is set, then until the open requests are answered."""

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        yield


def make_server(
    app: Any,
    *,
    cert: Path | None = None,
    key: Path | None = None,
    client_ca: Path | None = None,
    drain_seconds: float,
) -> Server:
    """A server of an ASGI app. With `client_ca`, clients may show certificates of that authority."""
    return Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(drain_seconds),
            ssl_certfile=cert,
            ssl_keyfile=key,
            ssl_ca_certs=str(client_ca) if client_ca else None,
            ssl_cert_reqs=ssl.CERT_OPTIONAL if client_ca else ssl.CERT_NONE,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. OSError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        listening.settimeout(0)
    except OSError:
        listening.close()
        raise
    return listening
