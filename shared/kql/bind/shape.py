"""The operators that shape rows and columns one by one: where, project and its family, extend, sort, take, count."""

import fnmatch
import json
import re
from collections.abc import Sequence

from shared.kql.bind.names import implied
from shared.kql.bind.pushdown import narrow
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, RelationLet, fresh_ref, unique_name
from shared.kql.bind.tables import Binder
from shared.kql.errors import nearest
from shared.kql.functions import PARTIAL, REFUSED, TUPLES
from shared.kql.functions.build import convert, literal, result
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, OrderKey, SelectNode, ValuesNode, order_sql
from shared.kql.syntax import ast
from shared.kql.types import SQL_TYPE, KqlType

T = KqlType
DOTNET = {
    T.BOOL: "System.SByte",
    T.INT: "System.Int32",
    T.LONG: "System.Int64",
    T.REAL: "System.Double",
    T.DECIMAL: "System.Data.SqlTypes.SqlDecimal",
    T.STRING: "System.String",
    T.DATETIME: "System.DateTime",
    T.TIMESPAN: "System.TimeSpan",
    T.GUID: "System.Guid",
    T.DYNAMIC: "System.Object",
}


def where(binder: Binder, relation: Relation, node: ast.Where, env: Env) -> Relation:
    return filtered(binder, relation, node.predicate, env)


def conjuncts(node: ast.Expr) -> list[ast.Expr]:
    found, pending = list[ast.Expr](), [node]
    while pending:
        each = pending.pop()
        if isinstance(each, ast.Binary) and each.op == "and":
            pending += (each.right, each.left)
        else:
            found.append(each)
    return found


def filtered(binder: Binder, relation: Relation, predicate: ast.Expr, env: Env) -> Relation:
    scalars = ScalarBinder(binder, env, relation)
    parts = conjuncts(predicate)
    bounds = [scalars.condition(part) for part in parts]
    if relation.targets:
        apart = ScalarBinder(binder, env, relation)  # what it hoists is of no use
        for part in parts:
            narrow(apart, relation, part)
    base = scalars.prepared
    if all(bound.constant and bound.value is True for bound in bounds):
        return relation
    return base.derived(SelectNode(base.node, where=bounds), name=relation.name)


# Columns -------------------------------------------------------------------------------------------------------------


def rearranged(relation: Relation, columns: Sequence[Col]) -> Relation:
    """The same rows with other columns shown: nothing is computed."""
    return relation.derived(relation.node, columns, name=relation.name, whole=relation.whole)


def computed(
    scalars: ScalarBinder, relation: Relation, items: Sequence[tuple[str, Bound]], *, keep: bool
) -> Relation:
    """The relation with these columns: added to or replaced in the old ones (`keep`), or instead of them."""
    base = scalars.prepared
    taken = base.taken() | {ref.lower() for ref, _ in scalars.hoisted}
    made = dict[str, Bound]()
    old = {col.ref: col for col in relation.columns}
    columns = list(relation.columns) if keep else list[Col]()
    for name, bound in items:
        passing = old.get(bound.sql) if bound.columns == frozenset((bound.sql,)) else None
        if passing is not None and passing.type is bound.type:
            col = Col(name, bound.type, passing.ref)
        else:
            ref = fresh_ref(name, taken)
            made[ref] = bound
            col = Col(name, bound.type, ref)
        place = next((index for index, each in enumerate(columns) if each.name == name), None)
        if place is None:
            columns.append(col)
        else:
            columns[place] = col
    if not made:
        return base.derived(base.node, columns, name=relation.name, whole=relation.whole)
    node = SelectNode(base.node, items=made)
    return base.derived(node, columns, name=relation.name, whole=relation.whole)


def bound_items(
    scalars: ScalarBinder,
    items: Sequence[ast.Expr],
    *,
    star: Sequence[Col] = (),
    existing: Sequence[str] = (),
) -> list[tuple[str, Bound]]:
    """Each item with its name; `Column1`, `Column2`, … where it brings none."""
    found = list[tuple[str, Bound]]()
    number = 0
    used = set(existing)
    for item in items:
        if isinstance(item, ast.Star):
            found += [(col.name, col.bound()) for col in star]
            continue
        names = item.names if isinstance(item, ast.Named) else ()
        value = item.value if isinstance(item, ast.Named) else item
        if isinstance(value, ast.Call) and len(names) != 1 and value.name in TUPLES:
            found += _several(scalars, value, names)
            continue
        bound = scalars.bind(value)
        if len(names) > 1:
            for index, name in enumerate(names):
                sql = f"nullif(json_extract({bound.sql}, '$[{index}]'), 'null')"
                found.append((name, result(sql, T.DYNAMIC, (bound,))))
            continue
        name = names[0] if names else implied(value)
        if name is None:
            number += 1
            while f"Column{number}" in used:
                number += 1
            name = f"Column{number}"
        used.add(name)
        found.append((name, bound))
    return found


