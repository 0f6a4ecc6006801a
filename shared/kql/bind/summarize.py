"""summarize: groups, aggregates, and those aggregates that make several columns."""

from collections.abc import Sequence

from shared.kql.bind.names import aggregate_name, implied
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, fresh_ref, unique_name
from shared.kql.bind.shape import first_seen
from shared.kql.bind.tables import Binder
from shared.kql.functions.build import result
from shared.kql.functions.registry import Bound, FunctionKind
from shared.kql.plan.nodes import SelectNode
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType
_EXTREMES = {"arg_max": "arg_max", "argmax": "arg_max", "arg_min": "arg_min", "argmin": "arg_min"}
_ANY = ("take_any", "any")


class Groups:
    """One summarize while it is bound: keys first, then aggregates over what the keys need to be computed."""

    def __init__(self, binder: Binder, relation: Relation, env: Env) -> None:
        self.binder = binder
        self.ctx = binder.ctx
        self.env = env
        self.source = relation
        self.keys = list[Col]()
        self.outputs = list[tuple[str, Bound, bool]]()  # name, value over the grouped rows, named by the user
        self.scalars = ScalarBinder(binder, env, relation, aggregates=True)

    def group_by(self, items: Sequence[ast.Expr]) -> None:
        scalars = ScalarBinder(self.binder, self.env, self.source)
        made = dict[str, Bound]()
        taken = self.source.taken()
        number = 0
        found = list[tuple[str, Bound]]()
        for item in items:
            value = item.value if isinstance(item, ast.Named) else item
            bound = scalars.bind(value)
            name = implied(item)
            if name is None:
                number += 1
                name = f"Column{number}"
            if any(name == each for each, _ in found):
                if isinstance(item, ast.Name) and any(
                    each == name and one.sql == bound.sql for each, one in found
                ):
                    continue
                name = unique_name(name, [each for each, _ in found])
            found.append((name, bound))
        base = scalars.prepared
        taken |= {ref.lower() for ref, _ in scalars.hoisted}
        for name, bound in found:
            ref = bound.sql
            if bound.columns != frozenset((ref,)):
                ref = fresh_ref(name, taken)
                made[ref] = bound
            self.keys.append(Col(name, bound.type, ref))
        node = SelectNode(base.node, items=made) if made else base.node
        self.source = base.derived(node, self.source.columns)
        self.scalars = ScalarBinder(self.binder, self.env, self.source, aggregates=True)
        self.scalars.reserve(made)

    def aggregate(self, item: ast.Expr) -> None:
        names = item.names if isinstance(item, ast.Named) else ()
        value = item.value if isinstance(item, ast.Named) else item
        if isinstance(value, ast.Call):
            function = self.ctx.registry.get(value.name)
            if value.name in _EXTREMES and self._extreme(names, value):
                return
            if value.name in _ANY and (
                len(value.arguments) > 1 or (value.arguments and isinstance(value.arguments[0], ast.Star))
            ):
                self._any(names, value)
                return
            if value.name in ("percentiles", "percentilesw") and len(value.arguments) > 1:
                self._percentiles(names, value)
                return
            if function is not None and function.kind is FunctionKind.AGGREGATE:
                bound = self.scalars.bind(value)
                self._output(names[0] if names else aggregate_name(value, function), bound, bool(names))
                return
        bound = self.scalars.bind(value)
        name = names[0] if names else self._fallback(value)
        self._output(name, bound, bool(names))

    def _fallback(self, value: ast.Expr) -> str:
        if isinstance(value, ast.Call) and value.arguments and isinstance(value.arguments[0], ast.Call):
            inner = value.arguments[0]
            function = self.ctx.registry.get(inner.name)
            if (
                function is not None
                and function.kind is FunctionKind.AGGREGATE
                and implied(value) is None
                and value.name in ("round", "tostring", "tolong", "todouble", "toint")
            ):
                return aggregate_name(inner, function)
        number = 1 + sum(name.startswith("Column") for name, _, _ in self.outputs)
        number += sum(key.name.startswith("Column") for key in self.keys)
        return implied(value) or f"Column{number}"

    def _output(self, name: str, bound: Bound, named: bool) -> None:
        self.outputs.append((name, bound, named))

    def _struct(self, columns: Sequence[tuple[str, Bound]]) -> tuple[str, frozenset[str]]:
        fields = ", ".join(f"c{index} := {bound.sql}" for index, (_, bound) in enumerate(columns))
        reads = frozenset[str]().union(*(bound.columns for _, bound in columns))
        return f"struct_pack({fields})", reads

    def _unpack(self, row: Bound, columns: Sequence[tuple[str, Bound]], *, named: bool) -> None:
        for index, (name, bound) in enumerate(columns):
            sql = f"struct_extract({row.sql}, 'c{index}')"
            if bound.type is T.STRING:
                sql = f"coalesce({sql}, '')"
            self._output(name, result(sql, bound.type, (row,)), named)

    def _several(self, arguments: Sequence[ast.Expr], skip: set[str]) -> list[tuple[str, Bound]]:
        """The columns that an aggregate returns along: `*` is all that are not keys."""
        self.scalars.inside_aggregate = True
        found = list[tuple[str, Bound]]()
        hidden = {key.name for key in self.keys} | skip
        for argument in arguments:
            if isinstance(argument, ast.Star):
                found += [(col.name, col.bound()) for col in self.source.columns if col.name not in hidden]
            else:
                name = implied(argument) or f"Column{len(found) + 1}"
                found.append((name, self.scalars.bind(self.scalars.plain(argument))))
        self.scalars.inside_aggregate = False
        return found

    def _extreme(self, names: tuple[str, ...], node: ast.Call) -> bool:
        if len(node.arguments) < 1:
            return False
        first, *rest = node.arguments
        by = self._several((first,), set())[0]
        star = any(isinstance(each, ast.Star) for each in rest)
        along = self._several(rest, {by[0]} if star else set())
        if star:  # the column itself keeps its place among all
            pass
        columns = [by, *along]
        row_sql, reads = self._struct(columns)
        function = _EXTREMES[node.name]
        key = by[1].sql
        # Rows without a value count only where none has one.
        order = [f"{each.ref} {'DESC' if each.descending else 'ASC'}" for each in self.source.order]
        reads |= {each.ref for each in self.source.order}
        direction = "DESC" if function == "arg_max" else "ASC"
        if order:
            arranged = ", ".join([f"{key} {direction} NULLS LAST", *order])
            sql = f"first({row_sql} ORDER BY {arranged})"
        else:
            sql = f"coalesce({function}({row_sql}, {key}), any_value({row_sql}) FILTER (WHERE {key} IS NULL))"
        row = self.scalars.gather(Bound(sql=sql, type=T.DYNAMIC, columns=reads))
        labels = [by, *along]
        if names:
            given = list(names)
            labels = [
                (given[index] if index < len(given) else name, bound)
                for index, (name, bound) in enumerate(labels)
            ]
        self._unpack(row, labels, named=bool(names))
        return True

    def _any(self, names: tuple[str, ...], node: ast.Call) -> None:
        columns = self._several(node.arguments, set())
        row_sql, reads = self._struct(columns)
        row = self.scalars.gather(Bound(sql=f"first({row_sql})", type=T.DYNAMIC, columns=reads))
        star = any(isinstance(each, ast.Star) for each in node.arguments)
        prefix = "" if star or node.name == "take_any" else "any_"
        labels = [
            (names[index] if index < len(names) else prefix + name, bound)
            for index, (name, bound) in enumerate(columns)
        ]
        self._unpack(row, labels, named=bool(names))

    def _percentiles(self, names: tuple[str, ...], node: ast.Call) -> None:
        weighted = node.name.endswith("w")
        single = self.ctx.registry.get("percentilew" if weighted else "percentile")
        if single is None:
            self.ctx.refuse(f"{node.name}() is not supported.", node)
        fixed = 2 if weighted else 1
        for index, argument in enumerate(node.arguments[fixed:]):
            call = ast.Call(single.name, (*node.arguments[:fixed], argument), span=node.span)
            bound = self.scalars.bind(call)
            name = names[index] if index < len(names) else aggregate_name(call, single)
            self._output(name, bound, index < len(names))

    def relation(self) -> Relation:
        """The grouped rows: keys, then aggregates."""
        base = self.scalars.prepared
        refs = [*(key.ref for key in self.keys), *base.partition]
        items = {ref: Bound(sql=ref, type=T.LONG, columns=frozenset((ref,))) for ref in refs}
        items |= dict(self.scalars.gathered.values())
        order, items = first_seen(base, items)
        node = SelectNode(base.node, items=items, group=list(dict.fromkeys(refs)))
        columns = list(self.keys)
        made = dict[str, Bound]()
        taken = {ref.lower() for ref in items} | base.reserved
        for name, bound, _ in self.outputs:
            used = [col.name for col in columns]
            if name in used:
                name = unique_name(name, used)
            passing = bound.columns == frozenset((bound.sql,)) and bound.sql in items
            ref = bound.sql if passing else fresh_ref(name, taken)
            if not passing:
                made[ref] = bound
            columns.append(Col(name, bound.type, ref))
        final = SelectNode(node, items=made) if made else node
        return Relation(final, tuple(columns), order=order, partition=base.partition, reserved=base.reserved)


def summarize(binder: Binder, relation: Relation, node: ast.Summarize, env: Env) -> Relation:
    groups = Groups(binder, relation, env)
    groups.group_by(node.by)
    for item in node.aggregates:
        groups.aggregate(item)
    if not node.aggregates and not node.by:
        return Relation(SelectNode(relation.node, limit="0"), ())
    return groups.relation()
