"""top-nested, top-hitters, fork, facet: several aggregations over the same rows."""

from collections.abc import Sequence

from shared.kql.bind.names import implied
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation
from shared.kql.bind.shape import limited, sorted_by
from shared.kql.bind.summarize import Groups
from shared.kql.bind.tables import Binder
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, OrderKey, SelectNode, order_sql
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType


def top_nested(binder: Binder, relation: Relation, node: ast.TopNested, env: Env) -> Relation:
    """Each level keeps the best values within each kept value of the level above."""
    rows = relation
    above: Relation | None = None
    keys = list[ast.Expr]()
    shown = list[Col]()
    for level, clause in enumerate(node.clauses, 1):
        if clause.others is not None:
            binder.ctx.refuse("'top-nested … with others' is not supported.", clause)
        name = implied(clause.of) or f"Column{level}"
        value = clause.of.value if isinstance(clause.of, ast.Named) else clause.of
        keys.append(ast.Named((name,), value))
        label = clause.by.names[0] if isinstance(clause.by, ast.Named) else f"aggregated_{name}"
        aggregate = clause.by.value if isinstance(clause.by, ast.Named) else clause.by
        groups = Groups(binder, rows, env)
        groups.group_by(keys)
        groups.aggregate(ast.Named((f"${level}",), aggregate))
        grouped = groups.relation()
        *group_cols, measure = grouped.columns
        kept = grouped.node
        if clause.count is not None:
            amount = ScalarBinder(binder, env).constant_int(clause.count, "The number of values")
            best = OrderKey(ref=measure.ref, descending=clause.descending is not False, nulls_first=False)
            within = ", ".join(col.ref for col in group_cols[:-1])
            over = f"{f'PARTITION BY {within} ' if within else ''}{order_sql((best,))}"
            reads = frozenset({measure.ref, *(col.ref for col in group_cols[:-1])})
            keep = Bound(sql=f"row_number() OVER ({over}) <= {amount}", type=T.BOOL, columns=reads)
            kept = SelectNode(kept, qualify=keep)
        found = Relation(kept, (*group_cols, Col(label, measure.type, measure.ref)))
        above = found if above is None else _beside(above, found, len(keys))
        shown = list(above.columns)
        if level < len(node.clauses):
            rows = _kept_rows(binder, rows, above, keys, env)
    del shown
    if above is None:
        binder.ctx.fail("top-nested needs a clause.", node)
    return above


def _beside(above: Relation, below: Relation, depth: int) -> Relation:
    """The lower level's rows with the upper levels' columns; keys and measures alternate."""
    upper_keys = [above.columns[index * 2] for index in range(depth - 1)]
    lower_keys = list(below.columns[: depth - 1])
    lower = below.columns[depth - 1 :]
    taken = {col.ref.lower() for col in above.columns}
    moved = dict[str, str]()
    columns = list(above.columns)
    for col in lower:
        ref = col.ref
        while ref.lower() in taken:
            ref = f'{ref[:-1]}$"'
        taken.add(ref.lower())
        moved[ref] = col.ref
        columns.append(Col(col.name, col.type, ref))
    on = " AND ".join(
        f"u.{a.ref} IS NOT DISTINCT FROM l.{b.ref}" for a, b in zip(upper_keys, lower_keys, strict=True)
    )

    def demand(needed: set[str]) -> tuple[set[str], set[str]]:
        mine = {ref for ref in needed if ref not in moved} | {col.ref for col in upper_keys}
        return mine, {moved[ref] for ref in needed if ref in moved} | {col.ref for col in lower_keys}

    def sql(needed: set[str], names: Sequence[str]) -> str:
        shown = [f"l.{moved[ref]} AS {ref}" if ref in moved else f"u.{ref}" for ref in sorted(needed)]
        return (
            f"SELECT {', '.join(shown) or 'NULL AS none'} FROM {names[0]} AS u JOIN {names[1]} AS l ON {on}"
        )

    return Relation(CustomNode((above.node, below.node), demand=demand, sql=sql), tuple(columns))


def _kept_rows(
    binder: Binder, rows: Relation, above: Relation, keys: Sequence[ast.Expr], env: Env
) -> Relation:
    """The rows whose values the levels above kept."""
    scalars = ScalarBinder(binder, env, rows)
    bounds = [scalars.bind(key.value if isinstance(key, ast.Named) else key) for key in keys]
    base = scalars.prepared
    refs = [above.columns[index * 2].ref for index in range(len(keys))]
    reads = {column for bound in bounds for column in bound.columns}
    # The row's own columns have the alias's name in front, so that both sides may use the same names.
    upper = ", ".join(f"{ref} AS k{index}" for index, ref in enumerate(refs))
    on = " AND ".join(f"u.k{index} IS NOT DISTINCT FROM ({bound.sql})" for index, bound in enumerate(bounds))

    def sql(needed: set[str], names: Sequence[str]) -> str:
        shown = ", ".join(sorted(needed)) or "NULL AS none"
        return f"SELECT {shown} FROM {names[0]} AS r SEMI JOIN (SELECT {upper} FROM {names[1]}) AS u ON {on}"

    node = CustomNode((base.node, above.node), demand=lambda needed: (needed | reads, set(refs)), sql=sql)
    return base.derived(node, targets=())


def top_hitters(binder: Binder, relation: Relation, node: ast.TopHitters, env: Env) -> Relation:
    """The most frequent values, counted exactly."""
    name = implied(node.of) or "Column1"
    groups = Groups(binder, relation, env)
    groups.group_by([node.of])
    if node.by is None:
        label = f"approximate_count_{name}"
        groups.aggregate(ast.Named((label,), ast.Call("count", ())))
    else:
        label = f"approximate_sum_{implied(node.by) or ''}"
        groups.aggregate(ast.Named((label,), ast.Call("sum", (node.by,))))
    found = sorted_by(binder, groups.relation(), [ast.Ordered(ast.Name(label), descending=True)], env)
    return limited(binder, found, node.count, env)


def fork(binder: Binder, relation: Relation, node: ast.Fork, env: Env) -> Relation:
    shared = relation.derived(relation.node, targets=())
    branches = list[Relation]()
    for name, body in node.branches:
        found = binder.run(shared, body.operators, env)
        branches.append(found.derived(found.node, name=name))
    if not branches:
        binder.ctx.fail("fork needs a branch.", node)
    binder.results += branches[1:]
    return branches[0]


def facet(binder: Binder, relation: Relation, node: ast.Facet, env: Env) -> Relation:
    shared = relation.derived(relation.node, targets=())
    tables = list[Relation]()
    for item in node.by:
        groups = Groups(binder, shared, env)
        groups.group_by([item])
        groups.aggregate(ast.Named(("count_",), ast.Call("count", ())))
        tables.append(groups.relation())
    if node.body is not None:
        tables.append(binder.run(shared, node.body.operators, env))
    binder.results += tables[1:]
    return tables[0]
