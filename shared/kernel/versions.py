"""The version that every stored thing carries: readers take N and N-1, and refuse newer by name."""

from shared.kernel.errors import Category, OmsError


class StoredVersionUnsupported(OmsError):
    """A row, blob, frame or message was written by a release that this one does not know."""

    category = Category.UNAVAILABLE
    code = "StoredVersionUnsupported"


def check_version(what: str, found: object, *, current: int) -> int:
    """The version of a stored `what`, if this release reads it (`current` or the one before), else an error by name."""
    if isinstance(found, bool) or not isinstance(found, int):
        raise StoredVersionUnsupported(f"{what} carries no version (found {found!r})", target=what)
    if found > current:
        raise StoredVersionUnsupported(
            f"{what} has version {found}, newer than the {current} this release reads: deploy the newer release everywhere",
            target=what,
        )
    if found < max(current - 1, 1):
        raise StoredVersionUnsupported(
            f"{what} has version {found}, older than this release reads: migrate with the release before",
            target=what,
        )
    return found