def _several(scalars: ScalarBinder, call: ast.Call, names: Sequence[str]) -> list[tuple[str, Bound]]:
    """The columns of a function that yields several, named as the query says or after function and argument."""
    if call.name in PARTIAL and not 0 < len(names) <= len(TUPLES[call.name]):
        most = len(TUPLES[call.name])
        scalars.ctx.refuse(f"Of {call.name}() only the first {most} columns are supported, by name.", call)
    arguments = [scalars.bind(each) for each in call.arguments]
    source = implied(call.arguments[0]) if call.arguments else None
    return [
        (
            names[index] if index < len(names) else f"{call.name}_{source or ''}_{suffix}",
            emit(scalars.ctx, arguments),
        )
        for index, (suffix, emit) in enumerate(TUPLES[call.name])
        if index < len(names) or not names
    ]


def project(binder: Binder, relation: Relation, node: ast.Project, env: Env) -> Relation:
    match node.word:
        case "project":
            scalars = ScalarBinder(binder, env, relation)
            items = bound_items(scalars, node.items, star=relation.columns)
            unique = list[tuple[str, Bound]]()
            for name, bound in items:
                known = [each for each, _ in unique]
                if name in known:
                    if any(isinstance(item, ast.Named) and name in item.names for item in node.items):
                        binder.ctx.fail(f"The column '{name}' is projected twice.", node)
                    name = unique_name(name, known)
                unique.append((name, bound))
            return computed(scalars, relation, unique, keep=False)
        case "extend":
            return extend(binder, relation, node.items, env)
        case "serialize":
            fixed = relation.derived(relation.node, serialized=True, name=relation.name)
            return extend(binder, fixed, node.items, env) if node.items else fixed
        case "project-away":
            gone = {col.name for item in node.items for col in matching(binder, relation, item)}
            return rearranged(relation, [col for col in relation.columns if col.name not in gone])
        case "project-keep":
            kept = {col.name for item in node.items for col in matching(binder, relation, item)}
            return rearranged(relation, [col for col in relation.columns if col.name in kept])
        case "project-by-names":
            return by_names(binder, relation, node, env)
        case "project-rename":
            return rename(binder, relation, node)
        case "distinct":
            return distinct(binder, relation, node, env)
        case _:
            return binder.ctx.fail(f"'{node.word}' cannot stand after a pipe.", node)


def extend(binder: Binder, relation: Relation, items: Sequence[ast.Expr], env: Env) -> Relation:
    scalars = ScalarBinder(binder, env, relation)
    bound = bound_items(
        scalars, items, star=relation.columns, existing=[col.name for col in relation.columns]
    )
    return computed(scalars, relation, bound, keep=True)


def matching(binder: Binder, relation: Relation, item: ast.Expr, *, strict: bool = True) -> list[Col]:
    """The columns that a name or pattern means."""
    if isinstance(item, ast.Star):
        return list(relation.columns)
    if isinstance(item, ast.Pattern):
        pattern = re.compile(fnmatch.translate(item.text.replace("[", "[[]")))
        return [col for col in relation.columns if pattern.match(col.name)]
    if isinstance(item, ast.Name):
        col = relation.find(item.name)
        if col is not None:
            return [col]
        if not strict:
            return []
        names = [each.name for each in relation.columns]
        binder.ctx.fail(
            f"Failed to resolve column named '{item.name}'.", item, suggestion=nearest(item.name, names)
        )
    return binder.ctx.fail("A column is expected here.", item)


def by_names(binder: Binder, relation: Relation, node: ast.Project, env: Env) -> Relation:
    """The columns whose names, or patterns of names, are values: texts or arrays of texts. Others are passed over."""
    scalars = ScalarBinder(binder, env)
    chosen = list[Col]()
    for item in node.items:
        value = scalars.constant(item, "A column's name").value
        names = json.loads(value) if isinstance(value, str) and value[:1] == "[" else [value]
        for name in names:
            if not isinstance(name, str):
                binder.ctx.fail("The name of a column is expected here.", item)
            pattern = re.compile(fnmatch.translate(name.replace("[", "[[]")))
            chosen += [col for col in relation.columns if pattern.match(col.name) and col not in chosen]
    return rearranged(relation, chosen)


