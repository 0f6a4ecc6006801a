"""What ends a command: a message for people and an exit code for scripts."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command (docs/cli.md)."""

    OK = 0
    FAILED = 1  # the service refused or failed the request: a query with an error, a record not taken
    USAGE = 2  # the command line itself is wrong
    UNREACHABLE = 3  # nothing answers at the address
    DENIED = 4  # the token is missing, expired or may not do this
    PARTIAL = 5  # an answer came, but not all of it


class CommandFailed(Exception):
    """Ends the command: the message goes to standard error, `exit` to the shell."""

    def __init__(self, message: str, exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
