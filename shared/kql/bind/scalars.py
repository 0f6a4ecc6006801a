"""Scalar expressions: every name resolved, every operator typed, every call looked up in the registry."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from shared.kql import operators, operators_text
from shared.kql.bind.context import Context
from shared.kql.bind.scope import Col, Env, FunctionLet, Relation, ScalarLet, fresh_ref
from shared.kql.errors import nearest
from shared.kql.functions import REFUSED
from shared.kql.functions.build import convert, literal, quote, result
from shared.kql.functions.registry import ArgumentRefused, Bound, Function, FunctionKind
from shared.kql.plan.nodes import SUBQUERY, SelectNode
from shared.kql.syntax import ast
from shared.kql.types import KqlType

if TYPE_CHECKING:
    from shared.kql.bind.tables import Binder

T = KqlType
_ARITHMETIC = frozenset("+-*/%")
_COMPARE = frozenset(("==", "!=", "<", "<=", ">", ">="))
_LONG = 240
_ATOM_LENGTH = 64
"""Arguments of user functions longer than this are computed once, in a column of their own."""


def is_atomic(bound: Bound) -> bool:
    return bound.constant or (len(bound.sql) <= _ATOM_LENGTH and bound.sql in bound.columns)


class ScalarBinder:
    """Binds expressions over one relation's row, or over none.

    Some parts cannot stand inside an expression (window functions, long arguments used twice): they become columns
    of their own, below. `prepared` is the relation with those columns; bind first, then build on it.
    """

    def __init__(
        self,
        binder: "Binder",
        env: Env,
        relation: Relation | None = None,
        *,
        aggregates: bool = False,
        sides: tuple[dict[str, Col], dict[str, Col]] | None = None,
    ) -> None:
        self.binder = binder
        self.ctx: Context = binder.ctx
        self.env = env
        self.relation = relation
        self.row: dict[str, Col] = {col.name: col for col in relation.columns} if relation else {}
        self.sides = sides
        self.aggregates = aggregates
        self.gathered: dict[str, tuple[str, Bound]] = {}  # aggregate SQL → its ref and itself
        self.hoisted: list[tuple[str, Bound]] = []
        self._taken: set[str] | None = None
        self.inside_aggregate = False

    # The row ----------------------------------------------------------------------------------------------------

    def fresh(self, name: str) -> str:
        if self._taken is None:
            self._taken = self.relation.taken() if self.relation else set()
        return fresh_ref(name, self._taken)

    def reserve(self, refs: Iterable[str]) -> None:
        """Refs that the relation's node has besides its columns."""
        self.fresh("$")
        if self._taken is not None:
            self._taken |= {ref.lower() for ref in refs}

    def hoist(self, bound: Bound) -> Bound:
        """The same value, as a column of its own."""
        for ref, known in self.hoisted:
            if known.sql == bound.sql:
                return Bound(sql=ref, type=bound.type, columns=frozenset((ref,)))
        ref = self.fresh(f"${self.ctx.serial()}")
        self.hoisted.append((ref, bound))
        return Bound(sql=ref, type=bound.type, columns=frozenset((ref,)))

    def once(self, bound: Bound) -> Bound:
        """The value, in a column of its own if it is long and reads the row: it may be used many times."""
        reads_row = any(not ref.startswith(SUBQUERY) for ref in bound.columns)
        if self.relation is None or not reads_row or is_atomic(bound) or self.gathered_any(bound):
            return bound
        return self.hoist(bound)

    def compact(self, bound: Bound) -> Bound:
        """The value, in a column of its own if it is so long that writing it several times would add up."""
        return self.once(bound) if len(bound.sql) > _LONG else bound

    def gathered_any(self, bound: Bound) -> bool:
        """Whether it reads an aggregate, which is not there below the grouping."""
        return any(ref in bound.columns for ref, _ in self.gathered.values())

    @property
    def prepared(self) -> Relation:
        """The relation, with the columns that were hoisted."""
        if self.relation is None:
            raise AssertionError("there is no row here")
        node = self.relation.node
        layer: dict[str, Bound] = {}
        for ref, bound in self.hoisted:
            if bound.columns & layer.keys():
                node, layer = SelectNode(node, items=layer), {}
            layer[ref] = bound
        if layer:
            node = SelectNode(node, items=layer)
        if node is self.relation.node:
            return self.relation
        return self.relation.derived(node)

    def child(self, env: Env) -> "ScalarBinder":
        """Over the same row, for the body of a function: it sees its parameters, not the row's columns."""
        made = ScalarBinder(self.binder, env, self.relation, aggregates=self.aggregates)
        made.row = {}
        made.hoisted, made.gathered = self.hoisted, self.gathered
        self.fresh("$")
        made._taken, made.inside_aggregate = self._taken, self.inside_aggregate
        return made

    # Expressions ------------------------------------------------------------------------------------------------

    def bind(  # noqa: C901  one case per kind of node
        self, node: ast.Expr, *, filtering: bool = False
    ) -> Bound:
        match node:
            case ast.Name():
                return self.name(node)
            case ast.Literal():
                return self.literal(node)
            case ast.Binary():
                return self.binary(node, filtering)
            case ast.Call():
                return self.call(node, filtering)
            case ast.Member() | ast.Index():
                return self.path(node)
            case ast.InList():
                return self.in_list(node, filtering)
            case ast.Between():
                return self.between(node, filtering)
            case ast.Unary():
                with self.ctx.pointing_at(node):
                    return operators.negate(self.ctx, self.bind(node.operand))
            case ast.DynamicLiteral():
                value = None if node.json == "null" else node.json
                if value is None:
                    return literal(None, T.DYNAMIC)
                return Bound(sql=f"{quote(value)}::JSON", type=T.DYNAMIC, constant=True, value=value)
            case ast.TypeOf():
                return literal(f"typeof({node.type})", T.STRING)
            case ast.Star():
                return self.ctx.fail("'*' cannot stand here.", node)
            case ast.Named():
                # `a = 1` where a condition is meant.
                if len(node.names) == 1:
                    left = ast.Name(node.names[0], span=node.span)
                    return self.binary(ast.Binary("==", left, node.value, span=node.span), filtering)
                return self.ctx.fail("An assignment cannot stand here.", node)
            case ast.Pipeline():
                if not node.operators and node.source is not None:
                    return self.bind(node.source, filtering=filtering)
                return self.ctx.fail("A table cannot stand here; use toscalar().", node)
            case _:
                return self.ctx.fail("This cannot stand in an expression.", node)

    def literal(self, node: ast.Literal) -> Bound:
        if node.type is T.LONG and isinstance(node.value, int):
            return literal(operators.wrap64(node.value), T.LONG)
        return literal(node.value, node.type)

    def name(self, node: ast.Name) -> Bound:
        col = self.row.get(node.name)
        if col is not None:
            return col.bound()
        found = self.env.find(node.name)
        if isinstance(found, ScalarLet):
            return found.value
        if isinstance(found, FunctionLet) and not self.binder.is_tabular(node, self.env):
            return self.binder.call_scalar(self, ast.Call(node.name, (), span=node.span), found)
        if node.name in ("$left", "$right"):
            return self.ctx.fail(f"'{node.name}' must be followed by a column.", node)
        if found is not None or self.binder.is_tabular(node, self.env):
            return self.ctx.fail(f"'{node.name}' is a table; an expression is expected here.", node)
        known = [*self.row, *self.env.all_names()]
        return self.ctx.fail(
            f"Failed to resolve scalar expression named '{node.name}'.",
            node,
            suggestion=nearest(node.name, known),
        )

    # Operators --------------------------------------------------------------------------------------------------

    def binary(self, node: ast.Binary, filtering: bool) -> Bound:
        op = node.op
        if op in ("and", "or"):
            return self.logical(node, filtering)
        if isinstance(node.left, ast.Star):
            return self.any_column(node)
        left, right = self.compact(self.bind(node.left)), self.compact(self.bind(node.right))
        try:
            if op in _ARITHMETIC:
                return operators.arithmetic(self.ctx, op, left, right)
            if op in _COMPARE:
                return operators.compare(self.ctx, op, left, right, filtering=filtering)
            if op == ":":
                return operators_text.text_operator(self.ctx, "has", left, right)
            return operators_text.text_operator(self.ctx, op, left, right)
        except ArgumentRefused as error:
            return self.ctx.refused(error, node)

    def logical(self, node: ast.Binary, filtering: bool) -> Bound:
        parts = list[ast.Expr]()
        pending: list[ast.Expr] = [node]
        while pending:
            each = pending.pop()
            if isinstance(each, ast.Binary) and each.op == node.op:
                pending += (each.right, each.left)
            else:
                parts.append(each)
        bounds = [self.condition(part, filtering=filtering) for part in parts]
        return result(f" {node.op.upper()} ".join(bound.sql for bound in bounds), T.BOOL, bounds)

    def condition(self, node: ast.Expr, *, filtering: bool = True) -> Bound:
        """An expression as a truth value."""
        bound = self.bind(node, filtering=filtering)
        if bound.type is T.BOOL:
            return bound
        if bound.type in (T.DYNAMIC, T.LONG, T.INT):
            return convert(self.ctx, bound, T.BOOL)
        return self.ctx.fail(f"A condition is expected here, not a value of type {bound.type}.", node)

    def any_column(self, node: ast.Binary) -> Bound:
        """`* has "x"`: in any column that can hold it."""
        if node.op.startswith("!") and node.op not in _COMPARE:
            # Not: in no column.
            found = self.any_column(ast.Binary(node.op[1:], node.left, node.right, span=node.span))
            return result(f"NOT {found.sql}", T.BOOL, (found,))
        right = self.bind(node.right)
        parts = (
            [
                operators_text.text_operator(self.ctx, node.op if node.op != ":" else "has", text, right)
                for text in self.texts(node.op)
            ]
            if node.op not in _COMPARE
            else [
                operators.compare(self.ctx, node.op, col.bound(), right, filtering=True)
                for col in self.row.values()
                if col.type is right.type
            ]
        )
        return result(" OR ".join(part.sql for part in parts) or "false", T.BOOL, parts)

    def texts(self, op: str) -> list[Bound]:
        """Every column as text, for searching."""
        del op
        return [convert(self.ctx, col.bound(), T.STRING) for col in self.row.values()]

    def between(self, node: ast.Between, filtering: bool) -> Bound:
        value, low, high = self.bind(node.operand), self.bind(node.low), self.bind(node.high)
        with self.ctx.pointing_at(node):
            if low.type is T.DATETIME and high.type is T.TIMESPAN:
                high = operators.arithmetic(self.ctx, "+", low, high)
            above = operators.compare(self.ctx, ">=", value, low, filtering=filtering)
            below = operators.compare(self.ctx, "<=", value, high, filtering=filtering)
        inside = operators.conjunction([above, below])
        return result(f"NOT {inside.sql}", T.BOOL, (inside,)) if node.negated else inside

    def in_list(self, node: ast.InList, filtering: bool) -> Bound:
        if isinstance(node.left, ast.Star):
            return self.ctx.refuse(f"'* {node.op}' is not supported.", node)
        left = self.bind(node.left)
        negated = node.op.startswith("!")
        if len(node.items) == 1 and self.binder.is_tabular(node.items[0], self.env):
            found = self.in_table(node, left, node.items[0])
        else:
            items = [self.bind(item) for item in node.items]
            with self.ctx.pointing_at(node):
                if node.op in ("has_any", "has_all"):
                    found = operators_text.has_list(self.ctx, node.op, left, items)
                else:
                    found = self.in_items(node, left, items, filtering and not negated)
        return result(f"NOT {found.sql}", T.BOOL, (found,)) if negated else found

    def in_items(self, node: ast.InList, left: Bound, items: Sequence[Bound], filtering: bool) -> Bound:
        folded = node.op.endswith("~")
        constants = operators_text.constant_items(items)
        if constants is None and all(item.type is not T.DYNAMIC for item in items):
            constants = list(items)
        if constants is None:
            text = convert(self.ctx, left, T.STRING)
            wanted = f"lower({text.sql})" if folded else text.sql
            parts = list[str]()
            for item in items:
                if item.type is T.DYNAMIC:
                    values = f"coalesce(from_json({item.sql}, '[\"VARCHAR\"]'), [])"
                    values = f"CASE WHEN json_type({item.sql}) = 'ARRAY' THEN {values} ELSE [json_extract_string({item.sql}, '$')] END"
                    if folded:
                        values = f"list_transform({values}, lambda each: lower(each))"
                    parts.append(f"coalesce(list_contains({values}, {wanted}), false)")
                else:
                    other = convert(self.ctx, item, T.STRING).sql
                    parts.append(f"{wanted} = " + (f"lower({other})" if folded else other))
            return result(" OR ".join(parts), T.BOOL, (text, *items))
        if not constants:
            return Bound(sql="false", type=T.BOOL)
        pairs = [operators.align(self.ctx, "==", left, each) for each in constants]
        if left.type is T.DYNAMIC and any(pair[0].type is T.REAL for pair in pairs):
            pairs = [
                (convert(self.ctx, left, T.STRING), convert(self.ctx, each, T.STRING)) for each in constants
            ]
        first = pairs[0][0]
        if any(pair[0].sql != first.sql for pair in pairs):
            sql = " OR ".join(f"{a.sql} = {b.sql}" for a, b in pairs)
        else:
            values = dict.fromkeys(
                f"lower({b.sql})"
                if folded and not b.constant
                else quote(str(b.value).lower())
                if folded
                else b.sql
                for _, b in pairs
            )
            wanted = f"lower({first.sql})" if folded else first.sql
            sql = (
                f"{wanted} IN ({', '.join(values)})"
                if len(values) > 1
                else f"{wanted} = {next(iter(values))}"
            )
        if not filtering and first.type is not T.STRING:
            sql = f"coalesce({sql}, false)"
        return result(sql, T.BOOL, (left, *constants))

    def in_table(self, node: ast.InList, left: Bound, table: ast.Expr) -> Bound:
        relation = self.binder.table(table, self.env)
        if not relation.columns:
            self.ctx.fail("The table has no column to look in.", node)
        col = relation.columns[0]
        with self.ctx.pointing_at(node):
            if node.op in ("has_any", "has_all"):
                text = convert(self.ctx, left, T.STRING)
                values = self.binder.subquery(
                    relation, f"coalesce(list({convert(self.ctx, col.bound(), T.STRING).sql}), [])", {col.ref}
                )
                self.ctx.macro(operators_text.HAS_MACRO)
                kind = "list_bool_or" if node.op == "has_any" else "list_bool_and"
                found = f"coalesce({kind}(list_transform({values.sql}, lambda each: kql_has({text.sql}, each))), false)"
                return result(found, T.BOOL, (text, values))
            if col.type is T.DYNAMIC and left.type is T.STRING:
                a, b = left, convert(self.ctx, col.bound(), T.STRING)
            else:
                a, b = operators.align(self.ctx, "==", left, col.bound())
        folded = node.op.endswith("~")
        wanted = f"lower({a.sql})" if folded else a.sql
        value = f"lower({b.sql})" if folded else b.sql
        inner = self.binder.subquery_rows(relation, value, {col.ref}, where=f"{b.sql} IS NOT NULL")
        sql = f"{wanted} IN {inner.sql}"
        return result(sql if a.type is T.STRING else f"coalesce({sql}, false)", T.BOOL, (a, inner))

    # Dynamic values ---------------------------------------------------------------------------------------------

    def path(self, node: ast.Member | ast.Index) -> Bound:
        if (
            isinstance(node, ast.Member)
            and isinstance(node.base, ast.Name)
            and node.base.name in ("$left", "$right")
        ):
            return self.side(node, node.base.name)
        steps = list[ast.Member | ast.Index]()
        base: ast.Expr = node
        while isinstance(base, ast.Member | ast.Index):
            steps.append(base)
            base = base.base
        steps.reverse()
        if (
            isinstance(base, ast.Name)
            and base.name in ("$left", "$right")
            and isinstance(steps[0], ast.Member)
        ):
            found = self.side(steps.pop(0), base.name)
        else:
            found = self.bind(base)
        if found.type is T.STRING:
            # A string column does not have properties in Kusto; stored JSON text must be parsed first.
            return self.ctx.fail("A string has no properties; use parse_json() first.", node)
        if found.type is not T.DYNAMIC:
            return self.ctx.fail(f"A value of type {found.type} has no properties.", node)
        return self.walk(found, steps)

    def walk(self, found: Bound, steps: Sequence[ast.Member | ast.Index]) -> Bound:
        path = "$"
        for step in steps:
            index: object
            if isinstance(step, ast.Member):
                index = step.name
            else:
                bound = self.bind(step.index)
                if not bound.constant or bound.value is None:
                    found = self.computed_step(self.extract(found, path), bound, step)
                    path = "$"
                    continue
                index = bound.value
            if isinstance(index, str):
                path += '."' + index.replace('"', '\\"') + '"'
            elif isinstance(index, int):
                path += f"[{index}]" if index >= 0 else f"[#{index}]"
            else:
                self.ctx.fail("A property name or a position is expected here.", step)
        return self.extract(found, path)

    def text_of(self, node: ast.Member | ast.Index) -> Bound | None:
        """`tostring(d.a.b)` in one step, where the path is known."""
        found = self.path(node)
        inner = found.sql.removeprefix("(nullif(json_extract(").removesuffix(", 'null'))")
        if len(inner) != len(found.sql) - len("(nullif(json_extract(") - len(
            ", 'null'))"
        ) or not inner.endswith("')"):
            return None
        return result(f"coalesce(json_extract_string({inner}, '')", T.STRING, (found,))

    def extract(self, found: Bound, path: str) -> Bound:
        if path == "$":
            return found
        if found.constant and found.value is not None:
            pass
        return result(f"nullif(json_extract({found.sql}, {quote(path)}), 'null')", T.DYNAMIC, (found,))

    def computed_step(self, found: Bound, index: Bound, step: ast.Node) -> Bound:
        if index.type in (T.INT, T.LONG):
            path = f"CASE WHEN {index.sql} < 0 THEN '$[#' || {index.sql} || ']' ELSE '$[' || {index.sql} || ']' END"
        elif index.type in (T.STRING, T.DYNAMIC):
            text = convert(self.ctx, index, T.STRING)
            path = f"'$.\"' || replace({text.sql}, '\"', '\\\"') || '\"'"
            if index.type is T.DYNAMIC:
                path = f"CASE WHEN json_type({index.sql}) IN ('BIGINT', 'UBIGINT') THEN '$[' || {text.sql} || ']' ELSE {path} END"
        else:
            return self.ctx.fail("A property name or a position is expected here.", step)
        return result(f"nullif(json_extract({found.sql}, {path}), 'null')", T.DYNAMIC, (found, index))

    def side(self, node: ast.Member | ast.Index, side: str) -> Bound:
        if self.sides is None or not isinstance(node, ast.Member):
            return self.ctx.fail(f"'{side}' has a meaning only in the condition of a join.", node)
        columns = self.sides[0 if side == "$left" else 1]
        col = columns.get(node.name)
        if col is None:
            return self.ctx.fail(
                f"The {side[1:]} side of the join has no column '{node.name}'.",
                node,
                suggestion=nearest(node.name, columns),
            )
        return col.bound()

    # Calls ------------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call, filtering: bool) -> Bound:
        special = _SPECIAL.get(node.name)
        found = self.env.find(node.name)
        if isinstance(found, FunctionLet):
            return self.binder.call_scalar(self, node, found)
        if special is not None:
            return special(self, node)
        function = self.ctx.registry.get(node.name)
        if function is None:
            stored = self.binder.stored_function(node.name, node)
            if stored is not None:
                return self.binder.call_scalar(self, node, stored)
            if (reason := REFUSED.get(node.name)) is not None:
                self.ctx.refuse(f"{node.name}() is not supported: {reason}.", node)
            return self.ctx.fail(
                f"The function '{node.name}' is not known.",
                node,
                suggestion=nearest(node.name, self.ctx.registry.all()),
            )
        if function.kind is FunctionKind.AGGREGATE:
            return self.aggregate(node, function)
        if (
            node.name == "tostring"
            and len(node.arguments) == 1
            and isinstance(node.arguments[0], ast.Member | ast.Index)
        ):
            text = self.text_of(node.arguments[0])
            if text is not None:
                return text
        if node.name in ("not",) and filtering and len(node.arguments) == 1:
            inner = self.condition(node.arguments[0], filtering=False)
            return result(f"NOT {inner.sql}", T.BOOL, (inner,))
        args = [self.compact(self.bind(self.plain(argument))) for argument in self.spread(node, function)]
        if function.kind is FunctionKind.WINDOW:
            return self.window(node, function, args)
        if node.name == "ingestion_time" and self.relation is not None:
            return self.binder.ingestion_time(self, node)
        return self.emit(node, function, args)

    def spread(self, node: ast.Call, function: Function) -> list[ast.Expr]:
        """The arguments, with a lone `*` replaced by what it means for this function."""
        arguments = list(node.arguments)
        if (
            function.kind is FunctionKind.AGGREGATE
            and len(arguments) == 1
            and isinstance(arguments[0], ast.Star)
        ):
            return [] if not function.parameters else arguments
        if any(isinstance(each, ast.Star) for each in arguments) and function.kind is FunctionKind.SCALAR:
            columns: list[ast.Expr] = [ast.Name(name, span=node.span) for name in self.row]
            return [
                each
                for argument in arguments
                for each in (columns if isinstance(argument, ast.Star) else [argument])
            ]
        return arguments

    def plain(self, argument: ast.Expr) -> ast.Expr:
        """`f(a = 1)`: a condition where `a` is a column, otherwise an argument that was given a name."""
        if isinstance(argument, ast.Named) and len(argument.names) == 1 and argument.names[0] not in self.row:
            return argument.value
        return argument

    def emit(self, node: ast.Call, function: Function, args: Sequence[Bound]) -> Bound:
        self.check(node, function, args)
        try:
            made = function.emit(self.ctx, args)
        except ArgumentRefused as error:
            where: ast.Node = node
            if 0 <= error.index < len(node.arguments):
                where = node.arguments[error.index]
            raise self.ctx.error(f"{node.name}(): {error.message}", where) from error
        if args and not made.constant:
            columns = frozenset[str]().union(made.columns, *(arg.columns for arg in args))
            made = Bound(sql=made.sql, type=made.type, columns=columns)
        return made

    def check(self, node: ast.Call, function: Function, args: Sequence[Bound]) -> None:
        parameters = function.parameters
        least = sum(not (each.optional or each.variadic) for each in parameters)
        most = None if parameters and parameters[-1].variadic else len(parameters)
        if len(args) < least or (most is not None and len(args) > most):
            wanted = (
                f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            )
            self.ctx.fail(f"{node.name}() takes {wanted} argument(s), not {len(args)}.", node)
        for index, arg in enumerate(args):
            parameter = parameters[min(index, len(parameters) - 1)]
            place = node.arguments[index] if index < len(node.arguments) else node
            if parameter.types and arg.type not in parameter.types:
                if arg.type is T.DYNAMIC and not arg.constant:
                    continue
                if T.REAL in parameter.types and operators.is_number(arg.type):
                    continue
                if arg.type is T.INT and T.LONG in parameter.types:
                    continue
                expected = " or ".join(sorted(parameter.types))
                self.ctx.fail(
                    f"{node.name}(): argument {index + 1} ({parameter.name}) must be {expected}, not {arg.type}.",
                    place,
                )
            if parameter.constant and not arg.constant:
                self.ctx.fail(
                    f"{node.name}(): argument {index + 1} ({parameter.name}) must be a constant.", place
                )

    def window(self, node: ast.Call, function: Function, args: Sequence[Bound]) -> Bound:
        if self.relation is None:
            return self.ctx.fail(f"{node.name}() needs rows.", node)
        if not self.relation.serialized:
            return self.ctx.fail(
                f"{node.name}() needs rows in a fixed order: sort them, or use the operator serialize.", node
            )
        outer, self.ctx.hoist = self.ctx.hoist, self.hoist
        parts, self.ctx.within = self.ctx.within, self.relation.partition
        try:
            with self.ctx.ordered_by(self.relation.order):
                made = self.emit(node, function, args)
        finally:
            self.ctx.hoist, self.ctx.within = outer, parts
        columns = made.columns | {key.ref for key in self.relation.order} | set(self.relation.partition)
        return self.hoist(Bound(sql=made.sql, type=made.type, columns=columns))

    def aggregate(self, node: ast.Call, function: Function) -> Bound:
        if not self.aggregates or self.inside_aggregate:
            return self.ctx.fail(f"The aggregate '{node.name}' cannot stand here.", node)
        self.inside_aggregate = True
        args = [
            self.bind(argument, filtering=index == len(node.arguments) - 1)
            for index, argument in enumerate(self.spread(node, function))
        ]
        self.inside_aggregate = False
        return self.gather(self.emit_aggregate(node, function, args))

    def emit_aggregate(self, node: ast.Call, function: Function, args: Sequence[Bound]) -> Bound:
        order = self.relation.order if self.relation else ()
        with self.ctx.ordered_by(order):
            made = self.emit(node, function, args)
            if self.ctx.ordering and self.ctx.ordering in made.sql:
                made = Bound(sql=made.sql, type=made.type, columns=made.columns | {key.ref for key in order})
        return made

    def gather(self, made: Bound) -> Bound:
        """The aggregate as a column of the grouped rows."""
        known = self.gathered.get(made.sql)
        if known is None:
            known = (self.fresh(f"${self.ctx.serial()}"), made)
            self.gathered[made.sql] = known
        return Bound(sql=known[0], type=made.type, columns=frozenset((known[0],)))

    def constant(self, node: ast.Expr, what: str) -> Bound:
        """An expression that must be known now."""
        bound = self.bind(node)
        if not bound.constant:
            self.ctx.fail(f"{what} must be a constant.", node)
        return bound

    def constant_int(self, node: ast.Expr, what: str) -> int:
        bound = self.constant(node, what)
        if isinstance(bound.value, bool) or not isinstance(bound.value, int):
            self.ctx.fail(f"{what} must be a whole number.", node)
        return bound.value


