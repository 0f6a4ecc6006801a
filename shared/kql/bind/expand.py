"""mv-expand, mv-apply and partition: rows out of dynamic values, and queries over each part of the rows."""

from collections.abc import Sequence

from shared.kql.bind.names import implied
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, fresh_ref
from shared.kql.bind.tables import Binder
from shared.kql.functions.build import convert, result
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, OrderKey, SelectNode
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType
_ELEMENTS = {
    "bag": (
        "CREATE OR REPLACE MACRO kql_elements(d) AS (CASE json_type(d) WHEN 'ARRAY' THEN from_json(d, '[\"JSON\"]') "
        "WHEN 'OBJECT' THEN list_transform(json_keys(d), lambda k: "
        "json_object(k, json_extract(d, '$.\"' || replace(k, '\"', '\\\"') || '\"'))::JSON) ELSE [d] END)"
    ),
    "array": (
        "CREATE OR REPLACE MACRO kql_element_pairs(d) AS (CASE json_type(d) WHEN 'ARRAY' THEN from_json(d, '[\"JSON\"]') "
        "WHEN 'OBJECT' THEN list_transform(json_keys(d), lambda k: "
        "json_array(k, json_extract(d, '$.\"' || replace(k, '\"', '\\\"') || '\"'))::JSON) ELSE [d] END)"
    ),
}


def _option(parameters: ast.Parameters, *names: str) -> str | None:
    for name, value in parameters:
        if name in names and isinstance(value, ast.Name):
            return value.name
    return None


def expanded(
    binder: Binder,
    relation: Relation,
    items: Sequence[ast.Expanded],
    parameters: ast.Parameters,
    limit: ast.Expr | None,
    env: Env,
) -> tuple[Relation, list[str]]:
    """The relation with one row per element, and the names of the columns that now hold elements."""
    ctx = binder.ctx
    kind = _option(parameters, "bagexpansion", "kind") or "bag"
    macro = "kql_element_pairs" if kind == "array" else "kql_elements"
    ctx.macro(_ELEMENTS["array" if kind == "array" else "bag"])
    scalars = ScalarBinder(binder, env, relation)
    most = f"[:{ScalarBinder(binder, env).constant_int(limit, 'The limit')}]" if limit is not None else ""
    sources = list[tuple[str, KqlType, Bound]]()
    for number, item in enumerate(items, 1):
        bound = scalars.bind(item.value)
        if bound.type is not T.DYNAMIC:
            ctx.fail(f"mv-expand takes a dynamic value, not one of type {bound.type}.", item)
        name = item.name or implied(item.value) or f"Column{number}"
        if bound.columns != frozenset((bound.sql,)):  # its elements are looked at in several places
            bound = scalars.hoist(bound)
        sources.append((name, item.to or T.DYNAMIC, bound))
    base = scalars.prepared
    taken = base.taken() | {ref.lower() for ref, _ in scalars.hoisted}
    lists = dict[str, Bound]()
    for _, _, bound in sources:
        lists[fresh_ref("$list", taken)] = result(f"{macro}({bound.sql}){most}", T.DYNAMIC, (bound,))
    listed = SelectNode(base.node, items=lists)
    rows = dict[str, Bound]()
    elements = list[str]()
    for ref in lists:
        element = fresh_ref("$element", taken)
        elements.append(element)
        rows[element] = Bound(sql=f"unnest({ref})", type=T.DYNAMIC, columns=frozenset((ref,)))
    place = fresh_ref("$row_element", taken)
    longest = (
        f"len({next(iter(lists))})"
        if len(lists) == 1
        else f"greatest({', '.join(f'len({ref})' for ref in lists)})"
    )
    rows[place] = Bound(sql=f"unnest(range({longest}))", type=T.LONG, columns=frozenset(lists))
    spread = SelectNode(listed, items=rows, pinned=True)
    columns = list(relation.columns)
    made = dict[str, Bound]()
    for (name, to, _), element in zip(sources, elements, strict=True):
        raw = Bound(sql=element, type=T.DYNAMIC, columns=frozenset((element,)))
        clean = result(f"nullif({element}, 'null')", T.DYNAMIC, (raw,))
        bound = convert(ctx, clean, to) if to is not T.DYNAMIC else clean
        ref = fresh_ref(name, taken)
        made[ref] = bound
        _place(columns, Col(name, to, ref))
    index = _option(parameters, "with_itemindex")
    if index is not None:
        _place(columns, Col(index, T.LONG, place))
    node = SelectNode(spread, items=made)
    order = (
        (*base.order, OrderKey(ref=place)) if base.order else (OrderKey(ref=place),) if base.partition else ()
    )
    changed = [col.ref for col in relation.columns if col not in columns]
    found = base.derived(
        node, columns, order=order, targets=base.untouched(changed), serialized=base.serialized
    )
    return found, [name for name, _, _ in sources] + ([index] if index else [])


