"""make-series: aggregates on a regular axis, as arrays."""

from collections.abc import Sequence

from shared.kql import operators
from shared.kql.bind.names import aggregate_name, implied
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, fresh_ref, unique_name
from shared.kql.bind.summarize import Groups
from shared.kql.bind.tables import Binder
from shared.kql.functions.build import convert, literal
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, SelectNode
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType


def make_series(binder: Binder, relation: Relation, node: ast.MakeSeries, env: Env) -> Relation:
    ctx = binder.ctx
    if relation.partition:
        ctx.refuse("'make-series' inside mv-apply or partition is not supported.", node)
    scalars = ScalarBinder(binder, env, relation)
    axis_node = node.on.value if isinstance(node.on, ast.Named) else node.on
    axis = scalars.bind(axis_node)
    axis_name = implied(node.on) or "Column1"
    if axis.type not in (T.DATETIME, T.TIMESPAN, T.LONG, T.INT, T.REAL):
        ctx.fail(f"The axis of a series cannot be of type {axis.type}.", node.on)
    step_type = T.TIMESPAN if axis.type in (T.DATETIME, T.TIMESPAN) else axis.type
    outside = ScalarBinder(binder, env)
    with ctx.pointing_at(node.step):
        step = convert(ctx, outside.bind(node.step), step_type)
    base = scalars.prepared
    taken = base.taken() | {ref.lower() for ref, _ in scalars.hoisted}
    axis_ref = fresh_ref("$axis", taken)
    marked = base.derived(SelectNode(base.node, items={axis_ref: axis}), base.columns)
    start = _edge(binder, marked, axis, axis_ref, node.start, step, env, last=False)
    stop = _edge(binder, marked, axis, axis_ref, node.stop, step, env, last=True)
    place = _floor(f"({axis_ref} - {start.sql})", step.sql, axis.type)
    reads = frozenset((axis_ref,)) | start.columns | stop.columns | step.columns
    inside = Bound(sql=f"({axis_ref} >= {start.sql} AND {axis_ref} < {stop.sql})", type=T.BOOL, columns=reads)
    bucket_ref = fresh_ref("$bucket", taken)
    bucketed = SelectNode(
        SelectNode(marked.node, where=[inside]),
        items={bucket_ref: Bound(sql=place, type=T.LONG, columns=reads)},
    )
    bucket = Col("$bucket", T.LONG, bucket_ref)
    rows = marked.derived(bucketed, (*marked.columns, bucket))
    groups = Groups(binder, rows, env)
    groups.group_by([*node.by, ast.Name("$bucket")])
    defaults = list[Bound | None]()
    for item in node.aggregates:
        name = item.name
        if name is None and isinstance(item.call, ast.Call):
            function = ctx.registry.get(item.call.name)
            name = aggregate_name(item.call, function) if function else None
        groups.aggregate(ast.Named((name or f"Column{len(defaults) + 1}",), item.call))
        defaults.append(outside.bind(item.default) if item.default is not None else None)
    grouped = groups.relation()
    keys = list(grouped.columns[: len(node.by)])
    values = grouped.columns[len(groups.keys) :]
    count_sql = _steps(start.sql, stop.sql, step.sql, axis.type)
    return _arrays(
        binder,
        grouped,
        keys,
        grouped.columns[len(node.by)].ref,
        list(zip(values, defaults, strict=True)),
        axis_name,
        axis.type,
        (start, stop, step, count_sql),
        nonempty=any(
            name == "kind" and isinstance(value, ast.Name) and value.name == "nonempty"
            for name, value in node.parameters
        ),
    )


def _edge(
    binder: Binder,
    marked: Relation,
    axis: Bound,
    ref: str,
    node: ast.Expr | None,
    step: Bound,
    env: Env,
    *,
    last: bool,
) -> Bound:
    if node is not None:
        with binder.ctx.pointing_at(node):
            bound = ScalarBinder(binder, env).bind(node)
            return convert(binder.ctx, bound, axis.type)
    # The first or the last bin that holds data.
    floor = f"{_floor(f'{"max" if last else "min"}({ref})', step.sql, axis.type)} * {step.sql}"
    edge = f"{floor} + {step.sql}" if last else floor
    found = binder.subquery(marked, edge, {ref})
    return Bound(sql=found.sql, type=axis.type, columns=found.columns)


