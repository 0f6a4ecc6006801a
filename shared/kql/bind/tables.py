"""Tabular expressions: where rows come from, functions and lets, and the pipeline's walk from operator to operator."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.kql.bind.context import Context
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import (
    Binding,
    Col,
    Env,
    FunctionLet,
    Relation,
    RelationLet,
    ScalarLet,
    TableLet,
    Target,
    fresh_ref,
)
from shared.kql.catalog import TableSchema
from shared.kql.errors import KqlError, nearest
from shared.kql.functions.build import convert, literal, result
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import (
    SUBQUERY,
    CustomNode,
    OrderKey,
    PlanNode,
    ScanNode,
    SelectNode,
    ValuesNode,
    identifier,
)
from shared.kql.syntax import ast
from shared.kql.syntax.parser import parse_declarations, parse_query
from shared.kql.types import SQL_TYPE, Column, KqlType

T = KqlType
OperatorBinder = Callable[["Binder", Relation, Any, Env], Relation]
SourceBinder = Callable[["Binder", Any, Env], Relation]
_SCOPES = ("workspace", "app", "database", "resource")
_LONG = 200
_INGESTION = identifier("$ingestion_time")
_ROW = identifier("$row")


class Undiscovered(Exception):
    """Binding cannot go on before these rows (name, kind) are known."""

    def __init__(self, node: PlanNode) -> None:
        super().__init__("columns depend on the data")
        self.node = node


class Binder:
    """Binds one query. The operators' own binders are given to it, by the class of their syntax."""

    def __init__(
        self,
        ctx: Context,
        operators: Mapping[type, OperatorBinder],
        sources: Mapping[type, SourceBinder],
    ) -> None:
        self.ctx = ctx
        self.operators = operators
        self.sources = sources
        self.subqueries: dict[str, PlanNode] = {}
        self.results: list[Relation] = []  # that fork and facet make besides their first
        self.named: dict[str, Relation] = {}  # by the operator `as`
        self._stored: dict[str, FunctionLet | None] = {}
        self.discoveries = 0
        self._materialized: dict[tuple[int, int], tuple[object, Relation]] = {}

    # Kinds of expressions -----------------------------------------------------------------------------------------

    def is_tabular(self, node: ast.Expr, env: Env) -> bool:
        match node:
            case ast.Pipeline():
                return bool(node.operators) or node.source is None or self.is_tabular(node.source, env)
            case ast.Datatable() | ast.ExternalData():
                return True
            case ast.Name():
                found = env.find(node.name)
                if found is not None:
                    return self._is_tabular_binding(found)
                if node.name in self.named or self.ctx.catalog.table(node.name) is not None:
                    return True
                stored = self.stored_function(node.name, node)
                return stored is not None and self._is_tabular_binding(stored)
            case ast.Call():
                found = env.find(node.name)
                if found is None and node.name in ("materialize", "table"):
                    return True
                if found is None and self.ctx.registry.get(node.name) is None:
                    found = self.stored_function(node.name, node)
                return found is not None and self._is_tabular_binding(found)
            case ast.Member():
                base = node.base
                while isinstance(base, ast.Member):
                    base = base.base
                return isinstance(base, ast.Call) and base.name.split("(")[0] in (
                    *_SCOPES,
                    "cluster",
                    "adx",
                    "arg",
                )
            case _:
                return False

    def _is_tabular_binding(self, found: Binding) -> bool:
        if isinstance(found, FunctionLet):
            env = Env(found.env)
            for parameter in found.value.parameters:
                tabular = parameter.schema is not None
                env.names[parameter.name] = (
                    TableLet(ast.Datatable((), ()), env, "") if tabular else ScalarLet(literal(None, T.LONG))
                )
            for statement in found.value.body:
                if isinstance(statement, ast.Let):
                    env.names[statement.name] = self._shape(statement, env)
                elif isinstance(statement, ast.Expression):
                    return self.is_tabular(statement.value, env)
            return False
        return not isinstance(found, ScalarLet)

    def _shape(self, statement: ast.Let, env: Env) -> Binding:
        value = statement.value
        if isinstance(value, ast.Lambda):
            return FunctionLet(value, env, self.ctx.text)
        if self.is_tabular(value, env):
            return TableLet(value, env, self.ctx.text)
        return ScalarLet(literal(None, T.LONG))

    # Statements ---------------------------------------------------------------------------------------------------

    def let(self, statement: ast.Let, env: Env, scalars: ScalarBinder | None = None) -> None:
        value = statement.value
        if isinstance(value, ast.Lambda):
            env.names[statement.name] = FunctionLet(value, env, self.ctx.text, statement.name)
        elif self.is_tabular(value, env):
            # Lets are bound where they are used, in the scope in which they stand.
            env.names[statement.name] = TableLet(
                value, Env(env.outer, dict(env.names)), self.ctx.text, statement.name
            )
        else:
            binder = scalars or ScalarBinder(self, env)
            bound = binder.bind(value)
            if scalars is not None:
                bound = scalars.once(bound)
            elif not bound.constant and len(bound.sql) > _LONG:
                bound = self.computed_once(bound)
            env.names[statement.name] = ScalarLet(bound)

    # Tables -------------------------------------------------------------------------------------------------------

    def table(self, node: ast.Expr, env: Env) -> Relation:
        """The rows of a tabular expression."""
        match node:
            case ast.Pipeline():
                return self.pipeline(node, env)
            case ast.Name():
                return self.by_name(node, env)
            case ast.Call():
                return self.by_call(node, env)
            case ast.Datatable():
                return self.datatable(node, env)
            case ast.ExternalData():
                return self.ctx.refuse(
                    "'externaldata' reaches out to the network and is not supported.", node
                )
            case ast.Member():
                return self.by_scope(node)
            case _:
                return self.ctx.fail("A table is expected here.", node)

    def pipeline(self, node: ast.Pipeline, env: Env) -> Relation:
        if node.source is not None:
            relation = self.table(node.source, env)
            rest = node.operators
        else:
            first, *others = node.operators
            bind = self.sources.get(type(first))
            if bind is None:
                self.ctx.fail("A table is expected before this operator.", first)
            relation = bind(self, first, env)
            rest = tuple(others)
        return self.run(relation, rest, env)

    def run(self, relation: Relation, operators: Sequence[ast.Operator], env: Env) -> Relation:
        """The relation after these operators."""
        for operator in operators:
            bind = self.operators.get(type(operator))
            if bind is None:
                self.ctx.refuse(f"The operator '{word_of(operator)}' is not supported.", operator)
            relation = bind(self, relation, operator, env)
        return relation

    def by_name(self, node: ast.Name, env: Env) -> Relation:
        found = env.find(node.name)
        if found is not None:
            return self.binding(node, node.name, found, env)
        if node.name in self.named:
            return self.named[node.name]
        schema = self.ctx.catalog.table(node.name)
        if schema is not None:
            return self.scan(schema)
        stored = self.stored_function(node.name, node)
        if stored is not None:
            return self.call_table(ast.Call(node.name, (), span=node.span), stored, env)
        return self.ctx.fail(
            f"Failed to resolve table or column expression named '{node.name}'.",
            node,
            suggestion=nearest(node.name, [*self.ctx.catalog.table_names(), *env.all_names()]),
        )

    def binding(self, node: ast.Node, name: str, found: Binding, env: Env) -> Relation:
        """The rows that a name in scope stands for."""
        match found:
            case TableLet():
                self.ctx.expand(node)
                with self.ctx.inside(found.text, node) if found.text is not self.ctx.text else _nothing():
                    relation = self.table(found.value, found.env)
                # `withsource` calls let tables union_arg0, union_arg1, …
                return relation.derived(relation.node, name=None, whole=relation.whole)
            case RelationLet():
                return found.relation
            case FunctionLet():
                relation = self.call_table(ast.Call(name, (), span=node.span), found, env)
                return relation.derived(relation.node, name=name if found.value.view else None)
            case ScalarLet():
                return self.ctx.fail(f"'{name}' is a scalar; a table is expected here.", node)

    def by_call(self, node: ast.Call, env: Env) -> Relation:
        found = env.find(node.name)
        if isinstance(found, FunctionLet):
            return self.call_table(node, found, env)
        if node.name == "materialize" and len(node.arguments) == 1:
            return self.materialize(node, node.arguments[0], env)
        if node.name == "table" and node.arguments:
            bound = ScalarBinder(self, env).constant(node.arguments[0], "The table's name")
            if not isinstance(bound.value, str):
                self.ctx.fail("table() takes a table's name.", node)
            return self.by_name(ast.Name(bound.value, span=node.span), env)
        stored = self.stored_function(node.name, node)
        if stored is not None:
            return self.call_table(node, stored, env)
        if node.name in (
            "external_table",
            "materialized_view",
            "stored_query_result",
            "inline_external_table",
            "cluster",
        ):
            return self.ctx.refuse(f"{node.name}() is not supported.", node)
        if self.ctx.registry.get(node.name) is not None:
            return self.ctx.fail(f"{node.name}() yields a value; a table is expected here.", node)
        return self.ctx.fail(
            f"The function '{node.name}' is not known.", node, suggestion=nearest(node.name, env.all_names())
        )

    def by_scope(self, node: ast.Member) -> Relation:
        """`workspace("x").T` and its like."""
        call = node.base
        if not isinstance(call, ast.Call) or call.name not in _SCOPES or len(call.arguments) != 1:
            what = call.name if isinstance(call, ast.Call) else "cluster"
            return self.ctx.refuse(f"{what}() is not supported; use workspace(), app() or resource().", node)
        argument = call.arguments[0]
        if not isinstance(argument, ast.Literal) or not isinstance(argument.value, str):
            self.ctx.fail(f"{call.name}() takes a name or an id in quotes.", call)
        schema = self.ctx.catalog.table(node.name, workspace=argument.value)
        if schema is None:
            names = self.ctx.catalog.table_names(workspace=argument.value)
            self.ctx.fail(
                f"Failed to resolve table named '{node.name}' in {call.name}('{argument.value}').",
                node,
                suggestion=nearest(node.name, names),
            )
        return self.scan(schema)

    def scan(self, schema: TableSchema) -> Relation:
        node = ScanNode(schema)
        columns = tuple(Col(column.name, column.type, ref) for ref, column in node.columns.items())
        refs = {col.ref: col.name for col in columns}
        target = Target(node, {**refs, _INGESTION: "$ingestion_time"})
        relation = Relation(node, columns, targets=(target,), name=schema.name, whole=node)
        low, high = self.ctx.default_range
        at = relation.find("TimeGenerated")
        if at is None or at.type is not T.DATETIME or (low is None and high is None):
            return relation
        where = list[Bound]()
        if low is not None:
            node.at_least(low)
            where.append(result(f"{at.ref} >= {literal(low, T.DATETIME).sql}", T.BOOL, (at.bound(),)))
        if high is not None:
            node.at_most(high)
            where.append(result(f"{at.ref} <= {literal(high, T.DATETIME).sql}", T.BOOL, (at.bound(),)))
        return relation.derived(SelectNode(node, where=where), name=schema.name, whole=node)

    def ingestion_time(self, scalars: ScalarBinder, node: ast.Call) -> Bound:
        relation = scalars.relation
        scans = [target.scan for target in relation.targets if _INGESTION in target.refs] if relation else []
        if relation is None or len(scans) != 1 or len(relation.targets) != 1:
            return literal(None, T.DATETIME)
        scans[0].ingestion_time = True
        del node
        return Bound(sql=_INGESTION, type=T.DATETIME, columns=frozenset((_INGESTION,)))

    def materialize(self, node: ast.Call, argument: ast.Expr, env: Env) -> Relation:
        key = (id(node), id(env))
        known = self._materialized.get(key)
        if known is not None:
            return known[1]
        relation = self.table(argument, env)
        fixed = SelectNode(relation.node)
        fixed.materialized = True
        found = relation.derived(fixed, targets=())
        self._materialized[key] = ((node, env), found)
        return found

    def datatable(self, node: ast.Datatable, env: Env) -> Relation:
        width = len(node.columns)
        if width and len(node.values) % width:
            self.ctx.fail(f"The values do not fill rows of {width} columns.", node)
        taken = set[str]()
        columns = list[Col]()
        for declared in node.columns:
            if any(col.name == declared.name for col in columns):
                self.ctx.fail(f"The column '{declared.name}' is declared twice.", declared)
            columns.append(Col(declared.name, declared.type or T.STRING, fresh_ref(declared.name, taken)))
        scalars = ScalarBinder(self, env)
        rows = list[list[str]]()
        for start in range(0, len(node.values), width or 1):
            row = list[str]()
            for value, col in zip(node.values[start : start + width], columns, strict=True):
                with self.ctx.pointing_at(value):
                    row.append(convert(self.ctx, scalars.bind(value), col.type).sql)
            row.append(f"{len(rows)}")
            rows.append(row)
        order = fresh_ref("$row", taken)
        types = [*(SQL_TYPE[col.type] for col in columns), "BIGINT"]
        if rows:
            rows[0] = [f"{cell}::{kind}" for cell, kind in zip(rows[0], types, strict=True)]
        values = ValuesNode([*(col.ref for col in columns), order], types, rows)
        return Relation(values, tuple(columns), order=(OrderKey(ref=order),))

    # Functions ----------------------------------------------------------------------------------------------------

    def stored_function(self, name: str, at: ast.Node) -> FunctionLet | None:
        if name not in self._stored:
            stored = self.ctx.catalog.function(name)
            if stored is None:
                self._stored[name] = None
            else:
                try:
                    parameters = parse_declarations(stored.parameters)
                    body = parse_query(stored.body).statements
                except KqlError as error:
                    raise self.ctx.error(f"The function '{name}' is broken: {error.message}", at) from error
                lambda_ = ast.Lambda(parameters, body)
                self._stored[name] = FunctionLet(lambda_, Env(), stored.body, name)
        return self._stored[name]

    def call_table(
        self, node: ast.Call, found: FunctionLet, env: Env, piped: Relation | None = None
    ) -> Relation:
        """The rows that a user's function yields."""
        self.ctx.expand(node)
        inner = self._arguments(node, found, env, None, piped)
        with self.ctx.inside(found.text, node) if found.text is not self.ctx.text else _nothing():
            relation: Relation | None = None
            for statement in found.value.body:
                if isinstance(statement, ast.Let):
                    self.let(statement, inner)
                elif isinstance(statement, ast.Expression):
                    relation = self.table(statement.value, inner)
        if relation is None:
            self.ctx.fail(f"The function '{node.name}' yields nothing.", node)
        return relation

    def call_scalar(self, scalars: ScalarBinder, node: ast.Call, found: FunctionLet) -> Bound:
        """The value that a user's function yields."""
        self.ctx.expand(node)
        inner = self._arguments(node, found, scalars.env, scalars, None)
        with self.ctx.inside(found.text, node) if found.text is not self.ctx.text else _nothing():
            body = scalars.child(inner)
            value: Bound | None = None
            for statement in found.value.body:
                if isinstance(statement, ast.Let):
                    self.let(statement, inner, body)
                elif isinstance(statement, ast.Expression):
                    value = body.bind(statement.value)
        if value is None:
            self.ctx.fail(f"The function '{node.name}' yields nothing.", node)
        return value

    def _arguments(
        self,
        node: ast.Call,
        found: FunctionLet,
        env: Env,
        scalars: ScalarBinder | None,
        piped: Relation | None,
    ) -> Env:
        inner = Env(found.env)
        parameters = list(found.value.parameters)
        if piped is not None:
            if not parameters or parameters[0].schema is None:
                self.ctx.fail(f"The function '{node.name}' does not take a table first.", node)
            inner.names[parameters[0].name] = RelationLet(piped)
            parameters = parameters[1:]
        given = dict[str, ast.Expr]()
        positional = [each for each in node.arguments if not isinstance(each, ast.Named)]
        if len(positional) > len(parameters):
            self.ctx.fail(f"{node.name}() takes {len(parameters)} argument(s), not {len(positional)}.", node)
        for argument in node.arguments:
            if isinstance(argument, ast.Named):
                given[argument.names[0]] = argument.value
        free = [parameter for parameter in parameters if parameter.name not in given]
        given.update({parameter.name: each for parameter, each in zip(free, positional, strict=False)})
        for parameter in parameters:
            argument = given.get(parameter.name)
            if argument is None:
                if parameter.default is None:
                    self.ctx.fail(f"{node.name}() lacks the argument '{parameter.name}'.", node)
                value = ScalarBinder(self, inner).bind(parameter.default)
                inner.names[parameter.name] = ScalarLet(self._typed(value, parameter, node))
            elif parameter.schema is not None:
                inner.names[parameter.name] = TableLet(argument, env, self.ctx.text)
            else:
                binder = scalars or ScalarBinder(self, env)
                value = self._typed(binder.bind(argument), parameter, argument)
                if scalars is not None:
                    value = scalars.once(value)
                inner.names[parameter.name] = ScalarLet(value)
        return inner

    def _typed(self, value: Bound, parameter: ast.Declared, at: ast.Node) -> Bound:
        if parameter.type is None or parameter.type is value.type:
            return value
        with self.ctx.pointing_at(at):
            return convert(self.ctx, value, parameter.type)

    # Columns that depend on the data ------------------------------------------------------------------------------

    def discover(self, node: PlanNode, at: ast.Node) -> Sequence[Column]:
        """The columns that the rows of this node (name, kind) tell; unknown until somebody has run it."""
        place = self.discoveries
        self.discoveries += 1
        if place < len(self.ctx.discovered):
            return self.ctx.discovered[place]
        if not self.ctx.may_discover:
            self.ctx.refuse("The columns depend on the data here; give the operator an output schema.", at)
        raise Undiscovered(node)

    # Subqueries in expressions ------------------------------------------------------------------------------------

    def subquery(self, relation: Relation, aggregate: str, reads: set[str]) -> Bound:
        """One value computed over all rows, once."""
        node = CustomNode(
            (relation.node,),
            demand=lambda _needed: (reads,),
            sql=lambda _needed, names: f"SELECT {aggregate} AS v FROM {names[0]}",
        )
        key = self._name(node)
        return Bound(sql=f"(SELECT v FROM {node.name})", type=T.DYNAMIC, columns=frozenset((key,)))

    def subquery_rows(
        self, relation: Relation, value: str, reads: set[str], *, where: str = "", limit: bool = False
    ) -> Bound:
        """A column of rows, as `(SELECT …)`; with `limit` the first one only."""
        inner = relation.node
        order = relation.order if limit else ()
        if order:
            inner = SelectNode(inner, order=order, limit="1")
        filtered = f" WHERE {where}" if where else ""
        tail = " LIMIT 1" if limit else ""
        node = CustomNode(
            (inner,),
            demand=lambda _needed: (reads,),
            sql=lambda _needed, names: f"SELECT {value} AS v FROM {names[0]}{filtered}{tail}",
        )
        key = self._name(node)
        return Bound(sql=f"(SELECT v FROM {node.name})", type=T.DYNAMIC, columns=frozenset((key,)))

    def computed_once(self, bound: Bound) -> Bound:
        """A long scalar that reads no row, as a table of one value."""
        node = CustomNode(
            (), demand=lambda _needed: (), sql=lambda _needed, _names: f"SELECT {bound.sql} AS v"
        )
        node.subqueries |= bound.columns
        key = self._name(node)
        return Bound(sql=f"(SELECT v FROM {node.name})", type=bound.type, columns=frozenset((key,)))

    def _name(self, node: CustomNode) -> str:
        node.name = f"s{self.ctx.serial()}"
        node.materialized = True
        key = SUBQUERY + node.name
        self.subqueries[key] = node
        return key


class _nothing:  # noqa: N801  reads as a word where it is used
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_WORDS: dict[type, str] = {
    ast.MvExpand: "mv-expand",
    ast.MvApply: "mv-apply",
    ast.ParseKv: "parse-kv",
    ast.MakeSeries: "make-series",
    ast.TopNested: "top-nested",
    ast.TopHitters: "top-hitters",
    ast.Reorder: "project-reorder",
}


def word_of(operator: ast.Operator) -> str:
    """The operator's name in KQL."""
    word = getattr(operator, "word", None)
    return word or _WORDS.get(type(operator)) or type(operator).__name__.lower()