def rename(binder: Binder, relation: Relation, node: ast.Project) -> Relation:
    new = dict[str, str]()
    for item in node.items:
        if not isinstance(item, ast.Named) or not isinstance(item.value, ast.Name):
            binder.ctx.fail("'new = old' is expected here.", item)
        col = matching(binder, relation, item.value)[0]
        new[col.name] = item.names[0]
    names = [new.get(col.name, col.name) for col in relation.columns]
    if len(set(names)) != len(names):
        binder.ctx.fail("Two columns would have the same name.", node)
    return rearranged(
        relation,
        [Col(name, col.type, col.ref) for name, col in zip(names, relation.columns, strict=True)],
    )


def _by_name(col: Col) -> str:
    return col.name


def _natural(col: Col) -> list[tuple[int, str]]:
    """`a2` before `a10`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", col.name)]


def reorder(binder: Binder, relation: Relation, node: ast.Reorder, env: Env) -> Relation:
    del env
    first = list[Col]()
    for item in node.items:
        found = [col for col in matching(binder, relation, item.expression, strict=False) if col not in first]
        if item.descending is not None:
            found.sort(key=_natural if item.granny else _by_name, reverse=item.descending)
        first += found
    return rearranged(relation, [*first, *(col for col in relation.columns if col not in first)])


def distinct(binder: Binder, relation: Relation, node: ast.Project, env: Env) -> Relation:
    scalars = ScalarBinder(binder, env, relation)
    items = bound_items(scalars, node.items, star=relation.columns)
    shown = computed(scalars, relation, items, keep=False)
    return grouped(shown)


def grouped(relation: Relation) -> Relation:
    """One row per combination of the relation's columns. What narrows its scans still narrows them."""
    refs = list(dict.fromkeys(col.ref for col in relation.columns))
    if not refs:
        return relation
    items = {ref: Bound(sql=ref, type=T.LONG, columns=frozenset((ref,))) for ref in refs}
    order, items = first_seen(relation, items)
    for ref in relation.partition:
        refs.append(ref)
        items[ref] = Bound(sql=ref, type=T.LONG, columns=frozenset((ref,)))
    node = SelectNode(relation.node, items=items, group=refs)
    return relation.derived(node, relation.columns, order=order, serialized=False)


def first_seen(relation: Relation, items: dict[str, Bound]) -> tuple[tuple[OrderKey, ...], dict[str, Bound]]:
    """Where rows have a place of their own (`$row`), groups come in the order of their first row."""
    keys = relation.order
    if len(keys) != 1 or not keys[0].ref.startswith('"$row') or keys[0].descending:
        return (), items
    ref = keys[0].ref
    made = Bound(sql=f"min({ref})", type=T.LONG, columns=frozenset((ref,)))
    return (OrderKey(ref=ref),), {**items, ref: made}


# Order and number ----------------------------------------------------------------------------------------------------


def sorted_by(binder: Binder, relation: Relation, keys: Sequence[ast.Ordered], env: Env) -> Relation:
    scalars = ScalarBinder(binder, env, relation)
    items = list[tuple[ast.Ordered, Bound]]()
    for key in keys:
        expression = key.expression.value if isinstance(key.expression, ast.Named) else key.expression
        bound = scalars.bind(expression)
        items.append((key, bound))
    base = scalars.prepared
    order = list[OrderKey]()
    made = dict[str, Bound]()
    taken = base.taken() | {ref.lower() for ref, _ in scalars.hoisted}
    for key, bound in items:
        if bound.constant:
            continue
        ref = bound.sql
        if bound.columns != frozenset((ref,)):
            ref = fresh_ref("$key", taken)
            made[ref] = bound
        descending = key.descending is not False
        nulls_first = key.nulls_first if key.nulls_first is not None else not descending
        order.append(OrderKey(ref=ref, descending=descending, nulls_first=nulls_first))
    node = SelectNode(base.node, items=made) if made else base.node
    kept = [key for key in relation.order if key.ref.startswith('"$row')]
    return base.derived(node, relation.columns, order=(*order, *kept), serialized=True, whole=relation.whole)


def sort(binder: Binder, relation: Relation, node: ast.Sort, env: Env) -> Relation:
    return sorted_by(binder, relation, node.keys, env)


