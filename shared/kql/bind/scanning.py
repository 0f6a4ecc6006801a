"""scan with one step: state that goes from row to row."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, fresh_ref
from shared.kql.bind.shape import sorted_by
from shared.kql.bind.tables import Binder
from shared.kql.functions.build import convert, literal
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, OrderKey, SelectNode, order_sql
from shared.kql.syntax import ast
from shared.kql.types import SQL_TYPE, KqlType

T = KqlType


def scan(binder: Binder, relation: Relation, node: ast.Scan, env: Env) -> Relation:
    ctx = binder.ctx
    if len(node.steps) != 1 or node.partition or node.parameters:
        ctx.refuse("'scan' with several steps, partitions or match ids is not supported.", node)
    step = node.steps[0]
    if node.order:
        relation = sorted_by(binder, relation, node.order, env)
    if not relation.serialized:
        ctx.fail("scan needs rows in a fixed order: sort them first.", node)
    if relation.partition:
        ctx.refuse("'scan' inside mv-apply or partition is not supported.", node)
    taken = relation.taken()
    number = fresh_ref("$row_scan", taken)
    ranked = SelectNode(
        relation.node,
        items={
            number: Bound(
                sql=f"row_number() OVER ({order_sql(relation.order)})",
                type=T.LONG,
                columns=frozenset(key.ref for key in relation.order),
            )
        },
    )
    declared = [Col(each.name, each.type or T.DYNAMIC, fresh_ref(each.name, taken)) for each in node.declared]
    outside = ScalarBinder(binder, env)
    defaults = list[Bound]()
    for each, col in zip(node.declared, declared, strict=True):
        value = outside.bind(each.default) if each.default is not None else literal(None, col.type)
        with ctx.pointing_at(each):
            defaults.append(convert(ctx, value, col.type))
    # The step's own state: what it declared, and the last row it matched.
    state = [
        Col(f"{step.name}.{col.name}", col.type, fresh_ref(f"$state_{col.name}", taken)) for col in declared
    ]
    last = [
        Col(f"{step.name}.{col.name}", col.type, fresh_ref(f"$last_{col.name}", taken))
        for col in relation.columns
    ]
    plain = [Col(col.name, col.type, default.sql) for col, default in zip(declared, defaults, strict=True)]
    seen = Relation(relation.node, (*relation.columns, *plain, *state, *last))
    scalars = ScalarBinder(binder, env, seen)
    names = {col.name for col in (*state, *last)}
    condition = scalars.condition(_stated(step.condition, step.name, names))
    assigned = dict[str, Bound]()
    for assignment in step.assignments:
        target = next((col for col in declared if col.name == assignment.names[0]), None)
        if target is None:
            ctx.fail(f"'{assignment.names[0]}' is not declared by the scan.", assignment)
        with ctx.pointing_at(assignment):
            bound = scalars.bind(_stated(assignment.value, step.name, names))
            assigned[target.name] = convert(ctx, bound, target.type)
    if scalars.hoisted:
        ctx.refuse("Window functions inside 'scan' are not supported.", node)
    columns = (*relation.columns, *declared)

    def sql(needed: set[str], inputs: Sequence[str]) -> str:
        del needed
        table = inputs[0]
        first = ", ".join(
            [
                "0::BIGINT AS n",
                "false AS hit",
                *(
                    f"{default.sql}::{SQL_TYPE[col.type]} AS {col.ref}"
                    for col, default in zip(state, defaults, strict=True)
                ),
                *(f"{literal(None, col.type).sql} AS {col.ref}" for col in last),
            ]
        )
        nexts = [f"r.{number}", f"coalesce({condition.sql}, false)"]
        for col, own in zip(state, declared, strict=True):
            bound = assigned.get(own.name)
            value = bound.sql if bound is not None else defaults[declared.index(own)].sql
            nexts.append(f"CASE WHEN {condition.sql} THEN {value} ELSE {col.ref} END")
        for col, own in zip(last, relation.columns, strict=True):
            nexts.append(f"CASE WHEN {condition.sql} THEN r.{own.ref} ELSE {col.ref} END")
        shown = ", ".join(
            [
                *(f"r.{col.ref}" for col in relation.columns),
                *(f"w.{col.ref} AS {own.ref}" for col, own in zip(state, declared, strict=True)),
                f"r.{number}",
            ]
        )
        return (
            f"WITH RECURSIVE walk AS (SELECT {first} UNION ALL SELECT {', '.join(nexts)} FROM walk AS w "
            f"JOIN {table} AS r ON r.{number} = w.n + 1) SELECT {shown} FROM walk AS w JOIN {table} AS r "
            f"ON r.{number} = w.n WHERE w.hit"
        )

    reads = {col.ref for col in relation.columns} | {number}
    made = CustomNode((ranked,), demand=lambda _needed: (reads,), sql=sql)
    return Relation(made, columns, order=(OrderKey(ref=number),), serialized=True)


def _stated(node: Any, step: str, names: set[str]) -> Any:
    """The expression with `step.column` read from the state."""
    if isinstance(node, ast.Member) and isinstance(node.base, ast.Name) and node.base.name == step:
        name = f"{step}.{node.name}"
        return ast.Name(name, span=node.span) if name in names else node
    if isinstance(node, ast.Node):
        parts: Mapping[str, Any] = {
            field: _stated(getattr(node, field), step, names) for field in type(node).__match_args__
        }
        return type(node)(*parts.values(), span=node.span)
    if isinstance(node, tuple):
        return tuple(_stated(each, step, names) for each in cast("tuple[Any, ...]", node))
    return node
