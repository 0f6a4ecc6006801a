"""KQL's types, and how DuckDB holds each of them in plans, staged frames and segments."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class KqlType(StrEnum):
    """A scalar type, named as the Logs Query API names it on the wire."""

    BOOL = "bool"
    INT = "int"
    LONG = "long"
    REAL = "real"
    DECIMAL = "decimal"
    STRING = "string"
    DATETIME = "datetime"
    TIMESPAN = "timespan"
    GUID = "guid"
    DYNAMIC = "dynamic"


SQL_TYPE: Final[dict[KqlType, str]] = {
    KqlType.BOOL: "BOOLEAN",
    KqlType.INT: "INTEGER",
    KqlType.LONG: "BIGINT",
    KqlType.REAL: "DOUBLE",
    KqlType.DECIMAL: "DECIMAL(38,17)",
    KqlType.STRING: "VARCHAR",
    # Ticks of 100 ns (instants since 0001-01-01): docs/decisions/0001-datetime-as-ticks.md
    KqlType.DATETIME: "BIGINT",
    KqlType.TIMESPAN: "BIGINT",
    KqlType.GUID: "UUID",
    KqlType.DYNAMIC: "JSON",
}
"""Strings are never NULL in a relation: '' stands for absent. Every other type may be NULL. A dynamic null is SQL NULL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    type: KqlType
