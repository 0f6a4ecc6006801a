"""join and lookup."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.kql import operators
from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, Target, fresh_ref, unique_name
from shared.kql.bind.tables import Binder
from shared.kql.errors import nearest
from shared.kql.functions.build import convert
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import CustomNode, PlanNode, order_sql
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType
_KINDS = (
    "innerunique", "inner", "leftouter", "rightouter", "fullouter", "leftsemi", "rightsemi", "leftanti", "rightanti",
    "anti", "leftantisemi", "rightantisemi",
)  # fmt: skip
_SAME = {"anti": "leftanti", "leftantisemi": "leftanti", "rightantisemi": "rightanti"}


@dataclass(frozen=True, slots=True)
class Pair:
    """A condition: a column of the left equals a column of the right."""

    left: Col
    right: Col
    left_sql: str
    right_sql: str

    def sql(self) -> str:
        plain = self.left.type is T.STRING and self.right.type is T.STRING
        return f"{self.left_sql} {'=' if plain else 'IS NOT DISTINCT FROM'} {self.right_sql}"


def join(binder: Binder, relation: Relation, node: ast.Join, env: Env) -> Relation:
    lookup = node.word == "lookup"
    kind = "leftouter" if lookup else "innerunique"
    for name, value in node.parameters:
        if name == "kind" and isinstance(value, ast.Name):
            kind = value.name
            if kind not in _KINDS or (lookup and kind not in ("leftouter", "inner")):
                binder.ctx.fail(
                    f"'{kind}' is not a kind of {node.word}.", value, suggestion=nearest(kind, _KINDS)
                )
    kind = _SAME.get(kind, kind)
    if relation.partition and kind.startswith(("right", "full")):
        binder.ctx.refuse(f"'{node.word} kind={kind}' inside mv-apply or partition is not supported.", node)
    right = binder.table(node.right, env)
    pairs = _pairs(binder, relation, right, node, env)
    left_node = _unique(relation, pairs) if kind == "innerunique" else relation.node
    sides = _Sides(relation, right, left_node, pairs, kind, lookup)
    return sides.relation()


def _pairs(binder: Binder, left: Relation, right: Relation, node: ast.Join, env: Env) -> list[Pair]:
    a = {col.name: col for col in left.columns}
    b = {col.name: col for col in right.columns}
    conditions = list[ast.Expr]()
    for item in node.on:
        pending = [item]
        while pending:
            each = pending.pop(0)
            if isinstance(each, ast.Binary) and each.op == "and":
                pending[:0] = [each.left, each.right]
            else:
                conditions.append(each)
    if not conditions:
        binder.ctx.fail(f"'{node.word}' needs 'on'.", node)
    scalars = ScalarBinder(binder, env, left, sides=(a, b))
    found = list[Pair]()
    for condition in conditions:
        match condition:
            case ast.Name(name=name):
                for side, which in ((a, "left"), (b, "right")):
                    if name not in side:
                        binder.ctx.fail(
                            f"The {which} side of the {node.word} has no column '{name}'.",
                            condition,
                            suggestion=nearest(name, side),
                        )
                found.append(_pair(scalars, a[name], b[name], condition))
            case ast.Binary(
                op="==",
                left=ast.Member(base=ast.Name(name=("$left" | "$right") as first), name=x) as one,
                right=ast.Member(base=ast.Name(name=("$left" | "$right") as second), name=y) as two,
            ) if first != second:
                scalars.side(one, first)
                scalars.side(two, second)
                left_col, right_col = (a[x], b[y]) if first == "$left" else (a[y], b[x])
                found.append(_pair(scalars, left_col, right_col, condition))
            case _:
                binder.ctx.fail(
                    "A join's condition is a column's name, or $left.column == $right.column.", condition
                )
    return found


def _pair(scalars: ScalarBinder, left: Col, right: Col, at: ast.Expr) -> Pair:
    x = Bound(sql=f"l.{left.ref}", type=left.type)
    y = Bound(sql=f"r.{right.ref}", type=right.type)
    with scalars.ctx.pointing_at(at):
        if (
            left.type is not right.type
            and T.STRING in (left.type, right.type)
            and T.DYNAMIC not in (left.type, right.type)
        ):
            x, y = convert(scalars.ctx, x, T.STRING), convert(scalars.ctx, y, T.STRING)
        else:
            x, y = operators.align(scalars.ctx, "==", x, y)
    return Pair(left, right, x.sql, y.sql)


def _unique(left: Relation, pairs: Sequence[Pair]) -> PlanNode:
    """One left row per key: the first."""
    keys = list(dict.fromkeys((*left.partition, *(pair.left.ref for pair in pairs))))
    order = left.order
    reads = {*keys, *(key.ref for key in order)}

    def sql(needed: set[str], names: Sequence[str]) -> str:
        shown = ", ".join(sorted(needed)) or "NULL AS none"
        if not order:
            return f"SELECT DISTINCT ON ({', '.join(keys)}) {shown} FROM {names[0]}"
        over = f"PARTITION BY {', '.join(keys)} {order_sql(order)}"
        return f"SELECT {shown} FROM {names[0]} QUALIFY row_number() OVER ({over}) = 1"

    return CustomNode((left.node,), demand=lambda needed: (needed | reads,), sql=sql)


@dataclass(frozen=True, slots=True)
class _Sides:
    left: Relation
    right: Relation
    left_node: PlanNode
    pairs: list[Pair]
    kind: str
    lookup: bool

    def relation(self) -> Relation:
        if self.kind in ("leftsemi", "leftanti"):
            return self._half(self.left, self.left_node, self.right.node, "l", "r")
        if self.kind in ("rightsemi", "rightanti"):
            return self._half(self.right, self.right.node, self.left_node, "r", "l")
        return self._both()

    def _half(self, kept: Relation, near: PlanNode, far: PlanNode, mine: str, other: str) -> Relation:
        condition = " AND ".join(pair.sql() for pair in self.pairs)
        near_keys = {pair.left.ref if mine == "l" else pair.right.ref for pair in self.pairs}
        far_keys = {pair.right.ref if mine == "l" else pair.left.ref for pair in self.pairs}
        word = "SEMI" if self.kind.endswith("semi") else "ANTI"

        def sql(needed: set[str], names: Sequence[str]) -> str:
            shown = ", ".join(f"{mine}.{ref}" for ref in sorted(needed)) or "NULL AS none"
            return (
                f"SELECT {shown} FROM {names[0]} AS {mine} {word} JOIN {names[1]} AS {other} ON {condition}"
            )

        node = CustomNode((near, far), demand=lambda needed: (needed | near_keys, far_keys), sql=sql)
        return kept.derived(node, serialized=False)

    def _both(self) -> Relation:
        hidden = {pair.right.name for pair in self.pairs} if self.lookup else set[str]()
        taken = {col.ref.lower() for col in self.left.columns} | self.left.reserved
        names = [col.name for col in self.left.columns]
        columns = list(self.left.columns)
        moved = dict[str, tuple[str, Col]]()  # output ref → the right's ref and column
        for col in self.right.columns:
            if col.name in hidden:
                continue
            name = unique_name(col.name, names)
            names.append(name)
            ref = fresh_ref(name, taken)
            moved[ref] = (col.ref, col)
            columns.append(Col(name, col.type, ref))
        pad_left = self.kind in ("rightouter", "fullouter")
        pad_right = self.kind in ("leftouter", "fullouter")
        word = {"leftouter": "LEFT", "rightouter": "RIGHT", "fullouter": "FULL"}.get(self.kind, "INNER")
        left_texts = {col.ref for col in self.left.columns if col.type is T.STRING}
        condition = " AND ".join(pair.sql() for pair in self.pairs)
        left_keys = {pair.left.ref for pair in self.pairs}
        right_keys = {pair.right.ref for pair in self.pairs}

        def demand(needed: set[str]) -> tuple[set[str], set[str]]:
            mine = {ref for ref in needed if ref not in moved}
            return mine | left_keys, {moved[ref][0] for ref in needed if ref in moved} | right_keys

        def sql(needed: set[str], inputs: Sequence[str]) -> str:
            shown = list[str]()
            for ref in sorted(needed):
                if ref in moved:
                    inner, col = moved[ref]
                    padded = pad_right and col.type is T.STRING
                    shown.append((f"coalesce(r.{inner}, '')" if padded else f"r.{inner}") + f" AS {ref}")
                elif pad_left and ref in left_texts:
                    shown.append(f"coalesce(l.{ref}, '') AS {ref}")
                else:
                    shown.append(f"l.{ref}")
            text = ", ".join(shown) or "NULL AS none"
            return f"SELECT {text} FROM {inputs[0]} AS l {word} JOIN {inputs[1]} AS r ON {condition}"

        node = CustomNode((self.left_node, self.right.node), demand=demand, sql=sql)
        targets = list[Target]()
        if self.kind in ("inner", "leftouter"):
            targets += self.left.targets
        if self.kind in ("inner", "rightouter"):
            back = {inner: ref for ref, (inner, _) in moved.items()}
            targets += self.right.retargeted(back)
        # The hidden ingestion time does not come through a join.
        clean = tuple(
            Target(each.scan, {ref: name for ref, name in each.refs.items() if name != "$ingestion_time"})
            for each in targets
        )
        return Relation(
            node,
            tuple(columns),
            targets=clean,
            partition=self.left.partition,
            reserved=self.left.reserved,
        )
