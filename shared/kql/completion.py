"""What may be written at a place in a query: tables, columns, operators, functions, keywords."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.kernel.errors import OmsError
from shared.kernel.ticks import UNIX_EPOCH_TICKS
from shared.kql.bind.scope import Col
from shared.kql.catalog import Catalog
from shared.kql.functions import REGISTRY
from shared.kql.functions.registry import Function, FunctionKind
from shared.kql.operator_help import OPERATOR_HELP
from shared.kql.syntax.lexer import Token, TokenKind, tokenize
from shared.kql.syntax.printer import name_text
from shared.kql.translator import scope_of

_WORDS_OF: Final = {
    "summarize": ("by",),
    "sort": ("by", "asc", "desc", "nulls first", "nulls last"),
    "order": ("by", "asc", "desc", "nulls first", "nulls last"),
    "top": ("by", "asc", "desc"),
    "join": ("kind=", "on", "$left.", "$right."),
    "lookup": ("kind=", "on", "$left.", "$right."),
    "parse": ("with", "kind="),
    "parse-where": ("with", "kind="),
    "make-series": ("default=", "on", "from", "to", "step", "by"),
    "mv-expand": ("to typeof()", "limit"),
    "mv-apply": ("to typeof()", "limit", "on"),
    "union": ("kind=", "withsource=", "isfuzzy=true"),
    "where": (
        "and", "or", "has", "contains", "startswith", "endswith", "in", "!in", "has_any", "has_all", "between",
        "matches regex", "=~",
    ),
    "render": ("timechart", "barchart", "columnchart", "piechart", "areachart", "scatterchart", "table", "card"),
    "evaluate": ("bag_unpack()", "pivot()", "narrow()"),
}  # fmt: skip
_AGGREGATING: Final = ("summarize", "make-series", "top-nested", "evaluate")
_TABLES_AFTER: Final = ("union", "join", "lookup", "materialize", "toscalar", "in", "search", "find")
_STARTS: Final = (
    "let",
    "print",
    "range",
    "union",
    "search",
    "find",
    "datatable",
    "set",
    "declare query_parameters",
)


class CompletionKind(StrEnum):
    TABLE = "table"
    COLUMN = "column"
    OPERATOR = "operator"
    FUNCTION = "function"
    KEYWORD = "keyword"
    VARIABLE = "variable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One proposal. `insert` replaces the text from `start` to the cursor."""

    label: str
    insert: str
    kind: CompletionKind
    start: int
    detail: str = ""
    documentation: str = ""


@dataclass(slots=True)
class _Frame:
    """A parenthesis that is open at the cursor, or the statement itself."""

    start: int
    before: Token | None = None
    pipes: list[int] = field(default_factory=list[int])
    words: list[Token] = field(default_factory=list[Token])  # since the last pipe


def signature(function: Function) -> str:
    """`bin(value, roundTo)`, for people."""
    names = list[str]()
    for parameter in function.parameters:
        text = parameter.name + ("…" if parameter.variadic else "")
        names.append(f"[{text}]" if parameter.optional else text)
    return f"{function.name}({', '.join(names)}): {function.returns}"


def complete(text: str, offset: int, catalog: Catalog) -> list[Completion]:
    """Proposals at the cursor, best first. A text that does not parse yet is the normal case."""
    offset = max(0, min(offset, len(text)))
    start = offset
    while start and (text[start - 1].isalnum() or text[start - 1] in "_$-"):
        start -= 1
    typed = text[start:offset]
    frames, statement = _frames(text[:start])
    found = _proposals(text, start, frames, statement, catalog)
    needle = typed.lower()
    matching = [each for each in found if needle in each.label.lower()]
    return sorted(matching, key=lambda each: (not each.label.lower().startswith(needle),))


def _frames(text: str) -> tuple[list[_Frame], int]:
    """The open frames, outermost first, and where the statement began."""
    frames = [_Frame(0)]
    statement = 0
    for token in _tokens(text):
        if token.kind is TokenKind.PUNCTUATION:
            match token.text:
                case "(" | "[" | "{":
                    words = frames[-1].words
                    frames.append(_Frame(token.end, words[-1] if words else None))
                case ")" | "]" | "}" if len(frames) > 1:
                    frames.pop()
                case "|":
                    frames[-1].pipes.append(token.start)
                    frames[-1].words = []
                case ";":
                    frames[-1] = _Frame(token.end, frames[-1].before)
                    if len(frames) == 1:
                        statement = token.end
                case _:
                    pass
        frames[-1].words.append(token)
    return frames, statement


def _tokens(text: str) -> list[Token]:
    """The tokens of a text that may break off in the middle of one."""
    for end in (len(text), text.rfind("\n"), text.rfind('"'), text.rfind("'")):
        try:
            return tokenize(text[: max(end, 0)])[:-1]
        except OmsError:
            continue
    return []


