"""Functions that take regular expressions. Kusto and DuckDB both use RE2, so patterns pass through as they are."""

import json
import re
from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    DYNAMIC,
    LONG,
    STRING,
    TEXTS,
    WHOLES,
    constant_int,
    convert,
    expand,
    literal,
    parameter,
    quote,
    result,
    scalar,
    templated,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission, Emit
from shared.kql.types import KqlType

# Kusto's \\d, \\s and \\w know all of Unicode; RE2's know ASCII only.
_UNICODE: Final = {
    "d": r"\p{Nd}",
    "s": r"\s\x{85}\p{Z}",
    "w": r"\p{L}\p{M}\p{N}\p{Pc}",
}


def to_re2(pattern: str) -> str:
    """The pattern with its classes widened to Unicode, as RE2 spells them."""
    if "\\" not in pattern:
        return pattern
    found: list[str] = []
    inside, at = False, 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and at + 1 < len(pattern):
            letter = pattern[at + 1]
            at += 2
            if letter in _UNICODE:
                found.append(_UNICODE[letter] if inside else f"[{_UNICODE[letter]}]")
            elif letter in "DSW" and not inside:
                found.append(f"[^{_UNICODE[letter.lower()]}]")
            else:
                found.append(f"\\{letter}")
            continue
        if character == "[" and not inside:
            inside = True
            # A bracket right behind the opening one is itself.
            head = re.match(r"\[\^?\]?", pattern[at:])
            opening = head[0] if head else "["
            found.append(opening)
            at += len(opening)
            continue
        if character == "]" and inside:
            inside = False
        found.append(character)
        at += 1
    return "".join(found)


# What RE2 lacks of Perl's syntax: look-around, back-references, possessive and atomic groups.
_NOT_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:=|!|<=|<!|>)|\\[1-9]|\(\?P=)")
_GROUP = re.compile(r"\((?!\?)|\(\?P?<[A-Za-z_]")


def pattern_of(arg: Bound, *, index: int) -> str | None:
    """The constant pattern, checked; None where it is not constant."""
    if not arg.constant or not isinstance(arg.value, str):
        return None
    pattern = arg.value
    if _NOT_RE2.search(pattern):
        raise ArgumentRefused(
            f"the regular expression {pattern!r} uses look-around or back-references, which RE2 does not know",
            index=index,
        )
    try:
        re.compile(_for_python(pattern))
    except re.error as reason:
        raise ArgumentRefused(
            f"the regular expression {pattern!r} is not valid: {reason}", index=index
        ) from None
    return pattern


def _for_python(pattern: str) -> str:
    """The pattern with RE2's own spellings replaced by ones that Python can check in their place."""
    pattern = re.sub(r"\\[pP](?:\{\^?\w+\}|\w)", r"\\w", pattern)
    pattern = re.sub(r"\[\[:\^?\w+:\]", r"[\\w", pattern)
    pattern = re.sub(r"\[:\^?\w+:\]", r"\\w", pattern)
    pattern = re.sub(r"\\x\{([0-9A-Fa-f]+)\}", "x", pattern)
    pattern = re.sub(r"\\[QEzC]", "", pattern)
    pattern = re.sub(r"\(\?<([A-Za-z_])", r"(?P<\1", pattern)
    # Flags in the middle, (?i), and ungreedy, (?U), are RE2's.
    return re.sub(r"\(\?[a-zA-Z-]+\)", "", re.sub(r"\(\?[a-zA-Z-]+:", "(?:", pattern))


def group_count(pattern: str) -> int:
    """How many capturing groups the pattern has."""
    bare = re.sub(r"\[(?:\\.|\^?\]?(?:\\.|[^\]\\])*)\]", "", re.sub(r"\\.", "", pattern))
    return len(_GROUP.findall(bare))


def _group_names(pattern: str) -> list[str | None]:
    bare = re.sub(r"\\.", "", pattern)
    return [found[1] or None for found in re.finditer(r"\((?!\?)|\(\?P?<([A-Za-z_]\w*)>", bare)]


