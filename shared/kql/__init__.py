"""The query language: KQL text to SQL that DuckDB runs, with its errors, completions and printer."""

from shared.kql.errors import KqlError, KqlSemanticError, KqlSyntaxError, KqlUnsupported
from shared.kql.syntax.parser import parse_query as parse
from shared.kql.translate import translate

__all__ = ["KqlError", "KqlSemanticError", "KqlSyntaxError", "KqlUnsupported", "parse", "translate"]
