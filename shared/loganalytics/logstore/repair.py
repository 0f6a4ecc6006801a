"""Frames that DuckDB's reader refuses (a key twice in one object, keys that differ in case) written anew, value by value.

Numbers keep their spelling. Of a key that occurs twice the last value counts, as with every JSON parser of ours.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, cast

from shared.loganalytics.logstore.model import Frame

_SURROGATES: Final = "surrogatepass"


class _Number(str):
    """A number as it was spelled."""

    __slots__ = ()


def collides(frame: Frame) -> bool:
    """Whether two keys of the frame differ only in case, which DuckDB's columns cannot."""
    sources = {column.source for column in frame.columns} | {frame.time_source or ""}
    return len({source.lower() for source in sources}) < len(sources)


def repaired(frame: Frame) -> Frame:
    """The same records, one a line, under keys that cannot collide, without what DuckDB refuses."""
    sources = dict.fromkeys([*(column.source for column in frame.columns), frame.time_source or ""])
    keys = {source: f"k{index}" for index, source in enumerate(sources)}
    lines = [
        "{"
        + ",".join(f'"{key}":{_text(record[source])}' for source, key in keys.items() if source in record)
        + "}"
        for record in _records(frame.body)
    ]
    body = "\n".join(lines).encode("utf-16", _SURROGATES).decode("utf-16", "replace").encode()
    return replace(
        frame,
        body=body,
        columns=[replace(column, source=keys[column.source]) for column in frame.columns],
        time_source=None if frame.time_source is None else keys[frame.time_source],
    )


def _records(body: bytes) -> Iterator[dict[str, Any]]:
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    decoder = json.JSONDecoder(
        parse_float=_Number, parse_int=_Number, parse_constant=lambda _: None, strict=False
    )
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in " \t\r\n":
            at += 1
        if at == end:
            return
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return (
            "{"
            + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_text(v)}" for k, v in members.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(_text(one) for one in cast("list[Any]", value)) + "]"
    return json.dumps(value, ensure_ascii=False)
