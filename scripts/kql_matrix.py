"""Write docs/kql.md: every function of the query language, supported or refused, from the registry itself."""

import sys
from collections.abc import Iterable
from pathlib import Path

from shared.kql.functions import REFUSED, REGISTRY
from shared.kql.functions.registry import Function, FunctionKind, Parameter

TARGET = Path(__file__).parents[1] / "docs" / "kql.md"

_HEAD = """\
# KQL: which functions run here

Written by `scripts/kql_matrix.py` from the registry that the binder itself uses; a test keeps it current.
A query that calls a function of the last list fails and says its name: there are no approximate answers here.

"""
_TITLES = {
    FunctionKind.SCALAR: "Scalar functions",
    FunctionKind.AGGREGATE: "Aggregates",
    FunctionKind.WINDOW: "Functions over rows in order",
}


def _shown(parameter: Parameter) -> str:
    name = f"{parameter.name}…" if parameter.variadic else parameter.name
    return f"[{name}]" if parameter.optional else name


def _row(function: Function) -> str:
    call = f"`{function.name}({', '.join(_shown(each) for each in function.parameters)})`"
    if function.aliases:
        call += f"<br>also {', '.join(f'`{alias}`' for alias in function.aliases)}"
    return f"| {call} | {function.returns} | {function.summary} |"


def _table(functions: Iterable[Function]) -> list[str]:
    rows = sorted(functions, key=lambda function: function.name)
    return ["| Function | Yields | What |", "|---|---|---|", *map(_row, rows)]


def matrix() -> str:
    """The page as it should be."""
    entries = {function.name: function for function in REGISTRY.all().values()}
    lines: list[str] = []
    for kind, title in _TITLES.items():
        found = [function for function in entries.values() if function.kind is kind]
        lines += [f"## {title} ({len(found)})", "", *_table(found), ""]
    lines += [f"## Refused ({len(REFUSED)})", "", "| Function | Why |", "|---|---|"]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted(REFUSED.items())]
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    TARGET.write_text(matrix(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
