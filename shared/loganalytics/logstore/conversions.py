"""From JSON values to columns: the SQL expressions that give a record its stored form, the same for every reader.

A key is read from the body as text (`VARCHAR`: strings unescaped, everything else as JSON), or as JSON where its
columns ask what kind of value it is. Text that is not a value of the column's type becomes NULL.
"""

from collections.abc import Collection, Iterable
from typing import Final

from shared.kernel.ticks import MAX_TICKS, UNIX_EPOCH_TICKS
from shared.kql.types import SQL_TYPE, KqlType
from shared.loganalytics.logstore.model import (
    DATETIME_PATTERN,
    GUID_PATTERN,
    FrameColumn,
    JsonKind,
)

_TIMESPAN: Final = r"^(-?)(?:(\d{1,7})\.)?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?$"
_SLOW_DATETIME: Final = (
    r"\d{4}-\d{2}-\d{2}([Tt ]([01]\d|2[0-3]):\d{2}(:\d{2}([.,]\d{1,9}\d*)?)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?"
)
_OFFSET: Final = r"\s*(?:[Zz]|([+-])(\d{2}):?(\d{2}))$"
_KIND_SQL: Final = {
    JsonKind.STRING: "starts_with({0}, '\"')",
    JsonKind.BOOL: "starts_with({0}, 't') OR starts_with({0}, 'f')",
    JsonKind.CONTAINER: "starts_with({0}, '{{') OR starts_with({0}, '[')",
    # Of what JSON may begin with, only a minus and the digits lie there. (An IN list would become a join for each column.)
    JsonKind.NUMBER: "{0} >= '-' AND {0} < ':'",
}


