"""A query's text to its translation: parse, bind, write."""

from collections.abc import Callable, Mapping, Sequence

from shared.kernel.errors import OmsError
from shared.kql.bind.context import Context
from shared.kql.bind.operators import OPERATORS, SOURCES
from shared.kql.bind.plugins import columns_found
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, FunctionLet, Relation, ScalarLet
from shared.kql.bind.shape import print_
from shared.kql.bind.tables import Binder, Undiscovered
from shared.kql.catalog import Catalog
from shared.kql.errors import KqlSemanticError, KqlUnsupported
from shared.kql.functions import REGISTRY
from shared.kql.functions.build import convert
from shared.kql.functions.registry import Registry
from shared.kql.plan.emit import Writer
from shared.kql.plan.nodes import order_sql
from shared.kql.syntax import ast
from shared.kql.syntax.expressions import read_literal
from shared.kql.syntax.parser import Parser, parse_query
from shared.kql.translation import ResultTable, Translation
from shared.kql.types import SQL_TYPE, Column, KqlType

Probe = Callable[[Translation], Sequence[Sequence[object]]]
"""Runs a translation with one result, and gives its rows."""
_MOST_PROBES = 16


def translate(
    text: str,
    *,
    catalog: Catalog,
    now_ticks: int,
    default_range: tuple[int | None, int | None] = (None, None),
    registry: Registry = REGISTRY,
    parameters: Mapping[str, str] | None = None,
    probe: Probe | None = None,
) -> Translation:
    """The SQL that answers a query. Raises KqlSyntaxError, KqlSemanticError, KqlUnsupported.

    `default_range` bounds TimeGenerated of every table, both ends inclusive. `parameters` are KQL literals for what
    the query declares with `declare query_parameters`. Where columns depend on the data (pivot, bag_unpack without
    a schema), `probe` is asked to run a smaller translation first, and gives back its rows; without it such a query
    is refused.
    """
    tree = parse_query(text)
    discovered = list[Sequence[Column]]()
    while True:
        ctx = Context(
            text,
            catalog=catalog,
            now_ticks=now_ticks,
            default_range=default_range,
            registry=registry,
            parameters=parameters or {},
            discovered=discovered,
            may_discover=probe is not None,
        )
        binder = Binder(ctx, OPERATORS, SOURCES)
        try:
            relations = bind_query(binder, tree)
            break
        except RecursionError:
            raise KqlSemanticError("The query is nested too deeply.", text=text, end=len(text)) from None
        except Undiscovered as question:
            if probe is None or len(discovered) >= _MOST_PROBES:
                raise KqlUnsupported("The query's columns depend on the data too often.", text=text) from None
            columns = (Col("name", KqlType.STRING, "name"), Col("kind", KqlType.STRING, "kind"))
            asked = _written(binder, [Relation(question.node, columns)])
            discovered.append(columns_found(probe(asked)))
    if not relations:
        raise KqlSemanticError("The query yields no table.", text=text, pos=0, end=len(text))
    return _written(binder, relations)


def bind_query(binder: Binder, query: ast.Query) -> list[Relation]:
    """The relations that a query's statements yield, in order."""
    env = Env()
    found = list[Relation]()
    for statement in query.statements:
        match statement:
            case ast.Let():
                binder.let(statement, env)
            case ast.DeclareParameters():
                _declare(binder, statement, env)
            case ast.SetOption():
                pass  # options tune Kusto's own engine
            case ast.Expression(value=value):
                tabular = binder.is_tabular(value, env)
                if not tabular and isinstance(value, ast.Name | ast.Call):
                    # A name that nobody knows was meant for a table; a known function yields a value.
                    tabular = not (isinstance(value, ast.Call) and registered(binder, value, env))
                if tabular:
                    found.append(binder.table(value, env))
                else:
                    row = ast.Project("print", (value,), span=statement.span)
                    found.append(print_(binder, row, env))
                found += binder.results
                binder.results = []
    return found


