"""`$filter` of listings: `field eq 'value'`, joined by `and`. Anything else is refused by name."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from shared.arm.resources import Resource
from shared.kernel.errors import OmsError

_TERM: Final = re.compile(
    r"\s*\(?\s*(?P<field>[A-Za-z/]+)\s+eq\s+'(?P<value>(?:[^']|'')*)'\s*\)?\s*(?:and\b|\Z)", re.IGNORECASE
)


class UnsupportedFilter(OmsError):
    code = "InvalidFilterInQueryString"


def compile_filter(text: str, fields: Mapping[str, Callable[[Resource], str]]) -> Callable[[Resource], bool]:
    """Whether a resource passes; values compare without case. UnsupportedFilter."""
    by_name = {name.lower(): get for name, get in fields.items()}
    terms: list[tuple[Callable[[Resource], str], str]] = []
    at = 0
    while at < len(text) or not terms:
        found = _TERM.match(text, at)
        get = by_name.get(found["field"].lower()) if found else None
        if found is None or get is None:
            raise UnsupportedFilter(
                f"The $filter '{text[:200]}' is not supported: use {' or '.join(fields) or 'none'} eq 'value'.",
                target="$filter",
            )
        terms.append((get, found["value"].replace("''", "'").lower()))
        at = found.end()
    return lambda resource: all(get(resource).lower() == value for get, value in terms)
