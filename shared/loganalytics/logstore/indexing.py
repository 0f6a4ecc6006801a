"""Building a segment's term index, row group by row group, from its Parquet file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.kql.types import KqlType
from shared.loganalytics.logstore.terms import INDEXED, TermIndex, bloom, json_runs, runs

_JOINED_ROWS: Final = 16_384

# pyright: basic, reportAttributeAccessIssue=false
# pyarrow's compute functions are made at run time, its buffers are untyped.


def index_terms(path: Path, columns: Mapping[str, KqlType]) -> TermIndex:
    """One filter per row group, over all text of the segment."""
    indexed = {name: kind for name, kind in columns.items() if kind in INDEXED}
    with pq.ParquetFile(path) as file:
        texts = [name for name, kind in indexed.items() if kind is not KqlType.GUID]
        repeated = [name for name in texts if _is_dictionary(file, name)]
    with pq.ParquetFile(path, read_dictionary=repeated) as file:
        filters = [bloom(_group_terms(file, group, indexed)) for group in range(file.metadata.num_row_groups)]
    return TermIndex(filters)


def _is_dictionary(file: Any, name: str) -> bool:
    """Whether the file keeps few distinct values of the column, so that each needs a look only once."""
    if not file.metadata.num_row_groups:
        return False
    chunk = file.metadata.row_group(0).column(file.schema_arrow.get_field_index(name))
    return any("DICTIONARY" in encoding for encoding in chunk.encodings)


def _group_terms(file: Any, group: int, columns: Mapping[str, KqlType]) -> set[bytes]:
    table = file.read_row_group(group, columns=list(columns))
    terms: set[bytes] = set()
    for name, kind in columns.items():
        values = table[name].combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = values.chunk(0) if values.num_chunks else pa.array([], values.type)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary
        if kind is KqlType.GUID:
            terms.update(_guid_terms(values))
        else:
            terms.update((json_runs if kind is KqlType.DYNAMIC else runs)(_joined(values)))
    return terms


def _joined(values: Any) -> bytes:
    """All values with a space between them."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    values = values.drop_null()
    # Joining takes arrays of less than 2 GB only; a value may have 32 KB.
    parts = (values.slice(at, _JOINED_ROWS) for at in range(0, len(values), _JOINED_ROWS))
    return b" ".join(_joined_part(part.cast(pa.string())) for part in parts)


def _joined_part(values: Any) -> bytes:
    lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    return pc.binary_join(lists, " ")[0].as_buffer().to_pybytes()


def _guid_terms(values: Any) -> Iterator[bytes]:
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    text = b"".join(value for value in values.drop_null().to_pylist()).hex().encode()
    for at in range(0, len(text), 32):
        one = text[at : at + 32]
        yield from (one[:8], one[8:12], one[12:16], one[16:20], one[20:])