def limited(binder: Binder, relation: Relation, count: ast.Expr, env: Env) -> Relation:
    """The first rows in order; nothing that comes later narrows the scans below."""
    scalars = ScalarBinder(binder, env)
    bound = scalars.bind(count)
    if not bound.constant:
        sql = convert(binder.ctx, bound, T.LONG).sql
        node = SelectNode(relation.node, order=relation.order, limit=f"(SELECT greatest({sql}, 0))")
        if bound.columns:
            node = SelectNode(relation.node, order=relation.order, limit=f"(SELECT greatest({sql}, 0))")
            node.subqueries |= bound.columns
        return relation.derived(node, targets=())
    if isinstance(bound.value, bool) or not isinstance(bound.value, int | float):
        binder.ctx.fail("A number of rows is expected here.", count)
    limit = max(int(bound.value), 0)
    if relation.partition:
        over = f"PARTITION BY {', '.join(relation.partition)} {order_sql(relation.order)}"
        reads = frozenset((*relation.partition, *(key.ref for key in relation.order)))
        keep = Bound(sql=f"row_number() OVER ({over}) <= {limit}", type=T.BOOL, columns=reads)
        return relation.derived(SelectNode(relation.node, qualify=keep), targets=())
    scan = relation.whole
    if scan is not None and limit and _newest_first(relation):
        scan.newest = limit
    order = () if relation.node.natural else relation.order
    node = SelectNode(relation.node, order=order, limit=str(limit))
    return relation.derived(node, targets=())


def _newest_first(relation: Relation) -> bool:
    if not relation.order:
        return True
    key = relation.order[0]
    return len(relation.order) == 1 and key.descending and key.ref == '"TimeGenerated"'


def take(binder: Binder, relation: Relation, node: ast.Take, env: Env) -> Relation:
    return limited(binder, relation, node.count, env)


def top(binder: Binder, relation: Relation, node: ast.Top, env: Env) -> Relation:
    return limited(binder, sorted_by(binder, relation, node.keys, env), node.count, env)


def count(binder: Binder, relation: Relation, node: ast.Count, env: Env) -> Relation:
    name = node.alias or "Count"
    if relation.partition:
        call = ast.Named((name,), ast.Call("count", ()))
        return binder.operators[ast.Summarize](binder, relation, ast.Summarize((), (call,), ()), env)
    ref = fresh_ref(name, set())
    made = Bound(sql="count(*)", type=T.LONG)
    return Relation(
        SelectNode(relation.node, items={ref: made}, group=()),
        (Col(name, T.LONG, ref),),
        targets=(),
        serialized=True,
    )


def sample(binder: Binder, relation: Relation, node: ast.Sample, env: Env) -> Relation:
    if node.of is not None:
        items = (node.of,)
        relation = distinct(binder, relation, ast.Project("distinct", items, span=node.span), env)
        return limited(binder, relation, node.count, env)
    amount = ScalarBinder(binder, env).constant_int(node.count, "The number of rows")
    ref = fresh_ref("$sample", relation.taken())
    shuffled = SelectNode(relation.node, items={ref: Bound(sql="random()", type=T.REAL)})
    picked = SelectNode(shuffled, order=(OrderKey(ref=ref),), limit=str(max(amount, 0)))
    return relation.derived(picked, targets=())


# Sources -------------------------------------------------------------------------------------------------------------


def print_(binder: Binder, node: ast.Project, env: Env) -> Relation:
    base = Relation(ValuesNode(['"$row"'], ["BIGINT"], [["0"]]), (), order=(OrderKey(ref='"$row"'),))
    scalars = ScalarBinder(binder, env, base)
    items = list[tuple[str, Bound]]()
    for index, item in enumerate(node.items):
        names = item.names if isinstance(item, ast.Named) else ()
        value = item.value if isinstance(item, ast.Named) else item
        bound = scalars.bind(value)
        if len(names) > 1:
            for place, name in enumerate(names):
                sql = f"nullif(json_extract({bound.sql}, '$[{place}]'), 'null')"
                items.append((name, result(sql, T.DYNAMIC, (bound,))))
            continue
        items.append((names[0] if names else f"print_{index}", bound))
    taken = {'"$row"', *(ref.lower() for ref, _ in scalars.hoisted)}
    columns, made = list[Col](), dict[str, Bound]()
    for name, bound in items:
        ref = fresh_ref(name, taken)
        made[ref] = bound
        columns.append(Col(name, bound.type, ref))
    node_ = SelectNode(scalars.prepared.node, items=made)
    return Relation(node_, tuple(columns), order=(OrderKey(ref='"$row"'),), serialized=True)


