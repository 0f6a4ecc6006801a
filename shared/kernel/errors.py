"""The suite's errors: a category that the edge maps to HTTP, and Microsoft's code for the caller."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar


class Category(StrEnum):
    """What kind of thing went wrong, in the caller's terms. `shared.http` maps each to a status code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    GONE = "gone"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    INTERNAL = "internal"


class OmsError(Exception):
    """Something the caller did, or can do something about.

    Subclasses set `category` and Microsoft's `code`. `target` names the thing it is about, `retry_after` is in
    seconds, `details` goes to the caller as it is (JSON values only).
    """

    category: ClassVar[Category] = Category.INVALID
    code: ClassVar[str] = "BadRequest"

    def __init__(
        self,
        message: str,
        *,
        target: str | None = None,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        self.retry_after = retry_after
        self.details = details or {}
