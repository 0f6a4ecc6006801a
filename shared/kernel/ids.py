"""Ids as arguments: random ones for new things, derived ones (uuid5 of the cause) where "again" must be the same."""

import uuid
from collections.abc import Callable
from typing import Final

NewId = Callable[[], str]

_OMS: Final = uuid.UUID("6f6d7300-0000-5000-8000-000000000000")


def random_id() -> str:
    """A new UUID in Microsoft's spelling: lower case, dashed."""
    return str(uuid.uuid4())


def derived_id(*cause: str) -> str:
    """The same UUID each time for the same cause, so that doing it again changes nothing."""
    return str(uuid.uuid5(_OMS, "\x1f".join(cause)))
