"""`oms up`: finds the bundle and hands over to its own launcher."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from oms_cli.errors import CommandFailed, Exit


def add(commands: Any) -> None:
    # No character begins an option here: all of them are the launcher's, --help included.
    parser: argparse.ArgumentParser = commands.add_parser(
        "up", help="run the whole suite on this machine", add_help=False, prefix_chars="\0"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Become the launcher: its output, its signals, its exit code."""
    root = find_bundle(Path.cwd())
    python = root / ".venv" / "bin" / "python"
    executable = str(python) if python.is_file() else sys.executable
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    sys.stdout.flush()
    os.execve(  # noqa: S606 - the bundle's own interpreter, no shell
        executable,
        [executable, "-m", "devhost", "up", *options.arguments],
        {**os.environ, "PYTHONPATH": path},
    )


def find_bundle(start: Path) -> Path:
    """The bundle around `start`, else the one this command was installed from. CommandFailed."""
    for folder in (start, *start.parents, *Path(__file__).resolve().parents):
        if (folder / "function_app.py").is_file() and (folder / "devhost" / "__main__.py").is_file():
            return folder
    raise CommandFailed("there is no bundle here: run this in a clone of the repository", Exit.USAGE)
