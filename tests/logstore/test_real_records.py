"""Real records of many shapes and mixed types, all kept; and records of our own as wide and as mixed where those are not at hand."""

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.kernel.clock import ManualClock
from shared.kql.types import KqlType
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.model import FrameColumn, JsonKind
from shared.loganalytics.logstore.sweeping import due_tables
from shared.storage.memory import MemoryStorage
from tests.logstore.samples import WORKSPACE, ask, frame, store_on

SHARED = os.environ.get("OMS_SHARED")
ORIGINS = ["our own", *(["security events"] if SHARED else [])]
KINDS = {
    bool: (KqlType.BOOL, JsonKind.BOOL, "b"),
    int: (KqlType.REAL, JsonKind.NUMBER, "d"),
    float: (KqlType.REAL, JsonKind.NUMBER, "d"),
    str: (KqlType.STRING, JsonKind.STRING, "s"),
    list: (KqlType.DYNAMIC, JsonKind.CONTAINER, "l"),
    dict: (KqlType.DYNAMIC, JsonKind.CONTAINER, "l"),
}


def records_of(origin: str) -> list[dict[str, Any]]:
    if origin == "security events":
        path = Path(SHARED or "") / "logstore" / "security_events.ndjson.gz"
        return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    values: list[Any] = [1, 2.5, "text", True, None, {"a": [1]}, [1, 2], "é\n", "2026-01-01T00:00:00Z"]
    return [
        {f"k{(n * 7 + j) % 80}": values[(n + j * j) % len(values)] for j in range(30)} for n in range(600)
    ]


def columns_of(records: Sequence[dict[str, Any]]) -> Iterator[FrameColumn]:
    """One column for each key and kind of value, as custom logs have them."""
    seen: set[tuple[str, str]] = set()
    taken: set[str] = set()
    for record in records:
        for key, value in record.items():
            if value is None or (key, KINDS[type(value)][2]) in seen:
                continue
            kind, only, suffix = KINDS[type(value)]
            seen.add((key, suffix))
            name = f"{key}_{suffix}"
            while name.lower() in taken:
                name = f"{name}x"
            taken.add(name.lower())
            yield FrameColumn(source=key, name=name, type=kind, kinds=frozenset({only}))


def stored(value: Any) -> Any:
    """A value as its column holds it."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_record_comes_out_with_every_value_before_and_after_compaction(
    origin: str, storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    records = records_of(origin)
    columns = list(columns_of(records))
    schema = {column.name: column.type for column in columns}
    store = store_on(storage, tmp_path, clock)
    for first in range(0, len(records), 250):
        store.append(WORKSPACE, [frame(records[first : first + 250], clock, columns=columns)])
    expected = [
        tuple(
            stored(value)
            if (value := record.get(column.source)) is not None and KINDS[type(value)][1] in column.kinds
            else ("" if column.type is KqlType.STRING else None)
            for column in columns
        )
        for record in records
    ]
    expected.sort(key=repr)
    assert ask(store, schema=schema) == expected
    compactor = Compactor(store=store, compact_bytes=400_000)
    while due_tables(store, WORKSPACE):
        compactor.compact(WORKSPACE, "App_CL")
    compactor.merge(WORKSPACE, "App_CL")
    assert ask(store, schema=schema) == expected