def _place(columns: list[Col], col: Col) -> None:
    for position, each in enumerate(columns):
        if each.name == col.name:
            columns[position] = col
            return
    columns.append(col)


def mv_expand(binder: Binder, relation: Relation, node: ast.MvExpand, env: Env) -> Relation:
    found, _ = expanded(binder, relation, node.items, node.parameters, node.limit, env)
    return found


def mv_apply(binder: Binder, relation: Relation, node: ast.MvApply, env: Env) -> Relation:
    part = fresh_ref("$part", relation.taken())
    numbered = SelectNode(relation.node, items={part: Bound(sql="row_number() OVER ()", type=T.LONG)})
    regroups = _regroups(node.body)
    numbered.materialized = regroups
    reserved = frozenset({*relation.reserved, part.lower(), *(col.ref.lower() for col in relation.columns)})
    inner = relation.derived(numbered, partition=(*relation.partition, part), reserved=reserved, targets=())
    spread, names = expanded(binder, inner, node.items, node.parameters, node.limit, env)
    order = spread.order
    body = run_body(binder, spread, node.body, env)
    outer = [col for col in relation.columns if col.name not in names]
    known = {col.name for col in outer}
    added = [col for col in body.columns if col.name not in known]
    if not regroups:
        by_name = {col.name: col for col in body.columns}
        columns = [by_name.get(col.name, col) for col in outer] + added
        return body.derived(
            body.node,
            columns,
            partition=relation.partition,
            reserved=relation.reserved,
            order=body.order or order,
            targets=(),
            serialized=relation.serialized,
        )
    return _rejoined(relation, numbered, body, part, outer, added)


def _rejoined(
    relation: Relation,
    numbered: SelectNode,
    body: Relation,
    part: str,
    outer: Sequence[Col],
    added: Sequence[Col],
) -> Relation:
    """The parts' results next to the rows that the parts were made of."""
    taken = (
        {col.ref.lower() for col in outer}
        | {key.ref.lower() for key in relation.order}
        | set(relation.reserved)
    )
    moved = dict[str, str]()
    columns = list(outer)
    for col in added:
        ref = fresh_ref(col.name, taken)
        moved[ref] = col.ref
        columns.append(Col(col.name, col.type, ref))
    inner_order = list[OrderKey]()
    for key in body.order:
        ref = fresh_ref("$row_inner", taken)
        moved[ref] = key.ref
        inner_order.append(OrderKey(ref=ref, descending=key.descending, nulls_first=key.nulls_first))

    def demand(needed: set[str]) -> tuple[set[str], set[str]]:
        mine = {ref for ref in needed if ref not in moved}
        return mine | {part}, {moved[ref] for ref in needed if ref in moved} | {part}

    def sql(needed: set[str], names: Sequence[str]) -> str:
        shown = [f"r.{moved[ref]} AS {ref}" if ref in moved else f"l.{ref}" for ref in sorted(needed)]
        text = ", ".join(shown) or "NULL AS none"
        return f"SELECT {text} FROM {names[0]} AS l JOIN {names[1]} AS r ON l.{part} = r.{part}"

    node = CustomNode((numbered, body.node), demand=demand, sql=sql)
    order = (*relation.order, *inner_order) if relation.order else ()
    return relation.derived(node, columns, order=order, targets=())


def _regroups(body: ast.Pipeline) -> bool:
    """Whether the body makes rows that no longer hold the outer columns."""
    for operator in body.operators:
        if isinstance(operator, ast.Summarize | ast.Count | ast.MakeSeries | ast.TopNested):
            return True
        if isinstance(operator, ast.Project) and operator.word == "distinct":
            return True
        if isinstance(operator, ast.MvApply) and _regroups(operator.body):
            return True
    return False


def run_body(binder: Binder, relation: Relation, body: ast.Pipeline, env: Env) -> Relation:
    if body.source is not None:
        binder.ctx.refuse("A table inside the parentheses of this operator is not supported.", body)
    return binder.run(relation, body.operators, env)


def partition(binder: Binder, relation: Relation, node: ast.Partition, env: Env) -> Relation:
    if not isinstance(node.by, ast.Name):
        binder.ctx.fail("partition takes one column.", node)
    col = relation.find(node.by.name)
    if col is None:
        binder.ctx.fail(f"Failed to resolve column named '{node.by.name}'.", node.by)
    part = fresh_ref("$part", relation.taken())
    marked = SelectNode(relation.node, items={part: col.bound()})
    inner = relation.derived(
        marked,
        partition=(*relation.partition, part),
        reserved=relation.reserved | {part.lower()},
        targets=(),
    )
    body = run_body(binder, inner, node.body, env)
    return body.derived(
        body.node,
        partition=relation.partition,
        reserved=relation.reserved,
        targets=(),
        order=(),
        serialized=False,
    )