def typeof_of(arg: Bound, *, index: int) -> KqlType:
    """The type that a `typeof(…)` argument names."""
    name = str(arg.value).lower() if arg.constant else ""
    name = name.removeprefix("typeof(").removesuffix(")").strip()
    aliases = {"double": "real", "boolean": "bool", "date": "datetime", "time": "timespan", "uuid": "guid"}
    try:
        return KqlType(aliases.get(name, name))
    except ValueError:
        raise ArgumentRefused("expected a type, such as typeof(long)", index=index) from None


def _regex(emission: Emission, arg: Bound, *, index: int) -> tuple[Bound, str | None]:
    """The pattern as RE2 wants it, and what the query says where that is constant."""
    pattern = convert(emission, arg, STRING, index=index)
    checked = pattern_of(pattern, index=index)
    return (pattern if checked is None else literal(to_re2(checked), STRING)), checked


def _extract(emission: Emission, args: Sequence[Bound]) -> Bound:
    pattern, checked = _regex(emission, args[0], index=0)
    text = convert(emission, args[2], STRING, index=2)
    group = convert(emission, args[1], LONG, index=1)
    if checked is not None and group.constant and isinstance(group.value, int):
        if group.value < 0 or group.value > group_count(checked):
            # Kusto answers with no match where the expression has no such group.
            return _typed(emission, args, literal("", STRING))
        found = result(f"regexp_extract({text.sql}, {pattern.sql}, {group.value})", STRING, [text])
    else:
        number = constant_int(group, "the capture group", index=1)
        found = result(f"regexp_extract({text.sql}, {pattern.sql}, {number})", STRING, [text, pattern])
    return _typed(emission, args, found)


def _typed(emission: Emission, args: Sequence[Bound], found: Bound) -> Bound:
    return found if len(args) < 4 else convert(emission, found, typeof_of(args[3], index=3), index=3)


MACROS.define("kql_list_or_null(l)", "CASE WHEN len(l) > 0 THEN to_json(l) END")


def _extract_all(emission: Emission, args: Sequence[Bound]) -> Bound:
    pattern, checked = _regex(emission, args[0], index=0)
    if checked is None:
        raise ArgumentRefused("the regular expression of extract_all() must be constant", index=0)
    groups = group_count(checked)
    if groups == 0:
        raise ArgumentRefused("the regular expression of extract_all() needs a capture group", index=0)
    text = convert(emission, args[-1], STRING, index=len(args) - 1)
    wanted = list(range(1, groups + 1))
    if len(args) == 3:
        wanted = _wanted_groups(args[1], checked, groups)
    lists = [f"regexp_extract_all({text.sql}, {pattern.sql}, {group})" for group in wanted]
    if len(lists) == 1:
        found = f"list_transform({lists[0]}, lambda g: coalesce(g, ''))"
    else:
        # A group that took no part in a match holds ''.
        others = ", ".join(f"coalesce({each}[i], '')" for each in lists[1:])
        found = f"list_transform({lists[0]}, lambda g, i: [coalesce(g, ''), {others}])"
    return expand(emission, "kql_list_or_null({0})", DYNAMIC, result(found, DYNAMIC, [text, pattern]))


def _wanted_groups(arg: Bound, pattern: str, groups: int) -> list[int]:

    if not arg.constant or not isinstance(arg.value, str):
        raise ArgumentRefused("the capture groups must be a constant array", index=1)
    names = _group_names(pattern)
    wanted: list[int] = []
    for each in json.loads(arg.value):
        at = names.index(each) + 1 if each in names else each
        if not isinstance(at, int) or not 0 < at <= groups:
            raise ArgumentRefused(f"the regular expression has no capture group {each!r}", index=1)
        wanted.append(at)
    return wanted


