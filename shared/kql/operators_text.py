"""The string operators: equality without case, terms, prefixes, substrings, lists, regular expressions."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, cast

from shared.kql.functions.build import convert, literal, quote, result
from shared.kql.functions.regexes import pattern_of, to_re2
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission
from shared.kql.types import KqlType

T = KqlType
_BOUNDARY: Final = r"[^\pL\pN]"
HAS_MACRO: Final = (
    "CREATE OR REPLACE MACRO kql_has(x, y) AS (regexp_matches(x, "
    r"'(?is)' || CASE WHEN regexp_matches(y, '^[\pL\pN]') THEN '(?:^|[^\pL\pN])' ELSE '' END || regexp_escape(y) "
    r"|| CASE WHEN regexp_matches(y, '[\pL\pN]$') THEN '(?:[^\pL\pN]|$)' ELSE '' END))"
)
_LEGACY: Final = {
    "notcontains": "!contains", "containscs": "contains_cs", "notcontainscs": "!contains_cs", "nothas": "!has",
    "hascs": "has_cs", "nothascs": "!has_cs", "notstartswith": "!startswith", "notendswith": "!endswith",
}  # fmt: skip


def regex_escape(text: str) -> str:
    """The text as an RE2 pattern that means just it."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def has_pattern(text: str, *, left: bool = True, right: bool = True) -> str:
    before = rf"(?:^|{_BOUNDARY})" if left and text[:1].isalnum() else ""
    after = rf"(?:{_BOUNDARY}|$)" if right and text[-1:].isalnum() else ""
    return before + regex_escape(text) + after


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def text_operator(emission: Emission, op: str, left: Bound, right: Bound) -> Bound:
    """One of the binary string operators. Both sides are read as text."""
    op = _LEGACY.get(op, op)
    if op in ("like", "notlike"):
        raise ArgumentRefused(f"The operator '{op}' is not supported.", index=1)
    negated = op.startswith("!")
    bare = op.removeprefix("!")
    x, y = _text(emission, op, left, 0), _text(emission, op, right, 1)
    if bare == "~" or op in ("=~", "!~"):
        bare = "=~"
    if bare == "matches regex":
        pattern = pattern_of(y, index=1)
        if pattern is not None:
            y = literal(to_re2(pattern), T.STRING)
        sql = f"regexp_matches({x.sql}, {y.sql})"
    else:
        sensitive = bare.endswith("_cs")
        word = bare.removesuffix("_cs")
        sql = (
            _constant(word, x.sql, y.value, sensitive=sensitive)
            if y.constant and isinstance(y.value, str)
            else _general(emission, word, x.sql, y.sql, sensitive)
        )
    return result(f"NOT {sql}" if negated else sql, T.BOOL, (x, y))


def _text(emission: Emission, op: str, value: Bound, index: int) -> Bound:
    if (
        value.type in (T.STRING, T.DYNAMIC)
        or (value.constant and value.type is not T.BOOL)
        or value.type in (T.GUID, T.LONG, T.INT, T.REAL, T.DATETIME, T.TIMESPAN, T.BOOL, T.DECIMAL)
    ):
        if (
            value.type not in (T.STRING, T.DYNAMIC)
            and op in ("=~", "!~")
            and index == 0
            and not value.constant
            and value.type is not T.GUID
        ):
            raise ArgumentRefused(f"Operator '{op}' is not defined for {value.type}.", index=index)
        return convert(emission, value, T.STRING)
    raise ArgumentRefused(f"Operator '{op}' is not defined for {value.type}.", index=index)


