"""evaluate: plugins that reshape rows. Those whose columns depend on the data ask for them first."""

import json
from collections.abc import Callable, Sequence

from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, fresh_ref, unique_name
from shared.kql.bind.summarize import Groups
from shared.kql.bind.tables import Binder
from shared.kql.errors import nearest
from shared.kql.functions.build import convert, literal, quote, result
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, SelectNode, identifier
from shared.kql.syntax import ast
from shared.kql.types import Column, KqlType

T = KqlType
_JSON_TYPES = {
    frozenset({"BIGINT"}): T.LONG,
    frozenset({"UBIGINT"}): T.LONG,
    frozenset({"BIGINT", "UBIGINT"}): T.LONG,
    frozenset({"DOUBLE"}): T.REAL,
    frozenset({"BIGINT", "DOUBLE"}): T.REAL,
    frozenset({"VARCHAR"}): T.STRING,
    frozenset({"BOOLEAN"}): T.BOOL,
}


def evaluate(binder: Binder, relation: Relation, node: ast.Evaluate, env: Env) -> Relation:
    plugin = _PLUGINS.get(node.call.name)
    if plugin is None:
        binder.ctx.refuse(f"The plugin '{node.call.name}' is not supported.", node.call)
    if relation.partition:
        binder.ctx.refuse("'evaluate' inside mv-apply or partition is not supported.", node)
    return plugin(binder, relation, node, env)


def evaluate_source(binder: Binder, node: ast.Evaluate, env: Env) -> Relation:
    del env
    return binder.ctx.refuse(f"The plugin '{node.call.name}' is not supported.", node.call)


def _column(binder: Binder, relation: Relation, node: ast.Expr) -> Col:
    if not isinstance(node, ast.Name):
        binder.ctx.fail("A column is expected here.", node)
    col = relation.find(node.name)
    if col is None:
        names = [each.name for each in relation.columns]
        binder.ctx.fail(
            f"Failed to resolve column named '{node.name}'.", node, suggestion=nearest(node.name, names)
        )
    return col


def _named_arguments(node: ast.Call) -> tuple[list[ast.Expr], dict[str, ast.Expr]]:
    positional: list[ast.Expr] = [each for each in node.arguments if not isinstance(each, ast.Named)]
    named = {each.names[0]: each.value for each in node.arguments if isinstance(each, ast.Named)}
    return positional, named


def _bag_unpack(binder: Binder, relation: Relation, node: ast.Evaluate, env: Env) -> Relation:
    positional, named = _named_arguments(node.call)
    if not positional:
        binder.ctx.fail("bag_unpack() takes a column.", node.call)
    bag = _column(binder, relation, positional[0])
    if bag.type is not T.DYNAMIC:
        binder.ctx.fail(f"bag_unpack() takes a dynamic column, not one of type {bag.type}.", positional[0])
    scalars = ScalarBinder(binder, env)

    def option(place: int, name: str) -> Bound | None:
        given = named.get(name) or (positional[place] if place < len(positional) else None)
        return scalars.constant(given, name) if given is not None else None

    prefix = option(1, "OutputColumnPrefix")
    conflict = option(2, "columnsConflict")
    ignored = option(3, "ignoredProperties")
    start = str(prefix.value or "") if prefix else ""
    how = str(conflict.value) if conflict else "error"
    gone = set[str]()
    if ignored is not None and isinstance(ignored.value, str):
        gone = set(json.loads(ignored.value))
    kept = [col for col in relation.columns if col is not bag]
    if node.schema is not None:
        found = [
            (declared.name, declared.type or T.DYNAMIC)
            for declared in node.schema
            if relation.find(declared.name) in (None, bag)
        ]
    else:
        found = [
            (start + column.name, column.type)
            for column in binder.discover(_bag_keys(relation, bag), node.call)
            if column.name not in gone
        ]
    taken = relation.taken()
    made = dict[str, Bound]()
    columns = list(relation.columns)
    for name, kind in found:
        key = name.removeprefix(start)
        old = next((col for col in kept if col.name == name), None)
        if old is not None and how == "keep_source":
            continue
        if old is not None and how != "replace_source":
            binder.ctx.fail(f"bag_unpack(): the column '{name}' exists already.", node.call)
        sql = f"nullif(json_extract({bag.ref}, {quote('$.' + identifier(key))}), 'null')"
        bound = convert(binder.ctx, result(sql, T.DYNAMIC, (bag.bound(),)), kind)
        ref = fresh_ref(name, taken)
        made[ref] = bound
        col = Col(name, kind, ref)
        at = next((index for index, each in enumerate(columns) if each.name == name), None)
        if at is None:
            columns.append(col)
        else:
            columns[at] = col
    columns = [col for col in columns if col is not bag]
    changed = [col.ref for col in relation.columns if col not in columns]
    return relation.derived(
        SelectNode(relation.node, items=made), columns, targets=relation.untouched(changed)
    )


def _bag_keys(relation: Relation, bag: Col) -> CustomNode:
    sql = (
        f"SELECT k AS name, string_agg(DISTINCT t, ',') AS kind FROM (SELECT k, json_type({bag.ref}, '$.\"' || "
        f"replace(k, '\"', '\\\"') || '\"') AS t FROM (SELECT {bag.ref}, unnest(json_keys({bag.ref})) AS k FROM {{0}})) "
        "WHERE t IS NOT NULL AND t <> 'NULL' GROUP BY k"
    )
    return CustomNode(
        (relation.node,),
        demand=lambda _needed: ({bag.ref},),
        sql=lambda _needed, names: sql.replace("{0}", names[0]),
    )


