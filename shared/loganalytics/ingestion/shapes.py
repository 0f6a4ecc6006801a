"""What a batch of records holds, key by key: one pass that groups records by their keys and looks at columns, not at values.

Records of one source have few shapes, so most of the work is done by C loops over whole columns (`set(map(type, …))`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson

from shared.kernel.ticks import parse_iso_ticks
from shared.loganalytics.ingestion.bodies import Json
from shared.loganalytics.logstore.model import JsonKind

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BARE_GUID: Final = re.compile(r"[0-9a-fA-F]{32}")
# Date and time with a T, as ISO 8601 and the documentation of `time-generated-field` write it; other dates are text.
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_SHORTEST_TIME: Final = 16
_LONGEST_TIME: Final = 35
_TIME_LENGTHS: Final = frozenset(range(_SHORTEST_TIME, _LONGEST_TIME + 1))
_SNIFFED: Final = _TIME_LENGTHS | {32, 36}

# How nearly all times are written: `2026-11-22T10:00:00.123Z`, `2026-11-22T10:00:00.123+00:00`.
_ZULU: Final = itemgetter(4, 7, 10, 13, 16, -1)
_ZULU_MARKS: Final = frozenset({("-", "-", "T", ":", ":", "Z")})
_OFFSET: Final = itemgetter(4, 7, 10, 13, 16, -6, -3)
_OFFSET_MARKS: Final = frozenset({("-", "-", "T", ":", ":", "+", ":"), ("-", "-", "T", ":", ":", "-", ":")})
_HEX: Final = b"0123456789abcdefABCDEF"

_KIND: Final[dict[type, JsonKind]] = {
    str: JsonKind.STRING,
    int: JsonKind.NUMBER,
    float: JsonKind.NUMBER,
    bool: JsonKind.BOOL,
    dict: JsonKind.CONTAINER,
    list: JsonKind.CONTAINER,
}


class Text(StrEnum):
    """What a string looks like."""

    PLAIN = "plain"
    TIME = "datetime"
    GUID = "guid"


@dataclass(slots=True)
class Seen:
    """What one key holds over the batch. `texts` are its distinct texts, without the empty one."""

    kinds: set[JsonKind] = field(default_factory=set[JsonKind])
    looks: set[Text] = field(default_factory=set[Text])
    texts: set[str] = field(default_factory=set[str])
    has_bare_guids: bool = False
    is_too_long: bool = False

    def holds_only(self, look: Text) -> bool:
        """Whether all values are texts that look so, or null."""
        return self.kinds <= {JsonKind.STRING} and self.looks <= {look}

    def add(self, other: "Seen") -> None:
        """Take in what another key holds: the two are one column."""
        self.kinds |= other.kinds
        self.looks |= other.looks
        self.texts |= other.texts
        self.has_bare_guids |= other.has_bare_guids
        self.is_too_long |= other.is_too_long


def keys_of(records: Iterable[Json]) -> list[str]:
    """All keys of a batch."""
    return list(dict.fromkeys(key for keys in set(map(tuple, records)) for key in keys))


def observe(records: Sequence[Json], *, longest: int | None = None) -> dict[str, Seen]:
    """What each key of a batch holds. `longest` (bytes) marks keys with longer values."""
    groups: dict[tuple[str, ...], list[Json]] = {}
    for record in records:
        keys = tuple(record)
        group = groups.get(keys)
        if group is None:
            groups[keys] = [record]
        else:
            group.append(record)
    columns: dict[str, list[Sequence[Any]]] = {}
    if len(groups) * 4 > len(records) and len(records) > 16:
        # Hardly two records alike: there is nothing to transpose.
        single: dict[str, list[Any]] = {}
        for record in records:
            for key, value in record.items():
                column = single.get(key)
                if column is None:
                    single[key] = [value]
                else:
                    column.append(value)
        columns = {key: [values] for key, values in single.items()}
    else:
        for keys, rows in groups.items():
            for key, values in zip(keys, zip(*(row.values() for row in rows), strict=True), strict=False):
                parts = columns.get(key)
                if parts is None:
                    columns[key] = [values]
                else:
                    parts.append(values)
    found: dict[str, Seen] = {}
    for key, parts in columns.items():
        found[key] = Seen()
        _look(found[key], parts[0] if len(parts) == 1 else list(chain.from_iterable(parts)), longest=longest)
    return found


def _look(seen: Seen, values: Sequence[Any], *, longest: int | None) -> None:
    types = set(map(type, values))
    for each in types:
        if each in _KIND:
            seen.kinds.add(_KIND[each])
    if str in types:
        texts = set(values) if len(types) == 1 else {v for v in values if type(v) is str}
        _look_at_texts(seen, texts, longest=longest)
    if longest is not None and not seen.is_too_long and (dict in types or list in types):
        containers: list[Any] = [value for value in values if type(value) is dict or type(value) is list]
        seen.is_too_long = max(map(len, map(orjson.dumps, containers))) > longest


def _look_at_texts(seen: Seen, texts: set[str], *, longest: int | None) -> None:
    texts.discard("")  # an empty text says nothing about its column
    if not texts:
        return
    seen.texts = texts
    lengths = set(map(len, texts))
    if longest is not None and not seen.is_too_long and max(lengths) * 4 > longest:
        seen.is_too_long = any(len(t) * 4 > longest and len(t.encode()) > longest for t in texts)
    if lengths.isdisjoint(_SNIFFED):
        seen.looks.add(Text.PLAIN)
    elif lengths <= _TIME_LENGTHS and _all_times(texts):
        seen.looks.add(Text.TIME)
    elif lengths == {36} and _all_guids(texts):
        seen.looks.add(Text.GUID)
    else:
        _look_at_each(seen, texts)


def _look_at_each(seen: Seen, texts: set[str]) -> None:
    # Most texts are told from times and GUIDs by one character.
    odd = [t for t in texts if 16 <= len(t) <= 36 and (t[4] == "-" or t[8] == "-" or len(t) == 32)]
    if len(odd) < len(texts):
        seen.looks.add(Text.PLAIN)
    for text in odd:
        found = look(text)
        seen.looks.add(found)
        if found is Text.GUID and len(text) == 32:
            seen.has_bare_guids = True


def _all_times(texts: set[str]) -> bool:
    """Whether all are times in one of the two usual forms; False proves nothing."""
    if min(map(len, texts)) < 20:
        return False
    if not set(map(_ZULU, texts)) <= _ZULU_MARKS and not set(map(_OFFSET, texts)) <= _OFFSET_MARKS:
        return False
    try:
        for text in texts:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _all_guids(texts: set[str]) -> bool:
    """Whether all (of 36 characters) are dashed GUIDs."""
    joined, dashes = "".join(texts), "-" * len(texts)
    return (
        joined[8::36] == joined[13::36] == joined[18::36] == joined[23::36] == dashes
        and joined.encode(errors="replace").translate(None, _HEX) == dashes.encode() * 4
    )


def look(text: str) -> Text:
    """Whether a text is a time, a GUID (dashed or not), or neither."""
    size = len(text)
    if size == 36 and text[8] == "-" and _GUID.fullmatch(text):
        return Text.GUID
    if size == 32 and _is_bare_guid(text):
        return Text.GUID
    if (
        _SHORTEST_TIME <= size <= _LONGEST_TIME
        and text[4] == "-"
        and _TIME.fullmatch(text)
        and parse_iso_ticks(text) is not None
    ):
        return Text.TIME
    return Text.PLAIN


def dashed(text: str) -> str:
    """A GUID with its dashes, in the case it came in."""
    if len(text) != 32 or not _is_bare_guid(text):
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _is_bare_guid(text: str) -> bool:
    return _BARE_GUID.fullmatch(text) is not None


def cut(value: Any, longest: int) -> Any:
    """The value, or its text cut to `longest` bytes of UTF-8 (on a character's edge) if it is longer."""
    text = value if type(value) is str else orjson.dumps(value).decode()
    if len(text) * 4 <= longest:
        return value
    data = text.encode()
    return value if len(data) <= longest else data[:longest].decode(errors="ignore")
