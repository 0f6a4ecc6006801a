"""OData filters for Azure Tables: every value becomes a typed literal, so that no text is ever read as syntax."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.storage.ports import Value


def literal(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return f"datetime'{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return "'" + value.replace("'", "''") + "'"


def row_filter(
    partition: str | None, start: str | None, before: str | None, where: Mapping[str, Value] | None = None
) -> str:
    terms: list[str] = []
    if partition is not None:
        terms.append(f"PartitionKey eq {literal(partition)}")
    if start is not None:
        terms.append(f"RowKey ge {literal(start)}")
    if before is not None:
        terms.append(f"RowKey lt {literal(before)}")
    terms += [f"{name} eq {literal(value)}" for name, value in (where or {}).items()]
    return " and ".join(terms)
