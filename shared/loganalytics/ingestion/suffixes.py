"""How a custom log's properties become columns: `_s _b _d _t _g` after the property's name, by what its values are.

A value goes to the column of its own type if there is one, else to one that it converts to, else to a new column:
learn.microsoft.com/azure/azure-monitor/logs/data-collector-api#record-type-and-properties. Decided per key and batch, so
that the order of records does not matter: texts of several kinds that have no column yet share one of strings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.kernel.ticks import parse_iso_ticks
from shared.kql.types import KqlType
from shared.loganalytics.ingestion.shapes import Seen, Text
from shared.loganalytics.logstore.model import JsonKind

_NUMBER: Final = re.compile(r"[+-]?\d{1,300}(\.\d{0,300})?([eE][+-]?\d{1,2})?")


class Suffix(StrEnum):
    """The end of a column's name, and so its type."""

    STRING = "s"
    BOOL = "b"
    REAL = "d"
    TIME = "t"
    GUID = "g"


TYPE: Final[Mapping[Suffix, KqlType]] = {
    Suffix.STRING: KqlType.STRING,
    Suffix.BOOL: KqlType.BOOL,
    Suffix.REAL: KqlType.REAL,
    Suffix.TIME: KqlType.DATETIME,
    Suffix.GUID: KqlType.STRING,  # "GUID (stored as a string)"
}

_OF_LOOK: Final[Mapping[Text, Suffix]] = {
    Text.PLAIN: Suffix.STRING,
    Text.TIME: Suffix.TIME,
    Text.GUID: Suffix.GUID,
}


@dataclass(slots=True)
class Placement:
    """Where the values of one key go. Nothing for a kind means that the batch has none of it."""

    kinds: dict[JsonKind, Suffix] = field(default_factory=dict[JsonKind, Suffix])
    texts: dict[Text, Suffix] = field(default_factory=dict[Text, Suffix])

    @property
    def suffixes(self) -> list[Suffix]:
        """The columns, each once."""
        return list(dict.fromkeys((*self.kinds.values(), *self.texts.values())))

    @property
    def splits_texts(self) -> bool:
        return len(set(self.texts.values())) > 1

    def kinds_of(self, suffix: Suffix) -> frozenset[JsonKind]:
        """The kinds that a column reads: none named where it reads all that the key has."""
        if len(self.suffixes) == 1:
            return frozenset()
        kinds = {kind for kind, place in self.kinds.items() if place is suffix}
        if suffix in self.texts.values():
            kinds.add(JsonKind.STRING)
        return frozenset(kinds)


def place(seen: Seen, existing: frozenset[Suffix]) -> Placement:
    """Where this batch's values of a key go, given the columns that the key has already."""
    placement = Placement()
    for kind, suffix in (
        (JsonKind.NUMBER, Suffix.REAL),
        (JsonKind.BOOL, Suffix.BOOL),
        # An object or array is kept as its JSON text.
        (JsonKind.CONTAINER, Suffix.STRING),
    ):
        if kind in seen.kinds:
            placement.kinds[kind] = suffix
    if JsonKind.STRING not in seen.kinds:
        return placement
    if not seen.looks:
        # Only empty texts, which any column holds as nothing.
        if not existing and not placement.kinds:
            placement.texts[Text.PLAIN] = Suffix.STRING
        return placement
    new: list[Text] = []
    for look in sorted(seen.looks):
        found = _existing(look, seen, existing)
        if found is None:
            new.append(look)
        else:
            placement.texts[look] = found
    for look in new:
        mixed = len(seen.looks) > 1 and look is not Text.PLAIN
        placement.texts[look] = Suffix.STRING if mixed else _OF_LOOK[look]
    return placement


def _existing(look: Text, seen: Seen, existing: frozenset[Suffix]) -> Suffix | None:
    if _OF_LOOK[look] in existing:
        return _OF_LOOK[look]
    if Suffix.STRING in existing:
        return Suffix.STRING
    if look is not Text.PLAIN or len(seen.looks) > 1:
        return None
    for suffix in (Suffix.REAL, Suffix.BOOL, Suffix.TIME):
        if suffix in existing and all(converts(text, suffix) for text in seen.texts):
            return suffix
    return None


def converts(text: str, suffix: Suffix) -> bool:
    """Whether a text says a value of that column's type."""
    match suffix:
        case Suffix.REAL:
            return _NUMBER.fullmatch(text) is not None
        case Suffix.BOOL:
            return text.lower() in ("true", "false")
        case Suffix.TIME:
            return parse_iso_ticks(text) is not None
        case _:
            return True
