"""What a batch of records holds, key by key: one pass that groups records by their keys and looks at columns, not at values.

Records of one source have few shapes, so most of the work is done by C loops over whole columns (`set(map(type, …))`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from shared.kernel.ticks import parse_iso_ticks
from shared.loganalytics.ingestion.bodies import Json, count_keys
from shared.loganalytics.logstore.model import JsonKind

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BARE_GUID: Final = re.compile(r"[0-9a-fA-F]{32}")
# Date and time with a T, as ISO 8601 and the documentation of `time-generated-field` write it; other dates are text.
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_SHORTEST_TIME: Final = 16
_LONGEST_TIME: Final = 35
_SNIFFED: Final = frozenset({32, 36, *range(_SHORTEST_TIME, _LONGEST_TIME + 1)})

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
    """What one key holds over the batch. `texts` are its string columns, one for each shape of record."""

    kinds: set[JsonKind] = field(default_factory=set[JsonKind])
    looks: set[Text] = field(default_factory=set[Text])
    texts: list[Sequence[str]] = field(default_factory=list[Sequence[str]])
    has_bare_guids: bool = False
    is_too_long: bool = False

    def holds_only(self, look: Text) -> bool:
        """Whether all values are texts that look so, or null."""
        return self.kinds <= {JsonKind.STRING} and self.looks <= {look}


@dataclass(slots=True)
class Shape:
    """A whole batch: what its keys hold, and how many keys there are at all depths."""

    seen: dict[str, Seen]
    keys: int


def observe(records: Sequence[Json], *, sniff: bool, longest: int | None = None) -> Shape:
    """Look through a batch. `sniff` tells times and GUIDs from other text; `longest` (bytes) marks keys with longer values."""
    groups: dict[tuple[str, ...], list[Json]] = {}
    for record in records:
        keys = tuple(record)
        group = groups.get(keys)
        if group is None:
            groups[keys] = [record]
        else:
            group.append(record)
    shape = Shape(seen={}, keys=sum(len(keys) * len(rows) for keys, rows in groups.items()))
    if len(groups) * 4 > len(records) and len(records) > 16:
        # Hardly two records alike: columns across shapes are longer than columns within one.
        columns: dict[str, list[Any]] = {}
        for record in records:
            for key, value in record.items():
                columns.setdefault(key, []).append(value)
        for key, values in columns.items():
            _look(shape, key, values, sniff=sniff, longest=longest)
        return shape
    for keys, rows in groups.items():
        for key, values in zip(keys, zip(*(row.values() for row in rows), strict=True), strict=False):
            _look(shape, key, values, sniff=sniff, longest=longest)
    return shape


def _look(shape: Shape, key: str, values: Sequence[Any], *, sniff: bool, longest: int | None) -> None:
    seen = shape.seen.get(key)
    if seen is None:
        seen = shape.seen[key] = Seen()
    types = set(map(type, values))
    types.discard(type(None))
    for each in types:
        seen.kinds.add(_KIND[each])
    if dict in types or list in types:
        containers: list[Any] = [value for value in values if type(value) is dict or type(value) is list]
        shape.keys += count_keys(containers)
        if longest is not None and not seen.is_too_long:
            seen.is_too_long = any(len(orjson.dumps(each)) > longest for each in containers)
    if str in types:
        texts = values if len(types) == 1 and None not in values else [v for v in values if type(v) is str]
        _look_at_texts(seen, texts, sniff=sniff, longest=longest)


def _look_at_texts(seen: Seen, texts: Sequence[str], *, sniff: bool, longest: int | None) -> None:
    lengths = set(map(len, texts))
    if longest is not None and not seen.is_too_long and max(lengths) * 4 > longest:
        seen.is_too_long = any(len(t) * 4 > longest and len(t.encode()) > longest for t in texts)
    if not sniff:
        return
    seen.texts.append(texts)
    lengths.discard(0)  # an empty text says nothing about its column
    if not lengths:
        return
    if lengths.isdisjoint(_SNIFFED):
        seen.looks.add(Text.PLAIN)
        return
    if not lengths <= _SNIFFED:
        seen.looks.add(Text.PLAIN)
    if not lengths.isdisjoint((32, 36)) and any(_is_bare_guid(t) for t in texts if len(t) == 32):
        seen.has_bare_guids = True
    seen.looks.update(_looks(texts, seen.looks))


def _looks(texts: Sequence[str], known: set[Text]) -> set[Text]:
    """What texts look like, stopping as soon as nothing new can be found."""
    found = set(known)
    for text in texts:
        if text:
            found.add(look(text))
            if len(found) == len(Text):
                break
    return found


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


def all_texts(seen: Seen) -> Iterable[str]:
    """The key's texts over all shapes, without the empty ones."""
    return (text for texts in seen.texts for text in texts if text)