def columns_found(rows: Sequence[Sequence[object]]) -> list[Column]:
    """What a discovery's rows say: names with the JSON types, or the type, that was seen."""
    found = list[Column]()
    for name, kind in rows:
        seen = frozenset(str(kind).split(","))
        known = _JSON_TYPES.get(seen) or (KqlType(str(kind)) if str(kind) in set(KqlType) else T.DYNAMIC)
        found.append(Column(name=str(name), type=known))
    return sorted(found, key=lambda column: column.name)


def _pivot(binder: Binder, relation: Relation, node: ast.Evaluate, env: Env) -> Relation:
    ctx = binder.ctx
    positional, _ = _named_arguments(node.call)
    if not positional:
        ctx.fail("pivot() takes a column.", node.call)
    pivot = _column(binder, relation, positional[0])
    call = ast.Call("count", ())
    rest = list(positional[1:])
    if rest and isinstance(rest[0], ast.Call):
        call = rest.pop(0)
        assert isinstance(call, ast.Call)
    inputs = {each.name for each in call.arguments if isinstance(each, ast.Name)}
    by = (
        [_column(binder, relation, each) for each in rest]
        if rest
        else [col for col in relation.columns if col is not pivot and col.name not in inputs]
    )
    groups = Groups(binder, relation, env)
    groups.group_by([*(ast.Name(col.name) for col in by), ast.Name(pivot.name)])
    groups.aggregate(ast.Named(("$value",), call))
    grouped = groups.relation()
    label, value = grouped.columns[len(by)], grouped.columns[-1]
    text = convert(ctx, label.bound(), T.STRING)
    names_node = CustomNode(
        (grouped.node,),
        demand=lambda _needed: (text.columns,),
        sql=lambda _needed, names: (
            f"SELECT DISTINCT {text.sql} AS name, '{value.type}' AS kind FROM {names[0]}"
        ),
    )
    found = (
        [
            Column(name=declared.name, type=declared.type or value.type)
            for declared in node.schema
            if all(col.name != declared.name for col in by)
        ]
        if node.schema is not None
        else binder.discover(names_node, node.call)
    )
    keys = list(grouped.columns[: len(by)])
    taken = {col.ref.lower() for col in keys}
    columns = list(keys)
    items = {col.ref: Bound(sql=col.ref, type=col.type, columns=frozenset((col.ref,))) for col in keys}
    empty = (
        literal(0, T.LONG).sql
        if value.type is T.LONG and call.name in ("count", "countif", "sum", "dcount")
        else None
    )
    for column in found:
        name = unique_name(column.name, [col.name for col in columns])
        ref = fresh_ref(name, taken)
        sql = f"any_value({value.ref}) FILTER (WHERE {text.sql} = {quote(column.name)})"
        if empty is not None:
            sql = f"coalesce({sql}, {empty})"
        elif value.type is T.STRING:
            sql = f"coalesce({sql}, '')"
        bound = result(sql, value.type, (value.bound(), text))
        items[ref] = convert(ctx, bound, column.type) if column.type is not value.type else bound
        columns.append(Col(name, column.type, ref))
    spread = SelectNode(grouped.node, items=items, group=[col.ref for col in keys])
    return Relation(spread, tuple(columns))


def _narrow(binder: Binder, relation: Relation, node: ast.Evaluate, env: Env) -> Relation:
    del node, env
    taken = relation.taken()
    row = fresh_ref("$narrow", taken)
    numbered = SelectNode(relation.node, items={row: Bound(sql="(row_number() OVER () - 1)", type=T.LONG)})
    pairs = [
        f"struct_pack(c := {quote(col.name)}, v := {convert(binder.ctx, col.bound(), T.STRING).sql})"
        for col in relation.columns
    ]
    reads = frozenset({col.ref for col in relation.columns})
    cell = fresh_ref("$cell", taken)
    listed = SelectNode(
        numbered,
        items={cell: Bound(sql=f"unnest([{', '.join(pairs)}])", type=T.DYNAMIC, columns=reads)},
        pinned=True,
    )
    items = {
        '"Row"': Bound(sql=row, type=T.LONG, columns=frozenset((row,))),
        '"Column"': Bound(sql=f"struct_extract({cell}, 'c')", type=T.STRING, columns=frozenset((cell,))),
        '"Value"': Bound(sql=f"struct_extract({cell}, 'v')", type=T.STRING, columns=frozenset((cell,))),
    }
    shown = SelectNode(listed, items=items, closed=True)
    columns = (
        Col("Row", T.LONG, '"Row"'),
        Col("Column", T.STRING, '"Column"'),
        Col("Value", T.STRING, '"Value"'),
    )
    return Relation(shown, columns)


_PLUGINS: dict[str, Callable[[Binder, Relation, ast.Evaluate, Env], Relation]] = {
    "bag_unpack": _bag_unpack,
    "pivot": _pivot,
    "narrow": _narrow,
}


def plugin_names() -> list[str]:
    return list(_PLUGINS)


__all__ = ["columns_found", "evaluate", "evaluate_source", "plugin_names"]
