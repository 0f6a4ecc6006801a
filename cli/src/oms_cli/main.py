"""`oms`: the command line of the suite. Each command is a module that is imported when it is called."""

import argparse
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Final, NoReturn

from oms_cli.errors import CommandFailed, Exit

COMMANDS: Final = {
    "up": ("oms_cli.up", "run the whole suite on this machine"),
    "query": ("oms_cli.queries", "ask in KQL"),
    "tail": ("oms_cli.queries", "watch records arrive"),
    "ingest": ("oms_cli.ingest", "send a file of records"),
    "tables": ("oms_cli.schema", "list tables and their columns"),
    "jobs": ("oms_cli.jobs", "list, watch and cancel the suite's own jobs"),
    "poison": ("oms_cli.poison", "list and replay messages that failed too often"),
    "agent": ("oms_cli.agent", "run or examine this machine's agent"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """The exit code of the command (`oms_cli.errors.Exit`)."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = _Parser(prog="oms", description="The command line of the open Operations Management Suite.")
    parser.add_argument("--version", action="version", version=f"oms {version('oms-cli')}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True, parser_class=_Parser)
    if given and given[0] in COMMANDS:
        import_module(COMMANDS[given[0]][0]).add(commands)
    else:
        for name, (_, summary) in COMMANDS.items():
            commands.add_parser(name, help=summary, add_help=False)
    options = parser.parse_args(given)
    try:
        return int(options.run(options))
    except CommandFailed as failed:
        print(f"oms: {failed}", file=sys.stderr)
        return failed.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough (`oms query … | head`).
        sys.stderr.close()
        return Exit.OK


def entry() -> NoReturn:
    sys.exit(main())
