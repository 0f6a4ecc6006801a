"""`oms agent`: this machine's agent, by its own program."""

import shutil
import subprocess
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from oms_cli.errors import CommandFailed, Exit


def add(commands: Any) -> None:
    parser: ArgumentParser = commands.add_parser(
        "agent", help="run or examine this machine's agent", add_help=False
    )
    parser.add_argument("arguments", nargs=REMAINDER)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    # Installed side by side, the two are found also where the environment is not activated.
    beside = Path(sys.executable).parent / "oms-agent"
    program = str(beside) if beside.is_file() else shutil.which("oms-agent")
    if program is None:
        raise CommandFailed("oms-agent is not installed here: install the package oms-agent", Exit.USAGE)
    return subprocess.run([program, *options.arguments], check=False).returncode
