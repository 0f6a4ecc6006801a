"""Waking the local host: at once for the sender, told over HTTP by a thread of its own, and harmless when nobody is there."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.cloud.host import HostNudge


class Host(ThreadingHTTPServer):
    """Remembers what it was told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.more = threading.Condition()
        super().__init__(("127.0.0.1", 0), Answer)

    def hear(self, path: str) -> None:
        with self.more:
            self.told.append(path)
            self.more.notify_all()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Host)
        self.server.hear(self.path)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        del format, args


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_host_is_told_the_queue_with_its_key(host: Host):
    nudge = HostNudge(f"http://127.0.0.1:{host.server_address[1]}/admin/host/nudge?code=k")
    nudge("oms-jobs")
    with host.more:
        assert host.more.wait_for(lambda: len(host.told) == 1, 30)
    nudge("other")
    with host.more:
        assert host.more.wait_for(lambda: len(host.told) == 2, 30)
    assert host.told == [
        "/admin/host/nudge?code=k&queue=oms-jobs",
        "/admin/host/nudge?code=k&queue=other",
    ]


def test_a_host_that_is_not_there_is_no_error():
    nudge = HostNudge("http://127.0.0.1:9/admin/host/nudge")
    nudge("oms-jobs")
    nudge("oms-jobs")


def test_the_key_does_not_show():
    assert "secret" not in repr(HostNudge("http://127.0.0.1:9/admin/host/nudge?code=secret"))
