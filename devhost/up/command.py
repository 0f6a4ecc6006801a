"""The command line of `oms up`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from devhost.up.lock import DataDirInUse, DataDirLock
from devhost.up.supervisor import Supervisor, UpOptions


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="oms up", description="Run the whole suite on this machine: storage, host, agent."
    )
    parser.add_argument(
        "--port", type=int, default=0, help="the port of the API and portal (0, the default: any free)"
    )
    parser.add_argument("--data-dir", type=Path, default=Path(".oms"), help="where everything is kept (.oms)")
    parser.add_argument("--ready-file", type=Path, help="a JSON file that appears once everything answers")
    parser.add_argument("--no-agent", action="store_true", help="do not watch this machine")
    parser.add_argument("--no-browser", action="store_true", help="do not open the portal")
    parser.add_argument(
        "--tls", action="store_true", help="https, by a certificate authority of this machine's own"
    )
    parser.add_argument(
        "--storage", metavar="CONNECTION_STRING", help="a storage account to use instead of Azurite"
    )
    parser.add_argument(
        "--app-root",
        type=Path,
        default=Path(__file__).resolve().parents[2],
        help="the function app to run (this bundle)",
    )
    given = parser.parse_args(arguments)
    if not 0 <= given.port <= 65535:
        parser.error(f"--port {given.port} is not a port")
    data_dir: Path = given.data_dir.resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = DataDirLock.take(data_dir)
    except (DataDirInUse, OSError) as error:
        print(f"oms up: {error}", file=sys.stderr)
        return 1
    try:
        return Supervisor(
            options=UpOptions(
                app_root=given.app_root.resolve(),
                data_dir=data_dir,
                port=given.port,
                ready_file=given.ready_file.resolve() if given.ready_file else None,
                agent=not given.no_agent,
                browser=not given.no_browser,
                tls=given.tls,
                storage=given.storage,
            )
        ).run()
    finally:
        lock.release()
