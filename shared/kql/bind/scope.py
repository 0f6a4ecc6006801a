"""What names mean while a query is bound: relations with their columns, and the `let`s in force."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import OrderKey, PlanNode, ScanNode, identifier
from shared.kql.syntax import ast
from shared.kql.types import KqlType


@dataclass(frozen=True, slots=True)
class Col:
    """A column as the query sees it, and the ref under which the plan's node has it."""

    name: str
    type: KqlType
    ref: str

    def bound(self) -> Bound:
        return Bound(sql=self.ref, type=self.type, columns=frozenset((self.ref,)))


@dataclass(frozen=True, slots=True)
class Target:
    """A scan that a predicate over the relation still narrows, with the columns that reach it untouched."""

    scan: ScanNode
    refs: dict[str, str]  # the relation's ref → the table's column


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows of a plan node, seen with these columns. `order` may read refs that no column shows."""

    node: PlanNode
    columns: tuple[Col, ...]
    order: tuple[OrderKey, ...] = ()
    targets: tuple[Target, ...] = ()
    serialized: bool = False
    name: str | None = None  # for `withsource`
    whole: ScanNode | None = None  # all rows of this scan, so that "newest" may be asked of it
    partition: tuple[str, ...] = ()  # refs of the part that a row belongs to, inside mv-apply and partition
    reserved: frozenset[str] = frozenset()  # refs that no new column may take, in lower case

    def find(self, name: str) -> Col | None:
        for col in self.columns:
            if col.name == name:
                return col
        return None

    def taken(self) -> set[str]:
        """The refs in use, in lower case."""
        return (
            {col.ref.lower() for col in self.columns}
            | {key.ref.lower() for key in self.order}
            | self.reserved
        )

    def derived(self, node: PlanNode, columns: Iterable[Col] | None = None, **changes: object) -> "Relation":
        """The same rows in the same order on another node, with these columns."""
        fields: dict[str, object] = {"node": node, "name": None, "whole": None, **changes}
        if columns is not None:
            fields["columns"] = tuple(columns)
        return replace(self, **fields)  # type: ignore[arg-type]

    def retargeted(self, moved: dict[str, str]) -> tuple[Target, ...]:
        """Targets after a projection that shows old refs (keys) under new ones (values)."""
        return tuple(
            Target(target.scan, {moved[ref]: name for ref, name in target.refs.items() if ref in moved})
            for target in self.targets
        )

    def untouched(self, changed: Iterable[str]) -> tuple[Target, ...]:
        """Targets after some refs were computed anew."""
        gone = set(changed)
        if not gone or not self.targets:
            return self.targets
        return tuple(
            Target(target.scan, {ref: name for ref, name in target.refs.items() if ref not in gone})
            for target in self.targets
        )


def fresh_ref(name: str, taken: set[str]) -> str:
    """A ref for a new column, unlike all that are taken; it is taken from now on."""
    ref = identifier(name)
    number = 1
    while ref.lower() in taken:
        number += 1
        ref = identifier(f"{name}${number}")
    taken.add(ref.lower())
    return ref


def unique_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name1`, `name2`, …: the first that is free."""
    used = set(taken)
    if name not in used:
        return name
    number = 1
    while f"{name}{number}" in used:
        number += 1
    return f"{name}{number}"


@dataclass(frozen=True, slots=True)
class ScalarLet:
    value: Bound


@dataclass(frozen=True, slots=True)
class TableLet:
    """A tabular expression by name, bound anew wherever it is used, so that predicates reach its tables."""

    value: ast.Expr
    env: "Env"
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class RelationLet:
    """Rows that are there already: materialized, captured by `as`, or a tabular argument."""

    relation: Relation


@dataclass(frozen=True, slots=True)
class FunctionLet:
    value: ast.Lambda
    env: "Env"
    text: str
    name: str = ""


Binding = ScalarLet | TableLet | RelationLet | FunctionLet


@dataclass(slots=True)
class Env:
    """The names of one scope, inside others."""

    outer: "Env | None" = None
    names: dict[str, Binding] = field(default_factory=dict[str, Binding])

    def find(self, name: str) -> Binding | None:
        env: Env | None = self
        while env is not None:
            found = env.names.get(name)
            if found is not None:
                return found
            env = env.outer
        return None

    def all_names(self) -> list[str]:
        env: Env | None = self
        names = list[str]()
        while env is not None:
            names.extend(env.names)
            env = env.outer
        return names

    def views(self) -> Sequence[tuple[str, Binding]]:
        """Tabular names, outermost first, for wildcards."""
        inherited: Sequence[tuple[str, Binding]] = self.outer.views() if self.outer else ()
        return [
            *inherited,
            *((name, each) for name, each in self.names.items() if not isinstance(each, ScalarLet)),
        ]