# What is neither a function of values nor an aggregate.


def _toscalar(scalars: ScalarBinder, node: ast.Call) -> Bound:
    if len(node.arguments) != 1:
        scalars.ctx.fail("toscalar() takes one table.", node)
    argument = node.arguments[0]
    if not scalars.binder.is_tabular(argument, scalars.env):
        return scalars.bind(argument)
    relation = scalars.binder.table(argument, scalars.env)
    if not relation.columns:
        scalars.ctx.fail("The table has no column.", node)
    col = relation.columns[0]
    found = scalars.binder.subquery_rows(relation, col.ref, {col.ref}, limit=True)
    sql = f"coalesce({found.sql}, '')" if col.type is T.STRING else found.sql
    return result(sql, col.type, (found,))


def _column_if_exists(scalars: ScalarBinder, node: ast.Call) -> Bound:
    if len(node.arguments) != 2:
        scalars.ctx.fail(f"{node.name}() takes a column's name and a default.", node)
    first = node.arguments[0]
    name = first.name if isinstance(first, ast.Name) and first.name not in scalars.row else None
    if name is None:
        value = scalars.bind(first)
        if isinstance(first, ast.Name) and first.name in scalars.row:
            return value
        if not isinstance(value.value, str):
            scalars.ctx.fail("The column's name must be a constant string.", first)
        name = value.value
    col = scalars.row.get(name)
    return col.bound() if col is not None else scalars.bind(node.arguments[1])


