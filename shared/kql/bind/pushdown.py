"""What a predicate says about the scans below: time bounds, and needles that the term index can look up."""

import re

from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Relation
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import ScanNode
from shared.kql.syntax import ast
from shared.kql.translation import Needle, NeedleKind
from shared.kql.types import KqlType

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}
_TERM = re.compile(r"[0-9A-Za-z]+")


def narrow(  # noqa: C901  one case per shape of condition
    scalars: ScalarBinder, relation: Relation, node: ast.Expr
) -> None:
    """Tell the scans what one conjunct over the relation demands of their rows."""
    if not relation.targets:
        return
    match node:
        case ast.Binary(op=op) if op in _FLIPPED:
            if isinstance(node.left, ast.Name):
                _compared(scalars, relation, node.left, op, node.right)
            elif isinstance(node.right, ast.Name):
                _compared(scalars, relation, node.right, _FLIPPED[op], node.left)
        case ast.Binary(op="has" | "has_cs" | ":"):
            if isinstance(node.left, ast.Name):
                _terms(scalars, relation, node.left.name, scalars.bind(node.right))
            elif isinstance(node.left, ast.Star):
                _terms(scalars, relation, None, scalars.bind(node.right))
        case ast.Between(negated=False, operand=ast.Name() as name):
            low, high = scalars.bind(node.low), scalars.bind(node.high)
            _bound(scalars, relation, name, ">=", low)
            if high.type is KqlType.TIMESPAN and isinstance(low.value, int) and isinstance(high.value, int):
                high = Bound(sql="", type=KqlType.DATETIME, constant=True, value=low.value + high.value)
            _bound(scalars, relation, name, "<=", high)
        case ast.InList(op="in", left=ast.Name() as name, items=(item,)):
            if not scalars.binder.is_tabular(item, scalars.env):
                _value(scalars, relation, name, scalars.bind(item))
        case ast.InList(op="has_all", left=ast.Name() as name, items=items):
            for item in items:
                if not scalars.binder.is_tabular(item, scalars.env):
                    _terms(scalars, relation, name.name, scalars.bind(item))
        case _:
            pass


def _compared(scalars: ScalarBinder, relation: Relation, name: ast.Name, op: str, other: ast.Expr) -> None:
    value = scalars.bind(other)
    if op == "==":
        _value(scalars, relation, name, value)
        _bound(scalars, relation, name, ">=", value)
        _bound(scalars, relation, name, "<=", value)
    else:
        _bound(scalars, relation, name, op, value)


def _reached(scalars: ScalarBinder, relation: Relation, name: str) -> list[tuple[ScanNode, str]]:
    col = scalars.row.get(name)
    if col is None:
        return []
    return [(target.scan, target.refs[col.ref]) for target in relation.targets if col.ref in target.refs]


def _bound(scalars: ScalarBinder, relation: Relation, name: ast.Name, op: str, value: Bound) -> None:
    if not value.constant or value.type is not KqlType.DATETIME or not isinstance(value.value, int):
        return
    for scan, column in _reached(scalars, relation, name.name):
        if column != "TimeGenerated":
            continue
        if op in (">", ">="):
            scan.at_least(value.value + (op == ">"))
        else:
            scan.at_most(value.value - (op == "<"))


def _value(scalars: ScalarBinder, relation: Relation, name: ast.Name, value: Bound) -> None:
    if (
        not value.constant
        or value.type is not KqlType.STRING
        or not isinstance(value.value, str)
        or not value.value
    ):
        return
    for scan, column in _reached(scalars, relation, name.name):
        if scan.columns[f'"{column}"'].type is KqlType.STRING if f'"{column}"' in scan.columns else False:
            scan.needles.append(Needle(kind=NeedleKind.VALUE, column=column, text=value.value))


def _terms(scalars: ScalarBinder, relation: Relation, name: str | None, value: Bound) -> None:
    """Only terms that stand whole in the needle: those between other characters, and the outer ones if all is one."""
    if not value.constant or value.type is not KqlType.STRING or not isinstance(value.value, str):
        return
    text = value.value
    if not text.isascii():
        return
    terms = [found.group().lower() for found in _TERM.finditer(text)]
    if name is None:
        reached: list[tuple[ScanNode, str | None]] = [(target.scan, None) for target in relation.targets]
    else:
        reached = [
            (scan, column)
            for scan, column in _reached(scalars, relation, name)
            if scan.columns.get(f'"{column}"') is not None
            and scan.columns[f'"{column}"'].type is KqlType.STRING
        ]
    for scan, column in reached:
        scan.needles.extend(Needle(kind=NeedleKind.TERM, column=column, text=term) for term in terms)
