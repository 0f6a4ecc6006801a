"""The names that Kusto gives to columns nobody named."""

from shared.kql.functions.registry import Function
from shared.kql.syntax import ast

# Functions whose result keeps the name of the column they are applied to.
_TRANSPARENT = frozenset(
    [
        "bin",
        "floor",
        "bin_at",
        "tostring",
        "tolong",
        "toint",
        "todouble",
        "toreal",
        "tobool",
        "todatetime",
        "totimespan",
        "todecimal",
        "toguid",
        "todynamic",
        "parse_json",
        "parsejson",
        "tohex",
        "startofday",
        "startofweek",
        "startofmonth",
        "startofyear",
        "endofday",
        "endofweek",
        "endofmonth",
        "endofyear",
        "ceiling",
        "round",
        "abs",
    ]
)


def implied(node: ast.Expr) -> str | None:
    """The name that an expression brings along: a column's own, a path's, a transparent function's argument's."""
    match node:
        case ast.Named():
            return node.names[0]
        case ast.Name():
            return node.name
        case ast.Member():
            base = implied(node.base)
            if isinstance(node.base, ast.Name) and node.base.name in ("$left", "$right"):
                return node.name
            return node.name if base is None else f"{base}_{node.name}"
        case ast.Index():
            base = implied(node.base)
            if base is None or not isinstance(node.index, ast.Literal):
                return base
            value = node.index.value
            return f"{base}_{value}" if isinstance(value, str | int) and not isinstance(value, bool) else base
        case ast.Call() if node.name in _TRANSPARENT and node.arguments:
            return implied(node.arguments[0])
        case ast.Pipeline() if not node.operators and node.source is not None:
            return implied(node.source)
        case _:
            return None


def aggregate_name(node: ast.Call, function: Function) -> str:
    """`count_`, `sum_x`, `percentile_x_95`: from the function's own template."""
    template = function.auto_name or f"{function.name}_{{0}}"
    if function.name == "count" and node.arguments:
        template = "count_{0}"
    for place in range(4):
        hole = f"{{{place}}}"
        if hole in template:
            template = template.replace(hole, _argument(node, place))
    return template


def _argument(node: ast.Call, place: int) -> str:
    if place >= len(node.arguments):
        return ""
    argument = node.arguments[place]
    if isinstance(argument, ast.Literal):
        return str(argument.value).replace(".", "_")
    return implied(argument) or ""
