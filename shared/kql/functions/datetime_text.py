"""Reading instants from text: ISO 8601 fast, and then all that todatetime() accepts besides.

learn.microsoft.com/kusto/query/scalar-data-types/datetime
"""

from typing import Final

from shared.kql.functions.macros import EPOCH_TICKS, MACROS

_DATES: Final = (
    "%m/%d/%Y",
    "%m-%d-%Y",
    "%d %b %y",
    "%d %b %Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%a, %d %b %y",
    "%a, %d %b %Y",
    "%A, %d-%b-%y",
    "%A, %B %d, %Y",
)
_TIMES: Final = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    " %H:%M:%S GMT",
    " %H:%M:%S UTC",
    " %H:%M:%S Z",
    " %I:%M %p",
    " %I:%M:%S %p",
)
_FORMATS: Final = ", ".join(f"'{date}{time}'" for date in _DATES for time in _TIMES)
_ISO: Final = r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[T ]\s*\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,]\d{1,9})?)?)?\s*"

# DuckDB's timestamps end at microseconds: the seventh digit is added.
MACROS.define(
    "kql_seventh_digit(s)",
    "CASE WHEN length(s) > 26"
    " THEN coalesce(TRY_CAST(substr(s, greatest(instr(s, '.'), instr(s, ',')) + 7, 1) AS BIGINT), 0) ELSE 0 END",
)
MACROS.define("kql_micros_ticks(us)", f"us * 10 + {EPOCH_TICKS}")
MACROS.define("kql_named_zone(s)", r"regexp_replace(replace(s, ',', '.'), '\s*(?:UTC|GMT|Z|z)\s*$', '')")
MACROS.define(
    "kql_iso_micros(s)",
    "epoch_us(coalesce(TRY_CAST(s AS TIMESTAMP), TRY_CAST(kql_named_zone(s) AS TIMESTAMP)))",
)
MACROS.define(
    "kql_offset_micros(s)",
    r"epoch_us(TRY_CAST(regexp_replace(replace(s, ',', '.'), '([+-]\d{2}):?(\d{2})\s*$', '\1:\2') AS TIMESTAMPTZ))",
)
TEXT_DATETIME: Final = MACROS.define(
    "kql_text_datetime(s)",
    rf"""
    CASE
    WHEN s = '' THEN NULL
    WHEN regexp_full_match(s, '{_ISO}(?:Z|z|UTC|GMT)?\s*') THEN kql_micros_ticks(kql_iso_micros(s)) + kql_seventh_digit(s)
    WHEN regexp_full_match(s, '{_ISO}[+-]\d{{2}}:?\d{{2}}\s*')
    THEN kql_micros_ticks(kql_offset_micros(s)) + kql_seventh_digit(s)
    WHEN regexp_matches(s, '\d') THEN kql_micros_ticks(epoch_us(try_strptime(trim(s), [{_FORMATS}])))
    END
    """,
)