def range_(binder: Binder, node: ast.Range, env: Env) -> Relation:
    scalars = ScalarBinder(binder, env)
    ctx = binder.ctx
    start, stop, step = scalars.bind(node.start), scalars.bind(node.stop), scalars.bind(node.step)
    kind = start.type
    if T.REAL in (start.type, stop.type, step.type):
        kind = T.REAL
    elif kind is T.DYNAMIC or (kind is T.INT and T.LONG in (stop.type, step.type)):
        kind = T.LONG
    if kind not in (T.INT, T.LONG, T.REAL, T.DATETIME, T.TIMESPAN, T.DECIMAL):
        ctx.fail(f"A range over {kind} is not possible.", node)
    step_kind = T.TIMESPAN if kind in (T.DATETIME, T.TIMESPAN) else kind
    with ctx.pointing_at(node):
        low, high = convert(ctx, start, kind), convert(ctx, stop, kind)
        by = convert(ctx, step, step_kind)
    reads = low.columns | high.columns | by.columns
    ref = fresh_ref(node.name, {'"$row"'})
    if kind in (T.REAL, T.DECIMAL):
        steps = (
            f"CASE WHEN {by.sql} = 0 THEN 0 ELSE floor(({high.sql} - {low.sql}) / {by.sql} + 1e-9) + 1 END"
        )
        body = (
            f'SELECT i AS "$row", ({low.sql} + i * {by.sql})::{SQL_TYPE[kind]} AS {ref} '
            f"FROM range(greatest(coalesce({steps}, 0), 0)::BIGINT) AS r(i)"
        )
    else:
        steps = f"CASE WHEN {by.sql} = 0 THEN 0 ELSE ({high.sql}::HUGEINT - {low.sql}) // {by.sql} + 1 END"
        sign = f"CASE WHEN ({by.sql} > 0 AND {high.sql} >= {low.sql}) OR ({by.sql} < 0 AND {high.sql} <= {low.sql}) THEN {steps} ELSE 0 END"
        body = (
            f'SELECT i AS "$row", ({low.sql} + i * {by.sql})::{SQL_TYPE[kind]} AS {ref} '
            f"FROM range(coalesce({sign}, 0)::BIGINT) AS r(i)"
        )
    made = CustomNode((), demand=lambda _needed: (), sql=lambda _needed, _names: body)
    made.subqueries |= reads
    made.natural = True
    return Relation(made, (Col(node.name, kind, ref),), order=(OrderKey(ref='"$row"'),), serialized=True)


# Others --------------------------------------------------------------------------------------------------------------


def as_(binder: Binder, relation: Relation, node: ast.As, env: Env) -> Relation:
    del env
    fixed = relation.derived(relation.node, targets=(), name=node.name)
    binder.named[node.name] = fixed
    return fixed


def getschema(binder: Binder, relation: Relation, node: ast.GetSchema, env: Env) -> Relation:
    del binder, node, env
    rows = [
        [
            literal(col.name, T.STRING).sql,
            f"{index}::INTEGER",
            literal(DOTNET[col.type], T.STRING).sql,
            literal(col.type.value, T.STRING).sql,
        ]
        for index, col in enumerate(relation.columns)
    ]
    names = ("ColumnName", "ColumnOrdinal", "DataType", "ColumnType")
    kinds = (T.STRING, T.INT, T.STRING, T.STRING)
    refs = [f'"{name}"' for name in names]
    values = ValuesNode(refs, [SQL_TYPE[kind] for kind in kinds], rows)
    columns = tuple(Col(name, kind, ref) for name, kind, ref in zip(names, kinds, refs, strict=True))
    return Relation(values, columns, order=(OrderKey(ref='"ColumnOrdinal"'),))


def render(binder: Binder, relation: Relation, node: ast.Render, env: Env) -> Relation:
    del env
    properties = dict[str, object]()
    for name, value in node.properties:
        properties[name] = _property(value)
    binder.ctx.render = {"visualization": node.chart, **properties}
    return relation


def _property(value: ast.Expr) -> object:
    if isinstance(value, ast.Name):
        return value.name
    if isinstance(value, ast.Literal):
        return value.value
    if isinstance(value, ast.Call):
        return [_property(each) for each in value.arguments]
    return None


def consume(binder: Binder, relation: Relation, node: ast.Consume, env: Env) -> Relation:
    del binder, node, env
    return relation.derived(SelectNode(relation.node, limit="0"), ())


def invoke(binder: Binder, relation: Relation, node: ast.Invoke, env: Env) -> Relation:
    from shared.kql.bind.scope import FunctionLet

    found = env.find(node.call.name)
    if not isinstance(found, FunctionLet):
        found = binder.stored_function(node.call.name, node.call)
    if found is None:
        if (reason := REFUSED.get(node.call.name)) is not None:
            binder.ctx.refuse(f"{node.call.name}() is not supported: {reason}.", node.call)
        binder.ctx.fail(f"The function '{node.call.name}' is not known.", node.call)
    piped = relation.derived(relation.node, targets=(), name=relation.name)
    return binder.call_table(node.call, found, env, piped)


__all__ = ["RelationLet"]