def _proposals(
    text: str, start: int, frames: Sequence[_Frame], statement: int, catalog: Catalog
) -> Iterable[Completion]:
    inner = frames[-1]
    previous = inner.words[-1] if inner.words else None
    if previous is not None and previous.text == "|":
        return _operators(start)
    if previous is None or (previous.text in (";", "(") and len(inner.words) == 1):
        opened = inner.before.text if inner.before else ""
        if len(frames) == 1 or opened in _TABLES_AFTER or opened == "=":
            return [
                *_tables(catalog, start),
                *_variables(text, statement, catalog, start),
                *_keywords(_STARTS, start),
            ]
    frame = next((each for each in reversed(frames) if each.pipes), frames[0])
    operator = next((each.text for each in frame.words if each.text in OPERATOR_HELP), "")
    if not frame.pipes and operator == "":
        return [
            *_tables(catalog, start),
            *_variables(text, statement, catalog, start),
            *_keywords(_STARTS, start),
            *_functions(start, aggregates=False),
        ]
    if (
        previous is not None
        and previous.text in ("union", "join", "lookup", ",")
        and operator in ("union", "join", "lookup")
    ):
        return [
            *_tables(catalog, start),
            *_variables(text, statement, catalog, start),
            *_keywords(_WORDS_OF[operator], start),
        ]
    before = text[frame.start : frame.pipes[-1]] if frame.pipes else ""
    columns, names = scope_of(text[:statement], before, catalog=catalog, now_ticks=UNIX_EPOCH_TICKS)
    if (
        operator in ("join", "lookup")
        and previous is not None
        and any(each.text == "on" for each in frame.words)
    ):
        columns = (*columns, *_right_columns(text, frame, statement, catalog, columns))
    words = _WORDS_OF.get(operator, ())
    after_by = any(each.text == "by" for each in frame.words)
    return [
        *_columns(columns, start),
        *(_named(name, start) for name in names),
        *_keywords(words, start),
        *_functions(start, aggregates=operator in _AGGREGATING and not after_by),
    ]


def _right_columns(
    text: str, frame: _Frame, statement: int, catalog: Catalog, left: Sequence[Col]
) -> Sequence[Col]:
    """Columns of what stands between `join` and `on`."""
    first = next(each.end for each in frame.words if each.text in ("join", "lookup"))
    last = next(each.start for each in frame.words if each.text == "on")
    right = text[first:last].strip()
    opening = right.find("(")
    source = right[opening:] if opening >= 0 else right.split()[-1] if right.split() else ""
    columns, _ = scope_of(text[:statement], source, catalog=catalog, now_ticks=UNIX_EPOCH_TICKS)
    known = {col.name for col in left}
    return [col for col in columns if col.name not in known]


def _operators(start: int) -> list[Completion]:
    return [
        Completion(label=name, insert=name, kind=CompletionKind.OPERATOR, start=start, documentation=summary)
        for name, summary in OPERATOR_HELP.items()
    ]


def _tables(catalog: Catalog, start: int) -> list[Completion]:
    return [
        Completion(label=name, insert=name_text(name), kind=CompletionKind.TABLE, start=start)
        for name in catalog.table_names()
    ]


def _columns(columns: Sequence[Col], start: int) -> list[Completion]:
    return [
        Completion(
            label=col.name,
            insert=name_text(col.name),
            kind=CompletionKind.COLUMN,
            start=start,
            detail=col.type.value,
        )
        for col in columns
    ]


def _variables(text: str, statement: int, catalog: Catalog, start: int) -> list[Completion]:
    _, names = scope_of(text[:statement], "", catalog=catalog, now_ticks=UNIX_EPOCH_TICKS)
    return [_named(name, start) for name in names]


def _named(name: str, start: int) -> Completion:
    return Completion(label=name, insert=name_text(name), kind=CompletionKind.VARIABLE, start=start)


def _keywords(words: Iterable[str], start: int) -> list[Completion]:
    return [Completion(label=word, insert=word, kind=CompletionKind.KEYWORD, start=start) for word in words]


def _functions(start: int, *, aggregates: bool) -> list[Completion]:
    found = [
        Completion(
            label=name,
            insert=f"{name}(",
            kind=CompletionKind.FUNCTION,
            start=start,
            detail=signature(function),
            documentation=function.summary,
        )
        for name, function in sorted(REGISTRY.all().items())
        if name == function.name and (aggregates or function.kind is not FunctionKind.AGGREGATE)
    ]
    if aggregates:  # aggregates first, where they are what is looked for
        found.sort(key=lambda each: REGISTRY.all()[each.label].kind is not FunctionKind.AGGREGATE)
    return found