def _pack_all(scalars: ScalarBinder, node: ast.Call) -> Bound:
    ignore_empty = (
        bool(node.arguments) and scalars.constant(node.arguments[0], "ignore_null_empty").value is True
    )
    columns = list(scalars.row.values())
    parts = [f"{quote(col.name)}, {convert(scalars.ctx, col.bound(), T.DYNAMIC).sql}" for col in columns]
    sql = f"json_object({', '.join(parts)})"
    bounds = [col.bound() for col in columns]
    if not ignore_empty:
        return result(sql, T.DYNAMIC, bounds)
    kept = [
        f"CASE WHEN {col.ref} IS NULL"
        + (f" OR {col.ref} = ''" if col.type is T.STRING else "")
        + f" THEN '{{}}'::JSON ELSE json_object({part}) END"
        for col, part in zip(columns, parts, strict=True)
    ]
    merged = kept[0] if kept else "'{}'::JSON"
    if len(kept) > 1:
        merged = f"json_merge_patch({', '.join(kept)})"
    return result(merged, T.DYNAMIC, bounds)


def _not_here(scalars: ScalarBinder, node: ast.Call) -> Bound:
    return scalars.ctx.fail(f"{node.name}() yields a table; an expression is expected here.", node)


def _column_names_of(scalars: ScalarBinder, node: ast.Call) -> Bound:
    relation = scalars.binder.table(node.arguments[0], scalars.env)
    value = json.dumps([col.name for col in relation.columns], separators=(",", ":"))
    return Bound(sql=f"{quote(value)}::JSON", type=T.DYNAMIC, constant=True, value=value)


def _materialized_view(scalars: ScalarBinder, node: ast.Call) -> Bound:
    return scalars.ctx.refuse(f"{node.name}() is not supported.", node)


_SPECIAL: dict[str, Callable[[ScalarBinder, ast.Call], Bound]] = {
    "toscalar": _toscalar,
    "column_ifexists": _column_if_exists,
    "columnifexists": _column_if_exists,
    "pack_all": _pack_all,
    "column_names_of": _column_names_of,
    "materialize": _not_here,
    "table": _not_here,
    "workspace": _not_here,
    "app": _not_here,
    "external_table": _materialized_view,
    "materialized_view": _materialized_view,
    "cluster": _materialized_view,
    "database": _not_here,
}
