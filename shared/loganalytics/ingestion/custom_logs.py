"""Custom logs: a batch of free-form records becomes a frame, and its table gets the columns that were missing."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.kernel.ticks import duration_ticks, ticks_of
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion import bodies
from shared.loganalytics.ingestion.errors import InvalidDataFormat
from shared.loganalytics.ingestion.shapes import Seen, Text, cut, dashed, look, observe
from shared.loganalytics.ingestion.suffixes import TYPE, Placement, Suffix, place
from shared.loganalytics.logstore.model import Frame, FrameColumn
from shared.loganalytics.tables.model import MAX_COLUMN_NAME, MAX_COLUMNS, LogTable

MAX_FIELD_BYTES: Final = 32 * 1024
OLDEST: Final = timedelta(days=2)
LATEST: Final = timedelta(days=1)

TIME: Final = "TimeGenerated"
RESERVED: Final = frozenset({"tenant", TIME, "RawData"})
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Extend = Callable[[Iterable[Column]], LogTable]
"""Makes sure that the table has these columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomLog:
    """A batch on its way to one custom table: the parsed body, and how many bytes it was."""

    table: str
    value: Any
    size: int
    time_field: str = ""
    constants: Mapping[str, str]
    received: datetime
    request_id: bytes | None = None


def custom_log_frame(log: CustomLog, table: LogTable | None, extend: Extend) -> Frame | None:
    """The frame of a batch; None if it holds no record. `extend` is called once, when all else was found right.

    InvalidDataFormat for what the protocol does not take, and what `extend` raises; nothing is changed then.
    """
    try:
        records = bodies.objects(log.value, single=True)
    except bodies.BodyUnreadable as bad:
        raise InvalidDataFormat(str(bad)) from None
    if not records:
        return None
    batch = _Batch(log, records)
    batch.settle_names()
    placements = {key: place(seen, _existing(table, batch.base(key))) for key, seen in batch.seen.items()}
    columns: list[FrameColumn] = []
    for key, placement in placements.items():
        columns.extend(batch.columns(key, placement, table))
    extend([Column(name=column.name, type=column.type) for column in columns])
    return Frame(
        table=log.table,
        rows=len(records),
        body=bodies.write(batch.records),
        columns=columns,
        constants=log.constants,
        time_source=batch.time_field or None,
        time_bounds=(
            ticks_of(log.received) - duration_ticks(OLDEST),
            ticks_of(log.received) + duration_ticks(LATEST),
        ),
        received_ticks=ticks_of(log.received),
        request_id=log.request_id,
    )


class _Batch:
    """The records with what was seen of them; changed in place where their text cannot go as it came."""

    def __init__(self, log: CustomLog, records: list[dict[str, Any]]) -> None:
        self.log = log
        self.records = records
        # No field is longer than the whole body.
        self.longest = MAX_FIELD_BYTES if log.size > MAX_FIELD_BYTES else None
        self.seen: dict[str, Seen] = observe(records, longest=self.longest)
        self.time_field = log.time_field or (TIME if TIME in self.seen else "")

    def settle_names(self) -> None:
        """Refuse names that cannot be columns, let keys that mean one column be one key, and cut what is too long."""
        held = sum(bool(seen.kinds) for seen in self.seen.values())
        if held > MAX_COLUMNS:
            raise InvalidDataFormat(
                f"the records have {held} properties; a table has up to {MAX_COLUMNS} columns"
            )
        spelled: dict[str, list[str]] = {}
        for key in self.seen:
            self._check(key)
            spelled.setdefault(self.base(key).lower(), []).append(key)
        for keys in spelled.values():
            if len(keys) > 1 or _CONTROL.search(keys[0]):
                self._merge(keys)
        long = [key for key, seen in self.seen.items() if seen.is_too_long]
        for record in self.records if long else ():
            for key in long:
                if key in record and type(record[key]) in (str, dict, list):
                    record[key] = cut(record[key], MAX_FIELD_BYTES)
        if long:
            self.seen = observe(self.records)

    def base(self, key: str) -> str:
        return _NOT_IN_NAMES.sub("_", key)

    def columns(self, key: str, placement: Placement, table: LogTable | None) -> list[FrameColumn]:
        """The columns that read this key."""
        sources = self._split(key, placement) if placement.splits_texts else {}
        if self.seen[key].has_bare_guids and placement.texts.get(Text.GUID) is Suffix.GUID:
            self._dash(sources.get(Suffix.GUID, key))
        made: list[FrameColumn] = []
        for suffix in placement.suffixes:
            name = f"{self.base(key)}_{suffix}"
            known = None if table is None else table.folded.get(name.lower())
            # A column that somebody declared with another type is refused by `extend`, except that a guid reads a GUID.
            is_guid = known is not None and known.type is KqlType.GUID and suffix is Suffix.GUID
            made.append(
                FrameColumn(
                    source=sources.get(suffix, key),
                    name=name if known is None else known.name,
                    type=KqlType.GUID if is_guid else TYPE[suffix],
                    kinds=frozenset() if suffix in sources else placement.kinds_of(suffix),
                )
            )
        return made

    def _check(self, key: str) -> None:
        # Senders that repeat the record's time under its own name mean it so; it is the time field unless another is.
        if key in RESERVED and not (key == TIME and self.seen[key].holds_only(Text.TIME)):
            raise InvalidDataFormat(f"the property name {key} is reserved", target=key)
        if not key:
            raise InvalidDataFormat("a property has an empty name")
        if len(key) > MAX_COLUMN_NAME:
            raise InvalidDataFormat(
                f"the property name {key[:80]!r} is longer than {MAX_COLUMN_NAME} characters", target=key[:80]
            )

    def _merge(self, keys: list[str]) -> None:
        """Let one key stand for all of these, which differ only in case or in characters that no column's name holds."""
        one = self.time_field if self.time_field in keys else _CONTROL.sub("_", keys[0])
        for record in self.records:
            found = [key for key in keys if key in record]
            if len(found) > 1:
                raise InvalidDataFormat(
                    f"the properties {found[0]!r} and {found[1]!r} of one record would be one column",
                    target=found[1],
                )
            if found and found[0] != one:
                record[one] = record.pop(found[0])
        merged = Seen()
        for key in keys:
            merged.add(self.seen.pop(key))
        self.seen[one] = merged

    def _split(self, key: str, placement: Placement) -> dict[Suffix, str]:
        """Give each kind of text its own key, since they go to several columns. Other kinds stay where they are."""
        taken = self.seen.keys()
        sources: dict[Suffix, str] = {}
        for suffix in set(placement.texts.values()):
            source = f"{key}#{suffix}"
            while source in taken:
                source += "#"
            sources[suffix] = source
        for record in self.records:
            value = record.get(key)
            if type(value) is str and value:
                source = sources[placement.texts[look(value)]]
            elif type(value) in (dict, list) and Suffix.STRING in sources:
                source = sources[Suffix.STRING]  # an object's text goes to the column of plain texts
            else:
                continue
            record[source] = value
            if key != self.time_field:
                del record[key]
        return sources

    def _dash(self, source: str) -> None:
        for record in self.records:
            value = record.get(source)
            if type(value) is str:
                record[source] = dashed(value)


def _existing(table: LogTable | None, base: str) -> frozenset[Suffix]:
    if table is None:
        return frozenset()
    return frozenset(suffix for suffix in Suffix if f"{base}_{suffix}".lower() in table.folded)
