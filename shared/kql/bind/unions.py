"""union: columns matched by name, types that differ set apart, wildcards, and where each row came from."""

import fnmatch
import re
from collections.abc import Sequence

from shared.kql.bind.scope import Col, Env, FunctionLet, Relation, Target, fresh_ref, unique_name
from shared.kql.bind.tables import Binder
from shared.kql.errors import KqlSemanticError
from shared.kql.functions.build import quote
from shared.kql.plan.nodes import CustomNode
from shared.kql.syntax import ast
from shared.kql.types import SQL_TYPE, KqlType

T = KqlType


def union(binder: Binder, relation: Relation | None, node: ast.Union, env: Env) -> Relation:
    kind, source, fuzzy = "outer", None, False
    for name, value in node.parameters:
        text = (
            value.name
            if isinstance(value, ast.Name)
            else value.value
            if isinstance(value, ast.Literal)
            else None
        )
        if name == "kind":
            kind = str(text)
        elif name in ("withsource", "with_source"):
            source = str(text)
        elif name == "isfuzzy":
            fuzzy = str(text).lower() == "true"
    if kind not in ("outer", "inner"):
        binder.ctx.fail(f"'{kind}' is not a kind of union.", node)
    if relation is not None and relation.partition:
        binder.ctx.refuse("'union' inside mv-apply or partition is not supported.", node)
    parts = [relation] if relation is not None else []
    problem: KqlSemanticError | None = None
    for table in node.tables:
        try:
            parts += tables_of(binder, table, env, fuzzy=fuzzy)
        except KqlSemanticError as error:
            if not fuzzy or "Failed to resolve table" not in error.bare:
                raise
            problem = error
    if not parts:
        if problem is not None:
            raise problem
        binder.ctx.fail("No table matches.", node)
    return united(parts, source=source, inner=kind == "inner")


def tables_of(binder: Binder, node: ast.Expr, env: Env, *, fuzzy: bool) -> list[Relation]:
    if isinstance(node, ast.Pipeline) and not node.operators and node.source is not None:
        return tables_of(binder, node.source, env, fuzzy=fuzzy)
    if not isinstance(node, ast.Pattern | ast.Star):
        return [binder.table(node, env)]
    text = node.text if isinstance(node, ast.Pattern) else "*"
    pattern = re.compile(fnmatch.translate(text.replace("[", "[[]")))
    found = [
        binder.binding(node, name, each, env)
        for name, each in env.views()
        if isinstance(each, FunctionLet) and each.value.view and pattern.match(name)
    ]
    names = [name for name in binder.ctx.catalog.table_names() if pattern.match(name)]
    for name in names:
        schema = binder.ctx.catalog.table(name)
        if schema is not None:
            found.append(binder.scan(schema))
    if not found and not fuzzy:
        binder.ctx.fail(f"No table matches '{text}'.", node)
    return found


def _labels(parts: Sequence[Relation], *, inner: bool) -> dict[tuple[str, KqlType], str]:
    """The result's columns, by name and type; a name with several types becomes several columns."""
    kinds = dict[str, list[KqlType]]()
    for part in parts:
        for col in part.columns:
            known = kinds.setdefault(col.name, [])
            if col.type not in known:
                known.append(col.type)
    if inner:
        common = [name for name in kinds if all(part.find(name) is not None for part in parts)]
        kinds = {name: kinds[name] for name in common}
    plain = {name for name, types in kinds.items() if len(types) == 1}
    return {
        (name, kind): name if len(types) == 1 else unique_name(f"{name}_{kind}", plain)
        for name, types in kinds.items()
        for kind in types
    }


def united(parts: Sequence[Relation], *, source: str | None, inner: bool = False) -> Relation:
    """The rows of all parts. `source` names a column that tells which part a row is of."""
    shown = _labels(parts, inner=inner)
    columns = list[Col]()
    taken = set[str]()
    if source is not None:
        columns.append(Col(source, T.STRING, fresh_ref(source, taken)))
    places = dict[str, tuple[str, KqlType]]()
    for (name, kind), label in shown.items():
        if source is not None and label == source:
            label = unique_name(label, [source, *shown.values()])
        ref = fresh_ref(label, taken)
        places[ref] = (name, kind)
        columns.append(Col(label, kind, ref))
    mapped = list[dict[str, str | None]]()
    for part in parts:
        own = {(col.name, col.type): col.ref for col in part.columns}
        mapped.append({ref: own.get(key) for ref, key in places.items()})
    names = [part.name or f"union_arg{index}" for index, part in enumerate(parts)]
    source_ref = columns[0].ref if source is not None else None
    types = {col.ref: col.type for col in columns}

    def demand(needed: set[str]) -> list[set[str]]:
        return [{own for ref in needed if (own := moved.get(ref)) is not None} for moved in mapped]

    def sql(needed: set[str], inputs: Sequence[str]) -> str:
        wanted = sorted(needed)
        selects = list[str]()
        for name, moved, table in zip(names, mapped, inputs, strict=True):
            items = list[str]()
            for ref in wanted:
                own = moved.get(ref)
                if ref == source_ref:
                    items.append(f"{quote(name)} AS {ref}")
                elif own is not None:
                    items.append(f"{own} AS {ref}")
                else:
                    empty = "''" if types[ref] is T.STRING else f"NULL::{SQL_TYPE[types[ref]]}"
                    items.append(f"{empty} AS {ref}")
            selects.append(f"SELECT {', '.join(items) or 'NULL AS none'} FROM {table}")
        return " UNION ALL ".join(selects)

    node = CustomNode([part.node for part in parts], demand=demand, sql=sql)
    targets = list[Target]()
    for part, moved in zip(parts, mapped, strict=True):
        targets += part.retargeted({own: ref for ref, own in moved.items() if own is not None})
    return Relation(node, tuple(columns), targets=tuple(targets))


def union_source(binder: Binder, node: ast.Union, env: Env) -> Relation:
    return union(binder, None, node, env)
