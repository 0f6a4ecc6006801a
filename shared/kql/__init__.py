"""The query language: KQL text to SQL that DuckDB runs, with its errors, completions and printer."""

from shared.kql.completion import Completion, complete
from shared.kql.diagnostics import Diagnostic, diagnose
from shared.kql.errors import KqlError, KqlSemanticError, KqlSyntaxError, KqlUnsupported
from shared.kql.syntax.parser import parse_query as parse
from shared.kql.syntax.printer import unparse
from shared.kql.translate import translate

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