def registered(binder: Binder, call: ast.Call, env: Env) -> bool:
    """Whether a call is one of a scalar function."""
    return isinstance(env.find(call.name), FunctionLet) or binder.ctx.registry.get(call.name) is not None


def _declare(binder: Binder, statement: ast.DeclareParameters, env: Env) -> None:
    for declared in statement.parameters:
        given = binder.ctx.parameters.get(declared.name)
        kind = declared.type or KqlType.STRING
        if given is not None:
            node = _given(given, kind)
        elif declared.default is not None:
            node = declared.default
        else:
            binder.ctx.fail(f"The query parameter '{declared.name}' has no value.", declared)
        with binder.ctx.pointing_at(declared):
            bound = convert(binder.ctx, ScalarBinder(binder, env).bind(node), kind)
        env.names[declared.name] = ScalarLet(bound)


def _given(text: str, kind: KqlType) -> ast.Expr:
    if kind is KqlType.STRING and text[:1] not in "\"'@":
        return ast.Literal(KqlType.STRING, text)
    value = read_literal(kind, text)
    return Parser(text).expression() if value is None else ast.Literal(kind, value)


def _written(binder: Binder, relations: list[Relation]) -> Translation:
    writer = Writer(binder.subqueries)
    for relation in relations:
        relation.node.needed.update(col.ref for col in relation.columns)
        relation.node.needed.update(key.ref for key in relation.order)
    settled = [writer.settle(relation.node) for relation in relations]
    results = list[ResultTable]()
    for index, (relation, nodes) in enumerate(zip(relations, settled, strict=True)):
        clause = writer.with_clause(nodes)
        shown = ", ".join(_shown(col) for col in relation.columns) or "NULL"
        order = order_sql(relation.order)
        sql = f"{clause}SELECT {shown} FROM {relation.node.name} {order}".rstrip()
        name = "PrimaryResult" if index == 0 else f"PrimaryResult{index}"
        columns = [Column(name=col.name, type=col.type) for col in relation.columns]
        results.append(ResultTable(name=name, sql=sql, columns=columns))
    return Translation(
        results=results,
        scans=writer.scans(),
        prelude=tuple(binder.ctx.prelude),
        functions=tuple(binder.ctx.natives),
        render=binder.ctx.render,
    )


def _shown(col: Col) -> str:
    kind = SQL_TYPE[col.type]
    return col.ref if kind != "JSON" else f"{col.ref}::VARCHAR AS {col.ref}"


def scope_of(
    before: str, source: str, *, catalog: Catalog, now_ticks: int
) -> tuple[Sequence[Col], Sequence[str]]:
    """For editors: the columns of a tabular text, and the names that the statements before it define.

    Texts that break off or do not bind give what can be had: the columns of the longest part that does.
    """
    ctx = Context(
        before + source,
        catalog=catalog,
        now_ticks=now_ticks,
        default_range=(None, None),
        registry=REGISTRY,
        parameters={},
        may_discover=True,
    )
    binder = Binder(ctx, OPERATORS, SOURCES)
    env = Env()
    for statement in _parsed(before):
        try:
            if isinstance(statement, ast.Let):
                binder.let(statement, env)
            elif isinstance(statement, ast.DeclareParameters):
                _declare(binder, statement, env)
        except (OmsError, Undiscovered):
            continue
    text = source
    while text.strip(" (\n"):
        try:
            tree = Parser(
                text.strip().removeprefix("(") if text.count("(") > text.count(")") else text
            ).anything()
            return binder.table(tree, env).columns, list(env.names)
        except (OmsError, Undiscovered):
            text = text[: text.rfind("|")] if "|" in text else ""
    return (), list(env.names)


def _parsed(text: str) -> Sequence[ast.Statement]:
    try:
        return parse_query(text).statements
    except OmsError:
        return ()
