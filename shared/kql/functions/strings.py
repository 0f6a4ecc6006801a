"""Functions over text: parts, case, joining, replacing and searching."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    DYNAMIC,
    DYNAMICS,
    LONG,
    STRING,
    TEXTS,
    WHOLES,
    by_native,
    convert,
    expand,
    invoke,
    literal,
    parameter,
    result,
    scalar,
    templated,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission

MACROS.define(
    "kql_substring(s, i, n)",
    """
    CASE
    WHEN i IS NULL OR n IS NULL OR n <= 0 THEN ''
    WHEN i >= 0 THEN substr(s, i + 1, least(n, 2147483647))
    WHEN -i > length(s) THEN ''
    ELSE substr(s, length(s) + i + 1, least(n, 2147483647))
    END
    """,
)
MACROS.define(
    "kql_split(s, d)",
    "CASE WHEN d = '' THEN [s] ELSE string_split(s, d) END",
)
MACROS.define(
    "kql_split_part(parts, i)",
    "CASE WHEN i >= 0 AND i < len(parts) THEN to_json([parts[i + 1]]) END",
)
MACROS.define(
    "kql_array_texts(d)",
    "CASE json_type(d) WHEN 'ARRAY' THEN"
    " list_transform(TRY_CAST(d AS JSON[]), lambda e: coalesce(json_extract_string(e, '$'), '')) END",
)
MACROS.define(
    "kql_strcat_array(d, delimiter)",
    "coalesce(array_to_string(kql_array_texts(d), delimiter), '')",
)
# Occurrences may overlap: countof("aaa", "aa") is 2.
MACROS.define(
    "kql_countof(s, x)",
    """
    CASE
    WHEN x = '' THEN 0
    WHEN NOT contains(s, x) THEN 0
    WHEN length(x) = 1 THEN length(s) - length(replace(s, x, ''))
    ELSE len(list_filter(range(1, length(s) - length(x) + 2), lambda i: substr(s, i, length(x)) = x))
    END
    """,
)
MACROS.define("kql_replace_string(s, old, new)", "CASE WHEN old = '' THEN s ELSE replace(s, old, new) END")
# A match must begin in [start, start + count); -1 is to the end; the occurrence counts from 1.
MACROS.define(
    "kql_indexof_in(s, x, start, upto, occurrence)",
    """
    coalesce(list_filter(
        range(start, least(length(s) - length(x) + 1, upto)), lambda i: substr(s, i + 1, length(x)) = x
    )[occurrence], -1)
    """,
)
MACROS.define(
    "kql_indexof(s, x, start, count, occurrence)",
    """
    CASE
    WHEN x = '' THEN NULL
    WHEN start IS NULL OR count IS NULL OR occurrence IS NULL OR occurrence < 1 OR count < -1 THEN NULL
    WHEN start < 0 AND -start > length(s) THEN kql_indexof_in(
        s, x, 0, CASE WHEN count < 0 THEN length(s) ELSE least(length(s), count) END, occurrence)
    WHEN start < 0 THEN kql_indexof_in(
        s, x, length(s) + start,
        CASE WHEN count < 0 THEN length(s) ELSE least(length(s), length(s) + start + count) END, occurrence)
    ELSE kql_indexof_in(
        s, x, start, CASE WHEN count < 0 THEN length(s) ELSE least(length(s), start + count) END, occurrence)
    END
    """,
)
MACROS.define("kql_indexof_first(s, x)", "CASE WHEN x = '' THEN NULL ELSE instr(s, x) - 1 END")
MACROS.define("kql_strcmp(a, b)", "CASE WHEN a = b THEN 0 WHEN a < b THEN -1 ELSE 1 END")
MACROS.define(
    "kql_strrep(s, n, delimiter)",
    "CASE WHEN n IS NULL OR n <= 0 THEN '' WHEN delimiter = '' THEN repeat(s, least(n, 1024))"
    " ELSE array_to_string(list_transform(range(least(n, 1024)), lambda i: s), delimiter) END",
)
MACROS.define(
    "kql_translate(search, replacement, s)",
    "translate(s, search, CASE WHEN replacement = '' THEN '' ELSE"
    " rpad(replacement, length(search)::INTEGER, right(replacement, 1)) END)",
)
MACROS.define(
    "kql_codepoints(s)",
    "to_json(list_transform(CASE WHEN s = '' THEN [] ELSE string_split(s, '') END, lambda c: unicode(c)))",
)
MACROS.define(
    "kql_utf8_bytes(s)",
    "to_json(list_transform(range(1, strlen(s) + 1), lambda i: ('0x' || substr(hex(encode(s)), 2 * i - 1, 2))::BIGINT))",
)


def _strcat(emission: Emission, args: Sequence[Bound]) -> Bound:
    texts = [convert(emission, arg, STRING, index=index) for index, arg in enumerate(args)]
    if all(text.constant for text in texts):
        return literal("".join(str(text.value or "") for text in texts), STRING)
    return result(" || ".join(text.sql for text in texts), STRING, texts)


def _strcat_delim(emission: Emission, args: Sequence[Bound]) -> Bound:
    delimiter, *texts = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args))
    return result(
        f"concat_ws({delimiter.sql}, {', '.join(text.sql for text in texts)})", STRING, [delimiter, *texts]
    )


def _substring(emission: Emission, args: Sequence[Bound]) -> Bound:
    length = args[2] if len(args) > 2 else literal(2147483647, LONG)
    return invoke(
        emission,
        "kql_substring",
        STRING,
        convert(emission, args[0], STRING),
        convert(emission, args[1], LONG, index=1),
        convert(emission, length, LONG, index=2),
    )


def _split(emission: Emission, args: Sequence[Bound]) -> Bound:
    parts = invoke(
        emission,
        "kql_split",
        DYNAMIC,
        convert(emission, args[0], STRING),
        convert(emission, args[1], STRING, index=1),
    )
    if len(args) == 2:
        return expand(emission, "to_json({0})", DYNAMIC, parts)
    return invoke(emission, "kql_split_part", DYNAMIC, parts, convert(emission, args[2], LONG, index=2))


def _indexof(emission: Emission, args: Sequence[Bound]) -> Bound:
    source, lookup = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args[:2]))
    if len(args) == 2:
        return invoke(emission, "kql_indexof_first", LONG, source, lookup)
    rest = [convert(emission, arg, LONG, index=index) for index, arg in enumerate(args[2:], start=2)]
    defaults = [literal(0, LONG), literal(-1, LONG), literal(1, LONG)]
    return invoke(emission, "kql_indexof", LONG, source, lookup, *rest, *defaults[len(rest) :])


def _case_of(function: str):
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        text = convert(emission, args[0], STRING)
        if text.constant and str(text.value or "").isascii():
            value = str(text.value or "")
            return literal(value.lower() if function == "lower" else value.upper(), STRING)
        return result(f"{function}({text.sql})", STRING, [text])

    return emit


def _strrep(emission: Emission, args: Sequence[Bound]) -> Bound:
    return invoke(
        emission,
        "kql_strrep",
        STRING,
        convert(emission, args[0], STRING),
        convert(emission, args[1], LONG, index=1),
        convert(emission, args[2], STRING, index=2) if len(args) > 2 else literal("", STRING),
    )


def _to_utf8(emission: Emission, args: Sequence[Bound]) -> Bound:
    return expand(emission, "kql_codepoints({0})", DYNAMIC, convert(emission, args[0], STRING))


def _make_string(emission: Emission, args: Sequence[Bound]) -> Bound:
    pieces: list[Bound] = []
    for index, arg in enumerate(args):
        if arg.type is DYNAMIC:
            pieces.append(
                expand(
                    emission,
                    "coalesce(array_to_string(list_transform(CASE json_type({0}) WHEN 'ARRAY' THEN TRY_CAST({0} AS BIGINT[])"
                    " ELSE [TRY_CAST({0} AS BIGINT)] END, lambda c: chr(c::INTEGER)), ''), '')",
                    STRING,
                    arg,
                )
            )
        elif arg.type.value in ("int", "long"):
            pieces.append(expand(emission, "coalesce(chr({0}::INTEGER), '')", STRING, arg))
        else:
            raise ArgumentRefused("code points are integers or arrays of integers", index=index)
    return result(" || ".join(piece.sql for piece in pieces), STRING, pieces)


_TEXT = parameter("source", TEXTS)
_ANYTHING = parameter("value", ANY)

FUNCTIONS: Final = (
    scalar(
        "strcat",
        [_ANYTHING, parameter("values", ANY, variadic=True)],
        "string",
        "The arguments as text, one after the other.",
        _strcat,
    ),
    scalar(
        "strcat_delim",
        [parameter("delimiter", TEXTS), _ANYTHING, parameter("values", ANY, variadic=True)],
        "string",
        "The arguments as text with the delimiter between them.",
        _strcat_delim,
    ),
    scalar(
        "strcat_array",
        [parameter("array", DYNAMICS), parameter("delimiter", TEXTS)],
        "string",
        "The array's elements as text with the delimiter between them.",
        templated("kql_strcat_array({0}, {1})", STRING, DYNAMIC, STRING),
    ),
    scalar(
        "strlen",
        [_TEXT],
        "long",
        "The number of characters.",
        templated("length({0})", LONG, STRING),
    ),
    scalar(
        "string_size",
        [_TEXT],
        "long",
        "The number of bytes of the text in UTF-8.",
        templated("strlen({0})", LONG, STRING),
    ),
    scalar("tolower", [_TEXT], "string", "The text in lower case.", _case_of("lower"), aliases=("lower",)),
    scalar("toupper", [_TEXT], "string", "The text in upper case.", _case_of("upper"), aliases=("upper",)),
    scalar(
        "substring",
        [_TEXT, parameter("startingIndex", WHOLES), parameter("length", WHOLES, optional=True)],
        "string",
        "A part of the text; a negative start counts from the end.",
        _substring,
    ),
    scalar(
        "split",
        [
            _TEXT,
            parameter("delimiter", TEXTS),
            parameter("requestedIndex", WHOLES, optional=True),
        ],
        "dynamic",
        "The parts of the text between the delimiters, or the one part asked for, as an array.",
        _split,
    ),
    scalar(
        "indexof",
        [
            parameter("source", ANY),
            parameter("lookup", ANY),
            parameter("start", WHOLES, optional=True),
            parameter("length", WHOLES, optional=True),
            parameter("occurrence", WHOLES, optional=True),
        ],
        "long",
        "Where the lookup first occurs, counted from 0; -1 where it does not.",
        _indexof,
    ),
    scalar(
        "replace_string",
        [_TEXT, parameter("lookup", TEXTS), parameter("rewrite", TEXTS)],
        "string",
        "The text with every occurrence of the lookup replaced.",
        templated("kql_replace_string({0}, {1}, {2})", STRING, STRING, STRING, STRING),
    ),
    scalar(
        "replace_strings",
        [_TEXT, parameter("lookups", DYNAMICS), parameter("rewrites", ANY)],
        "string",
        "The text with each lookup of an array replaced by the rewrite in its place.",
        by_native("kqln_replace_strings", STRING, STRING, DYNAMIC, DYNAMIC),
    ),
    scalar(
        "reverse",
        [_ANYTHING],
        "string",
        "The text from its last character to its first.",
        templated("reverse({0})", STRING, STRING),
    ),
    scalar(
        "strcmp",
        [parameter("string1", TEXTS), parameter("string2", TEXTS)],
        "long",
        "-1, 0 or 1: how the first text sorts against the second.",
        templated("kql_strcmp({0}, {1})::BIGINT", LONG, STRING, STRING),
    ),
    scalar(
        "strrep",
        [_ANYTHING, parameter("multiplier", WHOLES), parameter("delimiter", TEXTS, optional=True)],
        "string",
        "The text repeated, at most 1024 times.",
        _strrep,
    ),
    scalar(
        "translate",
        [parameter("searchList", TEXTS), parameter("replacementList", TEXTS), _TEXT],
        "string",
        "The text with each character of the first list replaced by the one in its place in the second.",
        templated("kql_translate({0}, {1}, {2})", STRING, STRING, STRING, STRING),
    ),
    scalar(
        "unicode_codepoints_from_string",
        [_TEXT],
        "dynamic",
        "The code points of the text, as an array.",
        _to_utf8,
        aliases=("to_utf8",),
    ),
    scalar(
        "unicode_codepoints_to_string",
        [_ANYTHING, parameter("values", ANY, variadic=True)],
        "string",
        "The text made of the code points.",
        _make_string,
        aliases=("make_string",),
    ),
    scalar(
        "isascii",
        [_TEXT],
        "bool",
        "Whether the text holds only ASCII characters.",
        templated("strlen({0}) = length({0})", BOOL, STRING),
    ),
    scalar(
        "isutf8",
        [_TEXT],
        "bool",
        "Whether the text is valid UTF-8.",
        templated("{0} IS NOT NULL", BOOL, STRING),
    ),
)
