"""The query language: KQL text to SQL that DuckDB runs, with its errors, completions and printer.

Names are loaded when they are asked for: much of the suite wants only `shared.kql.types`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.kql.completion import Completion, complete
    from shared.kql.diagnostics import Diagnostic, diagnose
    from shared.kql.errors import KqlError, KqlSemanticError, KqlSyntaxError, KqlUnsupported
    from shared.kql.syntax.parser import parse_query as parse
    from shared.kql.syntax.printer import unparse
    from shared.kql.translator import translate

_HOMES: Final = {
    "Completion": ("completion", "Completion"),
    "Diagnostic": ("diagnostics", "Diagnostic"),
    "KqlError": ("errors", "KqlError"),
    "KqlSemanticError": ("errors", "KqlSemanticError"),
    "KqlSyntaxError": ("errors", "KqlSyntaxError"),
    "KqlUnsupported": ("errors", "KqlUnsupported"),
    "complete": ("completion", "complete"),
    "diagnose": ("diagnostics", "diagnose"),
    "parse": ("syntax.parser", "parse_query"),
    "translate": ("translator", "translate"),
    "unparse": ("syntax.printer", "unparse"),
}

__all__ = [
    "Completion",
    "Diagnostic",
    "KqlError",
    "KqlSemanticError",
    "KqlSyntaxError",
    "KqlUnsupported",
    "complete",
    "diagnose",
    "parse",
    "translate",
    "unparse",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