def name_sql(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text_sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def empty_sql(kind: KqlType) -> str:
    """What a column holds where a record has no value for it."""
    return "''" if kind is KqlType.STRING else f"NULL::{SQL_TYPE[kind]}"


def reads_json(columns: Iterable[FrameColumn]) -> bool:
    """Whether a key must be read as JSON: its columns ask for the kind of its values, or keep them as they are."""
    return any(c.kinds or c.pattern or c.type is KqlType.DYNAMIC for c in columns)


def datetime_sql(text: str) -> str:
    """Ticks of ISO 8601 text, up to the seventh digit. Like `parse_iso_ticks`, but in DuckDB."""
    # DuckDB's cast cuts after the sixth digit and takes more than ISO 8601, hence the guards. The form that nearly
    # all records have is told by LIKE (71 ns a value); anything else by a regular expression (177 ns).
    usual = (
        f"{text} LIKE '____-__-__T__:__:__%Z' AND {text} NOT LIKE '___________24%'"
        f" AND {text} NOT LIKE '0000%' AND strlen({text}) BETWEEN 20 AND 28"
    )
    quick = (
        f"epoch_us(TRY_CAST({text} AS TIMESTAMP)) * 10 + {UNIX_EPOCH_TICKS}"
        f" + CASE WHEN strlen({text}) = 28 THEN TRY_CAST({text}[27] AS BIGINT) ELSE 0 END"
    )
    # The cast also ignores an offset, so it is taken off and counted apart.
    bare = f"replace(regexp_replace(trim({text}), {text_sql(_OFFSET)}, ''), ',', '.')"
    sign = f"CASE WHEN regexp_extract({text}, {text_sql(_OFFSET)}, 1) = '-' THEN -1 ELSE 1 END"

    def digits(pattern: str, group: int) -> str:
        return f"coalesce(TRY_CAST(nullif(regexp_extract(trim({text}), {text_sql(pattern)}, {group}), '') AS BIGINT), 0)"

    shift = f"{sign} * ({digits(_OFFSET, 2)} * 60 + {digits(_OFFSET, 3)}) * 600000000"
    slow = (
        f"epoch_us(TRY_CAST({bare} AS TIMESTAMP)) * 10 + {UNIX_EPOCH_TICKS}"
        f" + {digits('[.,][0-9]{6}([0-9])', 1)} - {shift}"
    )
    return (
        f"coalesce(CASE WHEN {usual} THEN {quick} END, CASE WHEN regexp_full_match(trim({text}), {text_sql(_SLOW_DATETIME)})"
        f" THEN CASE WHEN {slow} BETWEEN 0 AND {MAX_TICKS} THEN {slow} END END)"
    )


def timespan_sql(text: str) -> str:
    def part(group: int) -> str:
        return f"coalesce(TRY_CAST(nullif(regexp_extract({text}, {text_sql(_TIMESPAN)}, {group}), '') AS BIGINT), 0)"

    sign = f"CASE WHEN starts_with({text}, '-') THEN -1 ELSE 1 END"
    fraction = f"TRY_CAST(rpad(regexp_extract({text}, {text_sql(_TIMESPAN)}, 6), 7, '0') AS BIGINT)"
    return (
        f"CASE WHEN regexp_matches({text}, {text_sql(_TIMESPAN)}) AND {part(3)} < 24 AND {part(4)} < 60 AND {part(5)} < 60"
        f" THEN {sign} * ((((({part(2)} * 24 + {part(3)}) * 60 + {part(4)}) * 60 + {part(5)}) * 10000000) + {fraction}) END"
    )


def whole_sql(text: str, kind: str) -> str:
    """A number without a fraction. `1.0` is one, `1.5` is not (a cast would round it)."""
    real = f"TRY_CAST({text} AS DOUBLE)"
    return (
        f"CASE WHEN contains({text}, '.') THEN CASE WHEN {real} = trunc({real}) THEN TRY_CAST({real} AS {kind}) END"
        f" ELSE TRY_CAST({text} AS {kind}) END"
    )


def convert_sql(text: str, kind: KqlType) -> str:
    """`text` (an expression of type VARCHAR) as a value of `kind`, NULL where it is none."""
    match kind:
        case KqlType.STRING:
            return f"coalesce({text}, '')"
        case KqlType.BOOL:
            return f"CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false WHEN '1' THEN true WHEN '0' THEN false END"
        case KqlType.INT | KqlType.LONG:
            return whole_sql(text, SQL_TYPE[kind])
        case KqlType.DATETIME:
            return datetime_sql(text)
        case KqlType.TIMESPAN:
            return timespan_sql(text)
        case KqlType.REAL | KqlType.DECIMAL | KqlType.GUID:
            return f"TRY_CAST({text} AS {SQL_TYPE[kind]})"
        case KqlType.DYNAMIC:
            raise AssertionError("a dynamic column is read as JSON")


def json_text_sql(json: str) -> str:
    """The text of a JSON value: a string's characters, anything else as it is written."""
    inner = f"CASE WHEN contains({json}, '\\') THEN {json}->>'$' ELSE {json}[2:-2] END"
    return f"CASE WHEN starts_with({json}, '\"') THEN {inner} ELSE {json} END"


def _text_of_kinds(kinds: Collection[JsonKind], json: str) -> str:
    """As `json_text_sql`, but shorter where only some kinds come here: planning a wide table costs by the expression."""
    if kinds and JsonKind.STRING not in kinds:
        return json
    if kinds == {JsonKind.STRING}:
        return f"CASE WHEN contains({json}, '\\') THEN {json}->>'$' ELSE {json}[2:-2] END"
    return json_text_sql(json)


def column_sql(column: FrameColumn, source: str, *, as_json: bool) -> str:
    """The value of a column, given the expression of its key."""
    if not as_json:
        return convert_sql(source, column.type)
    wanted = _wanted_sql(column, f"({source}::VARCHAR)")
    if column.type is KqlType.DYNAMIC:
        return f"CASE WHEN {wanted} THEN {source} END" if wanted else source
    value = convert_sql(_text_of_kinds(column.kinds, f"({source}::VARCHAR)"), column.type)
    return f"CASE WHEN {wanted} THEN {value} ELSE {empty_sql(column.type)} END" if wanted else value


def _wanted_sql(column: FrameColumn, json: str) -> str:
    clauses: list[str] = []
    if column.kinds:
        clauses.append(f"({' OR '.join(_KIND_SQL[kind].format(json) for kind in sorted(column.kinds))})")
    if column.pattern:
        text = json_text_sql(json)
        guid = f"regexp_full_match({text}, {text_sql(GUID_PATTERN)})"
        time = (
            f"(regexp_full_match({text}, {text_sql(DATETIME_PATTERN)}) AND {datetime_sql(text)} IS NOT NULL)"
        )
        patterns = {"guid": guid, "datetime": time, "plain": f"NOT ({guid} OR {time})"}
        clauses.append(f"(NOT starts_with({json}, '\"') OR {patterns[column.pattern]})")
    return " AND ".join(clauses)