def _constant(word: str, x: str, text: str, *, sensitive: bool) -> str:
    folded = text if sensitive else text.lower()
    if word == "=~":
        return f"(lower({x}) = {quote(folded)})"
    if word in ("has", "hasprefix", "hassuffix"):
        if not text:
            return "true"
        pattern = ("(?s)" if sensitive else "(?is)") + has_pattern(
            text, left=word != "hassuffix", right=word != "hasprefix"
        )
        coarse = (
            f"contains({x}, {quote(text)})"
            if sensitive
            else f"{x} ILIKE {quote('%' + _like(text) + '%')} ESCAPE '\\'"
        )
        return f"({coarse} AND regexp_matches({x}, {quote(pattern)}))"
    if sensitive:
        function = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}[word]
        return f"{function}({x}, {quote(text)})"
    shape = {"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}[word].format(_like(text))
    return f"({x} ILIKE {quote(shape)} ESCAPE '\\')"


def _general(emission: Emission, word: str, x: str, y: str, sensitive: bool) -> str:
    if word == "=~":
        return f"(lower({x}) = lower({y}))"
    if word in ("has", "hasprefix", "hassuffix"):
        name = f"kql_{word}" + ("_cs" if sensitive else "")
        definition = HAS_MACRO.replace("kql_has(", f"{name}(")
        if sensitive:
            definition = definition.replace("(?is)", "(?s)")
        if word == "hasprefix":
            definition = definition.replace(
                r"CASE WHEN regexp_matches(y, '[\pL\pN]$') THEN '(?:[^\pL\pN]|$)' ELSE '' END", "''"
            )
        if word == "hassuffix":
            definition = definition.replace(
                r"CASE WHEN regexp_matches(y, '^[\pL\pN]') THEN '(?:^|[^\pL\pN])' ELSE '' END", "''"
            )
        emission.macro(definition)
        return f"{name}({x}, {y})"
    function = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}[word]
    return f"{function}({x}, {y})" if sensitive else f"{function}(lower({x}), lower({y}))"


def constant_items(items: Sequence[Bound]) -> list[Bound] | None:
    """The list's values where all are constant; a constant dynamic array gives its elements."""
    found = list[Bound]()
    for item in items:
        if item.type is T.DYNAMIC and item.constant:
            value: Any = json.loads(str(item.value)) if item.value is not None else None
            elements = cast("list[Any]", value) if isinstance(value, list) else [value]
            found.extend(_element(each) for each in elements if each is not None)
        elif item.constant:
            found.append(item)
        else:
            return None
    return found


def _element(value: object) -> Bound:
    if isinstance(value, bool):
        return literal(value, T.BOOL)
    if isinstance(value, int):
        return literal(value, T.LONG)
    if isinstance(value, float):
        return literal(value, T.REAL)
    return literal(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")), T.STRING)


def has_list(emission: Emission, op: str, left: Bound, items: Sequence[Bound]) -> Bound:
    """has_any, has_all over constants or single expressions."""
    x = convert(emission, left, T.STRING)
    constants = constant_items(items)
    if constants is not None:
        texts = [str(convert(emission, each, T.STRING).value or "") for each in constants]
        if op == "has_any" and len(texts) > 1 and all(texts):
            pattern = "(?is)" + "|".join(has_pattern(text) for text in dict.fromkeys(texts))
            return result(f"regexp_matches({x.sql}, {quote(pattern)})", T.BOOL, (x,))
        parts = [_constant("has", x.sql, text, sensitive=False) for text in texts]
        joiner = " OR " if op == "has_any" else " AND "
        return result(joiner.join(parts) or "false", T.BOOL, (x,))
    parts, read = list[str](), [x]
    for item in items:
        read.append(item)
        if item.type is T.DYNAMIC:
            emission.macro(HAS_MACRO)
            texts_sql = f"CASE WHEN json_type({item.sql}) = 'ARRAY' THEN from_json({item.sql}, '[\"VARCHAR\"]') ELSE [json_extract_string({item.sql}, '$')] END"
            kind = "list_bool_or" if op == "has_any" else "list_bool_and"
            parts.append(
                f"coalesce({kind}(list_transform({texts_sql}, lambda each: kql_has({x.sql}, each))), false)"
            )
        else:
            parts.append(text_operator(emission, "has", x, item).sql)
    return result((" OR " if op == "has_any" else " AND ").join(parts), T.BOOL, read)