def _replace_regex(emission: Emission, args: Sequence[Bound]) -> Bound:
    text, pattern, rewrite = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args))
    pattern_of(pattern, index=1)
    return result(
        f"regexp_replace({text.sql}, {pattern.sql}, {rewrite.sql}, 'g')",
        STRING,
        [text, pattern, rewrite],
    )


def _replace(emission: Emission, args: Sequence[Bound]) -> Bound:
    """The legacy replace(regex, rewrite, text)."""
    return _replace_regex(emission, [args[2], args[0], args[1]])


def _trim(*, start: bool, end: bool) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        pattern, text = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args))
        checked = pattern_of(pattern, index=0)
        sql = text.sql
        # As in Kusto, one match of the expression goes at each end, not all of them in a row.
        for wanted, before, after in ((start, "^(?:", ")"), (end, "(?:", ")$")):
            if wanted:
                full = (
                    quote(before + to_re2(checked) + after)
                    if checked is not None
                    else f"({quote(before)} || {pattern.sql} || {quote(after)})"
                )
                sql = f"regexp_replace({sql}, {full}, '')"
        return result(sql, STRING, [pattern, text])

    return emit


def _countof(emission: Emission, args: Sequence[Bound]) -> Bound:
    text, search = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args[:2]))
    kind = "normal"
    if len(args) == 3:
        kind = str(args[2].value).lower() if args[2].constant else ""
        if kind not in ("normal", "regex"):
            raise ArgumentRefused("the kind of countof() is 'normal' or 'regex'", index=2)
    if kind == "regex":
        search, _ = _regex(emission, search, index=1)
        return result(f"len(regexp_extract_all({text.sql}, {search.sql}))", LONG, [text, search])
    return expand(emission, "kql_countof({0}, {1})::BIGINT", LONG, text, search)


_TEXT = parameter("source", TEXTS)
_REGEX = parameter("regex", TEXTS)

FUNCTIONS: Final = (
    scalar(
        "extract",
        [
            _REGEX,
            parameter("captureGroup", WHOLES),
            _TEXT,
            parameter("typeLiteral", ANY, optional=True, constant=True),
        ],
        "string, or the type asked for",
        "What the capture group (0: the whole) of the first match holds; '' (or null) where nothing matches.",
        _extract,
    ),
    scalar(
        "extract_all",
        [_REGEX, parameter("captureGroupsOrSource", ANY), parameter("source", TEXTS, optional=True)],
        "dynamic",
        "All matches: an array of texts, or of arrays where the expression has several groups.",
        _extract_all,
        aliases=("extractall",),
    ),
    scalar(
        "replace_regex",
        [_TEXT, parameter("lookup_regex", TEXTS), parameter("rewrite_pattern", TEXTS)],
        "string",
        r"The text with every match replaced; \1 stands for the first group.",
        _replace_regex,
    ),
    scalar(
        "replace",
        [_REGEX, parameter("rewrite", TEXTS), _TEXT],
        "string",
        "The former order of replace_regex()'s arguments.",
        _replace,
    ),
    scalar(
        "trim",
        [_REGEX, _TEXT],
        "string",
        "The text without a leading and a trailing match of the expression.",
        _trim(start=True, end=True),
    ),
    scalar(
        "trim_start",
        [_REGEX, _TEXT],
        "string",
        "The text without a leading match of the expression.",
        _trim(start=True, end=False),
    ),
    scalar(
        "trim_end",
        [_REGEX, _TEXT],
        "string",
        "The text without a trailing match of the expression.",
        _trim(start=False, end=True),
    ),
    scalar(
        "countof",
        [_TEXT, parameter("search", TEXTS), parameter("kind", TEXTS, optional=True, constant=True)],
        "long",
        "How often the text occurs (occurrences may overlap), or how often the expression matches.",
        _countof,
    ),
    scalar(
        "regex_quote",
        [_TEXT],
        "string",
        "The text with every character escaped that means something in a regular expression.",
        templated("regexp_escape({0})", STRING, STRING),
    ),
)
