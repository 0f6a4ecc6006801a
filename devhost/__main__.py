"""`python -m devhost host ...` runs one function app; `python -m devhost up ...` runs the whole suite on this machine."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="devhost", description="The embedded Azure Functions host.")
    commands = parser.add_subparsers(dest="command", required=True)
    host = commands.add_parser("host", help="run one function app")
    host.add_argument("--app-root", type=Path, default=Path.cwd(), help="the folder with function_app.py")
    host.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    host.add_argument("--port", type=int, default=7071, help="0 takes a free one")
    host.add_argument("--port-file", type=Path, help="where to write the port, once it answers")
    host.add_argument("--data-dir", type=Path, help="where the host's keys are kept")
    host.add_argument("--host-id", default="devhost", help="hosts of one id share their timers' state")
    host.add_argument("--tls-cert", type=Path)
    host.add_argument("--tls-key", type=Path)
    host.add_argument("--tls-client-ca", type=Path, help="accept client certificates of this authority")
    host.add_argument("--no-listeners", action="store_true", help="HTTP only: no queues, no timers")
    host.add_argument(
        "--message-seconds",
        type=float,
        default=600.0,
        help="how long a message stays hidden while its function runs; renewed at half (600)",
    )
    host.add_argument("--lifeline", action="store_true", help="stop when standard input ends")
    commands.add_parser("up", help="run the whole suite on this machine", add_help=False)
    if list(arguments[:1]) == ["up"]:
        from devhost.up.command import main as up

        return up(arguments[1:])
    given = parser.parse_args(arguments)
    from devhost.host import Options
    from devhost.host import main as run_host

    return run_host(
        Options(
            app_root=given.app_root.resolve(),
            host=given.host,
            port=given.port,
            port_file=_absolute(given.port_file),
            data_dir=_absolute(given.data_dir),
            host_id=given.host_id,
            cert=_absolute(given.tls_cert),
            key=_absolute(given.tls_key),
            client_ca=_absolute(given.tls_client_ca),
            listeners=not given.no_listeners,
            message_seconds=given.message_seconds,
            lifeline=given.lifeline,
        )
    )


def _absolute(path: Path | None) -> Path | None:
    # The host changes into the app's folder.
    return path.resolve() if path is not None else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