def _floor(value: str, step: str, kind: KqlType) -> str:
    if kind is T.REAL:
        return f"floor({value} / {step})::BIGINT"
    return f"(({value} - ((({value} % {step}) + {step}) % {step})) // {step})"


def _steps(start: str, stop: str, step: str, kind: KqlType) -> str:
    if kind is T.REAL:
        return f"ceil(({stop} - {start}) / {step})::BIGINT"
    return f"(({stop} - {start} + {step} - 1) // {step})"


def _arrays(
    binder: Binder,
    grouped: Relation,
    keys: Sequence[Col],
    bucket: str,
    values: Sequence[tuple[Col, Bound | None]],
    axis_name: str,
    axis_type: KqlType,
    edges: tuple[Bound, Bound, Bound, str],
    *,
    nonempty: bool,
) -> Relation:
    ctx = binder.ctx
    start, stop, step, count = edges
    taken = {key.ref.lower() for key in keys}
    columns = list(keys)
    arrays = dict[str, tuple[str, str]]()  # output ref → the value's ref, and its SQL over g
    used = [col.name for col in keys]
    for col, default in values:
        name = unique_name(col.name, used)
        used.append(name)
        ref = fresh_ref(name, taken)
        empty = default if default is not None else literal(0, T.LONG)
        if empty.value is None and empty.constant and default is not None:
            fallback = "NULL"
        else:
            target = (
                col.type if operators.is_number(col.type) and operators.is_number(empty.type) else empty.type
            )
            if col.type in (T.LONG, T.INT) and empty.type is T.REAL:
                target = T.REAL
            fallback = convert(ctx, convert(ctx, empty, target), T.DYNAMIC).sql
        value = convert(ctx, Bound(sql=f"g.{col.ref}", type=col.type), T.DYNAMIC).sql
        listed = f"to_json(list(CASE WHEN g.{bucket} IS NULL THEN {fallback} ELSE {value} END ORDER BY i.i))"
        arrays[ref] = (col.ref, listed)
        columns.append(Col(name, T.DYNAMIC, ref))
    point = Bound(sql=f"({start.sql} + i.i * {step.sql})", type=axis_type)
    axis_ref = fresh_ref(unique_name(axis_name, used), taken)
    arrays[axis_ref] = ("", f"to_json(list({convert(ctx, point, T.DYNAMIC).sql} ORDER BY i.i))")
    columns.append(Col(unique_name(axis_name, used), T.DYNAMIC, axis_ref))
    refs = [key.ref for key in keys]
    edge_reads = start.columns | stop.columns | step.columns

    def demand(needed: set[str]) -> tuple[set[str]]:
        return (
            {
                bucket,
                *refs,
                *(arrays[ref][0] for ref in needed if ref in arrays and arrays[ref][0]),
                *edge_reads,
            },
        )

    def sql(needed: set[str], names: Sequence[str]) -> str:
        shown = [f"k.{ref}" if ref in refs else f"{arrays[ref][1]} AS {ref}" for ref in sorted(needed)]
        text = ", ".join(shown) or "NULL AS none"
        if refs:
            parts = f"(SELECT DISTINCT {', '.join(refs)} FROM {names[0]}) AS k"
        else:
            parts = "(SELECT 1) AS k" if nonempty else f"(SELECT 1 FROM {names[0]} LIMIT 1) AS k"
        on = " AND ".join([*(f"g.{ref} IS NOT DISTINCT FROM k.{ref}" for ref in refs), f"g.{bucket} = i.i"])
        group = ", ".join(f"k.{ref}" for ref in refs)
        tail = f" GROUP BY {group}" if group else " HAVING count(*) > 0"
        return (
            f"SELECT {text} FROM {parts} CROSS JOIN range(coalesce({count}, 0)::BIGINT) AS i(i) "
            f"LEFT JOIN {names[0]} AS g ON {on}{tail}"
        )

    node = CustomNode((grouped.node,), demand=demand, sql=sql)
    return Relation(node, tuple(columns))
