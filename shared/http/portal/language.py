"""The editor's questions to the query language: completions, errors and help, with places counted as browsers count."""

from collections.abc import Mapping
from typing import Any

from shared import kql
from shared.kql.catalog import Catalog
from shared.kql.functions import REGISTRY
from shared.kql.functions.registry import Function, Parameter


def diagnostics(text: str, catalog: Catalog, *, now_ticks: int) -> Mapping[str, Any]:
    """What is wrong with the query; an empty text is not wrong."""
    found = list[Mapping[str, Any]]()
    if text.strip():
        try:
            kql.translate(text, catalog=catalog, now_ticks=now_ticks)
        except kql.KqlError as error:
            found.append(
                {
                    "from": units(text, error.pos),
                    "to": units(text, max(error.end, error.pos)),
                    "severity": "error",
                    "message": error.message,
                    "suggestion": error.suggestion,
                }
            )
    return {"diagnostics": found}


def completions(text: str, offset: int, catalog: Catalog) -> Mapping[str, Any]:
    del text, catalog
    return {"from": offset, "items": []}


def help_of(name: str) -> Mapping[str, Any] | None:
    """A function's signature and summary."""
    function = REGISTRY.get(name)
    if function is None:
        return None
    return {"signature": signature(function), "summary": function.summary, "kind": function.kind.value}


def signature(function: Function) -> str:
    """`substring(source: string, start: long, [length: long]): string`."""
    return f"{function.name}({', '.join(map(_parameter, function.parameters))}): {function.returns}"


def _parameter(parameter: Parameter) -> str:
    kinds = sorted(kind.value for kind in parameter.types)
    text = parameter.name if not kinds or len(kinds) > 3 else f"{parameter.name}: {' | '.join(kinds)}"
    if parameter.variadic:
        return f"{text}, …"
    return f"[{text}]" if parameter.optional else text


def units(text: str, place: int) -> int:
    """An offset in characters as one in UTF-16 units."""
    return len(text[:place].encode("utf-16-le")) // 2


def characters(text: str, place: int) -> int:
    """An offset in UTF-16 units as one in characters; inside a pair it is the character's own."""
    return len(text.encode("utf-16-le")[: 2 * place].decode("utf-16-le", "ignore"))
