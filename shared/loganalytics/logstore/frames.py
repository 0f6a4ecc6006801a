"""The staged form of a batch: frames of many tables in one blob, each with what is needed to read it, as the bytes came."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from shared.kernel.versions import check_version
from shared.kql.types import KqlType
from shared.loganalytics.logstore.errors import FrameRefused, StagedBlobUnreadable
from shared.loganalytics.logstore.model import Frame, FrameColumn, JsonKind

MAGIC: Final = b"OMSB"
VERSION: Final = 1
_PREFIX: Final = 12  # magic, version (4), header length (4)
_OURS: Final = frozenset({"TimeGenerated", "$ingestion_time", "_BilledSize", "_IsBillable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFrame:
    """A frame as it lies in a staged blob. `ticks` is the instant of its commit, `body` a view of the blob's bytes."""

    frame: Frame
    ticks: int


def check_frame(frame: Frame) -> None:
    """FrameRefused for what could be written but not read back."""
    if not frame.table:
        raise FrameRefused("a frame names no table")
    names = [column.name for column in frame.columns]
    seen = {name.lower() for name in names} | {name.lower() for name in frame.constants}
    if len(seen) != len(names) + len(frame.constants):
        raise FrameRefused(
            f"a frame of {frame.table} names a column twice (case aside): {sorted([*names, *frame.constants])}",
            target=frame.table,
        )
    for column in frame.columns:
        if not column.source or not column.name:
            raise FrameRefused(f"a frame of {frame.table} has a column without a name", target=frame.table)
    if ours := _OURS & {*names, *frame.constants}:
        raise FrameRefused(
            f"a frame of {frame.table} sets {sorted(ours)}, which the store sets", target=frame.table
        )


def encode(frames: Sequence[Frame], *, ticks: int) -> bytes:
    """One blob of all frames. Bodies go in as they are; a body that differs when read back is found by its checksum."""
    shapes: dict[bytes, int] = {}
    described: list[dict[str, Any]] = []
    for frame in frames:
        shape = orjson.dumps(
            [
                [column.source, column.name, column.type.value, sorted(column.kinds), column.pattern]
                for column in frame.columns
            ]
        )
        described.append(
            {
                "table": frame.table,
                "rows": frame.rows,
                "bytes": len(frame.body),
                "crc": zlib.crc32(frame.body),
                "shape": shapes.setdefault(shape, len(shapes)),
                "constants": dict(frame.constants),
                "time": frame.time_source,
                "bounds": frame.time_bounds,
                "received": frame.received_ticks,
                "billable": frame.billable,
            }
        )
    header = orjson.dumps(
        {"v": VERSION, "ticks": ticks, "shapes": [orjson.Fragment(s) for s in shapes], "frames": described}
    )
    parts = [MAGIC, VERSION.to_bytes(4, "big"), len(header).to_bytes(4, "big"), header]
    parts.extend(frame.body for frame in frames)
    return b"".join(parts)


def decode(blob: bytes, *, name: str, tables: frozenset[str] | None = None) -> list[StagedFrame]:
    """The frames of a staged blob, of `tables` only if given. StagedBlobUnreadable, StoredVersionUnsupported."""
    if len(blob) < _PREFIX or blob[:4] != MAGIC:
        raise StagedBlobUnreadable(f"{name} is no staged blob", target=name)
    check_version("staged blob", int.from_bytes(blob[4:8], "big"), current=VERSION)
    start = _PREFIX + int.from_bytes(blob[8:12], "big")
    header: dict[str, Any] = orjson.loads(blob[_PREFIX:start])
    shapes = [_columns(shape) for shape in header["shapes"]]
    found: list[StagedFrame] = []
    for one in header["frames"]:
        end = start + one["bytes"]
        if tables is None or one["table"] in tables:
            body = blob[start:end]
            if len(body) != one["bytes"] or zlib.crc32(body) != one["crc"]:
                raise StagedBlobUnreadable(f"{name} is damaged at byte {start}", target=name)
            frame = Frame(
                table=one["table"],
                rows=one["rows"],
                body=body,
                columns=shapes[int(one["shape"])],
                constants=one["constants"],
                time_source=one["time"],
                time_bounds=None if one["bounds"] is None else (one["bounds"][0], one["bounds"][1]),
                received_ticks=one["received"],
                billable=one["billable"],
            )
            found.append(StagedFrame(frame=frame, ticks=header["ticks"]))
        start = end
    if start != len(blob):
        raise StagedBlobUnreadable(f"{name} is {len(blob)} bytes long instead of {start}", target=name)
    return found


def _columns(shape: list[tuple[str, str, str, list[str], str | None]]) -> tuple[FrameColumn, ...]:
    return tuple(
        FrameColumn(
            source=source,
            name=name,
            type=KqlType(kind),
            kinds=frozenset(JsonKind(one) for one in kinds),
            pattern=pattern,
        )
        for source, name, kind, kinds, pattern in shape
    )
