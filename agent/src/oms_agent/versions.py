"""The version that the agent's own state files carry: it reads its own and the one before, and refuses newer by name."""

from pathlib import Path


class StateUnreadable(Exception):
    """A state file of another release of the agent; the message names it."""


def check_version(path: Path, found: object, *, current: int) -> None:
    """StateUnreadable unless this release reads that version."""
    if isinstance(found, bool) or not isinstance(found, int):
        raise StateUnreadable(f"{path} carries no version (found {found!r})")
    if not max(current - 1, 1) <= found <= current:
        age = "newer" if found > current else "older"
        raise StateUnreadable(f"{path} has version {found}, {age} than the {current} this agent reads")
