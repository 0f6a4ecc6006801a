"""The editor's questions to the query language: completions, errors and help, with places counted as browsers count."""

from collections.abc import Mapping
from typing import Any

from shared import kql
from shared.kql.catalog import Catalog
from shared.kql.completion import signature
from shared.kql.functions import REGISTRY
from shared.kql.operator_help import OPERATOR_HELP


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
