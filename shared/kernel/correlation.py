"""The id that follows a request: into its answer, its log lines, the jobs it starts and the records they write."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LONGEST: Final = 128

_current: ContextVar[str] = ContextVar("correlation_id", default="")


def correlation_id() -> str:
    """The id of the request at hand; '' outside of one."""
    return _current.get()


@contextmanager
def correlated(given: str, otherwise: str) -> Generator[str]:
    """Work under the id that the caller gave, if it is one (printable, at most 128 characters), else under `otherwise`."""
    known = given.strip()
    used = known if known and known.isprintable() and len(known) <= LONGEST else otherwise
    token = _current.set(used)
    try:
        yield used
    finally:
        _current.reset(token)
