"""The syslog listener: UDP and TCP on one port of the loopback interface, or of all where the data source says so."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from oms_agent.collect.syslog import parse, unframe

LARGEST: Final = 256 * 1024
"""Bytes of one message on TCP; a longer one ends the connection."""

Take = Callable[[list[Mapping[str, Any]]], None]


@dataclass(slots=True)
class SyslogListener:
    """Started and stopped with the agent. `take` is called from the listener's threads, with records."""

    port: int
    computer: str
    take: Take
    host: str = "127.0.0.1"
    _servers: list[socketserver.BaseServer] = field(default_factory=list[socketserver.BaseServer], init=False)

    def start(self) -> int:
        """The port in use, for `port` 0 too. OSError where it is taken."""
        listener = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                listener.received([self.request[0]], self.client_address[0])

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                buffer = b""
                with contextlib.suppress(OSError):
                    while chunk := self.request.recv(65536):
                        messages, buffer = unframe(buffer + chunk)
                        listener.received(messages, self.client_address[0])
                        if len(buffer) > LARGEST:
                            return
                if buffer.strip():
                    listener.received([buffer], self.client_address[0])

        tcp = _Tcp((self.host, self.port), Stream)
        udp = _Udp((self.host, tcp.server_address[1]), Datagram)
        udp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        for server in (tcp, udp):
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.2,), name="syslog", daemon=True).start()
        return tcp.server_address[1]

    def received(self, messages: list[bytes], peer: str) -> None:
        now = datetime.now(UTC)
        self.take(
            [
                parse(raw.decode(errors="replace"), now=now, computer=self.computer, peer=peer)
                for raw in messages
            ]
        )

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Udp(socketserver.UDPServer):
    max_packet_size = 65_535
