"""The editor's questions to the query language: completions, errors and help, with places counted as browsers count."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared import kql
from shared.http.portal.queries import PageQueries
from shared.kernel.errors import OmsError
from shared.kql.catalog import Catalog
from shared.kql.completion import signature
from shared.kql.functions import REGISTRY
from shared.kql.operator_help import OPERATOR_HELP
from shared.kql.syntax.lexer import TokenKind, tokenize

_PATH: Final = re.compile(r"(?<![\w.$)\]])(?P<path>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.(?P<last>\w*)$")
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*")


def diagnostics(text: str, catalog: Catalog, *, now_ticks: int) -> Mapping[str, Any]:
    """What is wrong with the query; an empty text is not wrong."""
    return {
        "diagnostics": [
            {
                "from": units(text, found.start),
                "to": units(text, found.end),
                "severity": "error",
                "message": found.message,
                "suggestion": found.suggestion,
            }
            for found in kql.diagnose(text, catalog, now_ticks=now_ticks)
        ]
    }


def completions(text: str, offset: int, catalog: Catalog) -> Mapping[str, Any]:
    """What may stand at the cursor, best first; it replaces the text between `from` and the cursor."""
    at = characters(text, offset)
    found = kql.complete(text, at, catalog)
    start = found[0].start if found else at
    return {
        "from": units(text, start),
        "items": [
            {
                "label": each.label,
                "insert": each.insert,
                "kind": each.kind.value,
                "detail": each.detail,
                "info": each.documentation,
            }
            for each in found
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """`Column.a.` at the cursor: `before` is the pipeline whose rows have the column, `start` the cursor's property."""

    before: str
    column: str
    names: tuple[str, ...]
    start: int


def path_at(text: str, offset: int) -> Path | None:
    """The dynamic path that the cursor stands in, None where it stands in none that is readable."""
    at = characters(text, offset)
    found = _PATH.search(text[:at])
    if found is None or text[: found.start()].count('"') % 2 or text[: found.start()].count("'") % 2:
        return None
    column, *names = found["path"].split(".")
    before = _pipeline(text[: found.start()])
    if not before:
        return None
    return Path(before=before, column=column, names=tuple(names), start=units(text, found.start("last")))


def properties(path: Path, queries: PageQueries) -> Mapping[str, Any]:
    """The properties that recent rows hold at the path; none where the column is not dynamic."""
    place = ".".join((path.column, *path.names))
    query = (
        f"{path.before}\n| where gettype(todynamic({place})) == 'dictionary' | take 100"
        f"\n| mv-expand Key = bag_keys(todynamic({place})) | summarize Rows = count() by Key = tostring(Key) | top 50 by Rows"
    )
    try:
        rows = queries.rows(query, "P7D")
    except OmsError:
        rows = ()
    return {
        "from": path.start,
        "items": [
            {"label": row["Key"], "insert": row["Key"], "kind": "property", "detail": "", "info": ""}
            for row in rows
            if _PLAIN.fullmatch(str(row["Key"]))
        ],
    }


def _pipeline(text: str) -> str:
    """The pipeline that the end of the text goes on with, without its last operator, after the statements before it.

    '' where there is none. A bracket that is open and holds no pipe is a call's or a list's.
    """
    try:
        tokens = tokenize(text)
    except kql.KqlError:
        return ""
    statement = 0
    frames: list[tuple[int, list[int]]] = [(0, [])]
    for token in tokens:
        if token.kind is not TokenKind.PUNCTUATION:
            continue
        if token.text in "([{":
            frames.append((token.end, []))
        elif token.text in ")]}" and len(frames) > 1:
            frames.pop()
        elif token.text == "|":
            frames[-1][1].append(token.start)
        elif token.text == ";" and len(frames) == 1:
            statement = token.end
            frames[-1] = (statement, [])
    for start, pipes in reversed(frames):
        if pipes:
            return text[:statement] + text[start : pipes[-1]]
    return ""


def help_of(name: str) -> Mapping[str, Any] | None:
    """What a function or operator does; None where the word is neither."""
    if (function := REGISTRY.get(name)) is not None:
        return {"signature": signature(function), "summary": function.summary}
    if (summary := OPERATOR_HELP.get(name)) is not None:
        return {"signature": name, "summary": summary}
    return None


def units(text: str, place: int) -> int:
    """An offset in characters as one in UTF-16 units."""
    return len(text[:place].encode("utf-16-le")) // 2


def characters(text: str, place: int) -> int:
    """An offset in UTF-16 units as one in characters; inside a pair it is the character's own."""
    return len(text.encode("utf-16-le")[: 2 * place].decode("utf-16-le", "ignore"))
