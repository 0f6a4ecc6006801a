"""SQL macros that functions share: each is written once, and is sent only where a query needs it, after those it calls."""

import re
from typing import Final

from shared.kql.functions.registry import Emission

DAY_TICKS: Final = 864_000_000_000
EPOCH_TICKS: Final = 621_355_968_000_000_000
"""1970-01-01 in ticks since 0001-01-01."""

_CALLED: Final = re.compile(r"\b(kql_\w+)\(")


class MacroSet:
    """Macros by name. What a macro calls is read from its body."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}

    def define(self, signature: str, body: str) -> str:
        """Add a macro, `name(parameter, …)`, and give its name back."""
        name = signature[: signature.index("(")]
        body = " ".join(body.split())
        calls = tuple(dict.fromkeys(_CALLED.findall(body)))
        self._known[name] = (f"CREATE OR REPLACE MACRO {signature} AS ({body})", calls)
        return name

    def require(self, emission: Emission, name: str) -> None:
        """Have the macro, and before it all that it calls, defined for this query."""
        definition, calls = self._known[name]
        for called in calls:
            self.require(emission, called)
        emission.macro(definition)

    def require_called(self, emission: Emission, sql: str) -> None:
        """Have every macro that `sql` calls defined."""
        for name in _CALLED.findall(sql):
            self.require(emission, name)


MACROS: Final = MacroSet()

MACROS.define(
    "kql_wrap_int(x)",
    """
    ((x & 2147483647) - (x & 2147483648))::INTEGER
    """,
)

MACROS.define(
    "kql_wrap_long(x)",
    """
    CASE
    WHEN x BETWEEN -9223372036854775808 AND 9223372036854775807 THEN x::BIGINT
    ELSE ((x & 9223372036854775807::HUGEINT) - (x & 9223372036854775808::HUGEINT))::BIGINT
    END
    """,
)

MACROS.define(
    "kql_real_long(x)",
    """
    CASE
    WHEN isnan(x) THEN NULL
    WHEN x >= 9223372036854775807 THEN 9223372036854775807
    WHEN x <= -9223372036854775808 THEN -9223372036854775808
    ELSE trunc(x)::BIGINT
    END
    """,
)

MACROS.define(
    "kql_real_int(x)",
    """
    CASE
    WHEN isnan(x) THEN NULL
    WHEN x >= 2147483647 THEN 2147483647
    WHEN x <= -2147483648 THEN -2147483648
    ELSE trunc(x)::INTEGER
    END
    """,
)

MACROS.define(
    "kql_text_long(s)",
    r"""
    CASE
    WHEN regexp_full_match(s, '\s*[+-]?[0-9]+\s*') THEN TRY_CAST(trim(s, E' \t\r\n') AS BIGINT)
    WHEN regexp_full_match(s, '\s*0[xX][0-9a-fA-F]{1,16}\s*') THEN kql_wrap_long(TRY_CAST(trim(s, E' \t\r\n') AS HUGEINT))
    END
    """,
)

MACROS.define(
    "kql_text_int(s)",
    r"""
    CASE
    WHEN regexp_full_match(s, '\s*[+-]?[0-9]+\s*') THEN TRY_CAST(trim(s, E' \t\r\n') AS INTEGER)
    WHEN regexp_full_match(s, '\s*0[xX][0-9a-fA-F]{1,8}\s*') THEN kql_wrap_int(TRY_CAST(trim(s, E' \t\r\n') AS BIGINT))
    END
    """,
)

MACROS.define(
    "kql_text_real(s)",
    """
    CASE
    WHEN contains(s, '_') THEN NULL
    WHEN contains(s, 'x') OR contains(s, 'X') THEN NULL
    ELSE TRY_CAST(s AS DOUBLE)
    END
    """,
)

MACROS.define(
    "kql_text_bool(s)",
    """
    CASE lower(s)
    WHEN 'true' THEN true
    WHEN 'false' THEN false
    ELSE kql_text_long(s) <> 0
    END
    """,
)

MACROS.define(
    "kql_timespan_of_parts(p)",
    """
    (CASE p.n WHEN '-' THEN -1 ELSE 1 END) * (
        coalesce(TRY_CAST(p.d AS BIGINT), 0) * 864000000000
        + TRY_CAST(p.h AS BIGINT) * 36000000000 + TRY_CAST(p.m AS BIGINT) * 600000000
        + coalesce(TRY_CAST(p.s AS BIGINT), 0) * 10000000
        + coalesce(TRY_CAST(rpad(p.f, 7, '0') AS BIGINT), 0))
    """,
)

MACROS.define(
    "kql_timespan_unit(u)",
    """
    CASE u
    WHEN '' THEN 864000000000 WHEN 'd' THEN 864000000000 WHEN 'h' THEN 36000000000 WHEN 'm' THEN 600000000
    WHEN 's' THEN 10000000 WHEN 'ms' THEN 10000
    END
    """,
)

MACROS.define(
    "kql_text_timespan(s)",
    r"""
    CASE
    WHEN regexp_full_match(s, '\s*-?(?:\d{1,8}[.:])??(?:[01]?\d|2[0-4]):[0-5]?\d(?::[0-5]?\d(?:\.\d{1,7})?)?\s*')
    THEN kql_timespan_of_parts(regexp_extract(
        s, '^\s*(-)?(?:(\d+)[.:])??(\d+):(\d+)(?::(\d+)(?:\.(\d+))?)?\s*$', ['n', 'd', 'h', 'm', 's', 'f']))
    WHEN regexp_full_match(s, '\s*-?\d{1,7}(?:d|h|m|s|ms)?\s*')
    THEN TRY_CAST(regexp_extract(s, '-?\d+') AS BIGINT) * kql_timespan_unit(regexp_extract(s, '[a-z]+'))
    END
    """,
)

MACROS.define(
    "kql_bool_text(x)",
    """
    CASE
    WHEN x THEN 'True'
    WHEN NOT x THEN 'False'
    ELSE ''
    END
    """,
)

MACROS.define(
    "kql_real_text(x)",
    """
    CASE
    WHEN x IS NULL THEN ''
    WHEN isnan(x) THEN 'NaN'
    ELSE x::VARCHAR
    END
    """,
)

MACROS.define(
    "kql_decimal_text(x)",
    """
    coalesce(rtrim(rtrim(x::VARCHAR, '0'), '.'), '')
    """,
)

MACROS.define(
    "kql_ticks_timestamp(t)",
    """
    make_timestamp(t // 10 - 62135596800000000)
    """,
)

MACROS.define(
    "kql_ticks_date(t)",
    """
    (DATE '0001-01-01' + (t // 864000000000)::INTEGER)
    """,
)

MACROS.define(
    "kql_date_ticks(d)",
    """
    ((d::DATE - DATE '0001-01-01') * 864000000000)
    """,
)

MACROS.define(
    "kql_datetime_text_or_null(t)",
    """
    strftime(kql_ticks_timestamp(t), '%Y-%m-%dT%H:%M:%S.%f') || (t % 10)::VARCHAR || 'Z'
    """,
)

MACROS.define(
    "kql_datetime_text(t)",
    """
    coalesce(kql_datetime_text_or_null(t), '')
    """,
)

MACROS.define(
    "kql_timespan_text_abs(t)",
    """
    CASE
    WHEN t >= 864000000000 THEN (t // 864000000000)::VARCHAR || '.'
    ELSE '' END || format('{:02d}:{:02d}:{:02d}', ((t // 36000000000) % 24)::BIGINT, ((t // 600000000) % 60)::BIGINT, ((t // 10000000) % 60)::BIGINT) || CASE
    WHEN t % 10000000 = 0 THEN ''
    ELSE format('.{:07d}', (t % 10000000)::BIGINT)
    END
    """,
)

MACROS.define(
    "kql_timespan_text_or_null(t)",
    """
    CASE
    WHEN t < 0 THEN '-'
    ELSE '' END || kql_timespan_text_abs(abs(t::HUGEINT))
    """,
)

MACROS.define(
    "kql_timespan_text(t)",
    """
    coalesce(kql_timespan_text_or_null(t), '')
    """,
)

MACROS.define(
    "kql_dynamic_text(d)",
    """
    coalesce(json_extract_string(d, '$'), '')
    """,
)

MACROS.define(
    "kql_parse_json(s)",
    """
    CASE
    WHEN length(s) < 16 AND trim(s) IN ('', 'null') THEN NULL
    ELSE coalesce(TRY_CAST(s AS JSON), to_json(s))
    END
    """,
)

MACROS.define(
    "kql_real_json(x)",
    """
    CASE
    WHEN isfinite(x) THEN to_json(x)
    WHEN isnan(x) THEN '"NaN"'::JSON
    WHEN x > 0 THEN '"Infinity"'::JSON
    WHEN x < 0 THEN '"-Infinity"'::JSON
    END
    """,
)

MACROS.define(
    "kql_dynamic_long(d)",
    """
    CASE json_type(d)
    WHEN 'BIGINT' THEN TRY_CAST(json_extract_string(d, '$') AS BIGINT)
    WHEN 'UBIGINT' THEN TRY_CAST(json_extract_string(d, '$') AS BIGINT)
    WHEN 'DOUBLE' THEN kql_real_long(TRY_CAST(json_extract_string(d, '$') AS DOUBLE))
    WHEN 'VARCHAR' THEN kql_text_long(json_extract_string(d, '$'))
    WHEN 'BOOLEAN' THEN (json_extract_string(d, '$') = 'true')::BIGINT
    END
    """,
)

MACROS.define(
    "kql_dynamic_int(d)",
    """
    CASE json_type(d)
    WHEN 'BIGINT' THEN kql_wrap_int(TRY_CAST(json_extract_string(d, '$') AS BIGINT))
    WHEN 'UBIGINT' THEN kql_wrap_int(TRY_CAST(json_extract_string(d, '$') AS BIGINT))
    WHEN 'DOUBLE' THEN kql_real_int(TRY_CAST(json_extract_string(d, '$') AS DOUBLE))
    WHEN 'VARCHAR' THEN kql_text_int(json_extract_string(d, '$'))
    WHEN 'BOOLEAN' THEN (json_extract_string(d, '$') = 'true')::INTEGER
    END
    """,
)

MACROS.define(
    "kql_dynamic_real(d)",
    """
    CASE json_type(d)
    WHEN 'BOOLEAN' THEN (json_extract_string(d, '$') = 'true')::INTEGER::DOUBLE
    WHEN 'ARRAY' THEN NULL
    WHEN 'OBJECT' THEN NULL
    ELSE kql_text_real(json_extract_string(d, '$'))
    END
    """,
)

MACROS.define(
    "kql_dynamic_bool(d)",
    """
    CASE json_type(d)
    WHEN 'BOOLEAN' THEN json_extract_string(d, '$') = 'true'
    WHEN 'DOUBLE' THEN trunc(TRY_CAST(json_extract_string(d, '$') AS DOUBLE)) <> 0
    WHEN 'ARRAY' THEN NULL
    WHEN 'OBJECT' THEN NULL
    ELSE kql_text_bool(json_extract_string(d, '$'))
    END
    """,
)

MACROS.define(
    "kql_dynamic_datetime(d)",
    """
    CASE json_type(d)
    WHEN 'VARCHAR' THEN kql_text_datetime(json_extract_string(d, '$'))
    WHEN 'BIGINT' THEN TRY_CAST(json_extract_string(d, '$') AS BIGINT)
    WHEN 'UBIGINT' THEN TRY_CAST(json_extract_string(d, '$') AS BIGINT)
    END
    """,
)

MACROS.define(
    "kql_dynamic_timespan(d)",
    """
    CASE json_type(d)
    WHEN 'VARCHAR' THEN kql_text_timespan(json_extract_string(d, '$'))
    WHEN 'BIGINT' THEN TRY_CAST(json_extract_string(d, '$') AS BIGINT)
    WHEN 'UBIGINT' THEN TRY_CAST(json_extract_string(d, '$') AS BIGINT)
    END
    """,
)
