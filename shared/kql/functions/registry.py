"""Functions as data: names, parameters, documentation, and how each becomes SQL.

Completions, hover help, the support matrix and errors all come from these entries; the binder only looks them up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.kernel.errors import OmsError
from shared.kql.types import KqlType

LiteralValue = bool | int | float | str | None
"""A constant argument: datetimes and timespans as ticks, guid and decimal and dynamic as their text."""


class FunctionKind(StrEnum):
    SCALAR = "scalar"
    AGGREGATE = "aggregate"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A bound expression: SQL that is safe to embed anywhere (parenthesised or atomic), its type, and its value if it is constant."""

    sql: str
    type: KqlType
    constant: bool = False
    value: LiteralValue = None
    columns: frozenset[str] = frozenset()


class ArgumentRefused(OmsError):
    """An argument of the wrong type or value; `index` says which, so that the binder can point at it."""

    code = "SemanticError"

    def __init__(self, message: str, *, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class Emission(Protocol):
    """What an emitter may ask for while it writes SQL."""

    @property
    def now_ticks(self) -> int:
        """`now()`, once per query."""
        ...

    @property
    def ordering(self) -> str:
        """`ORDER BY …` of the rows' order, or '' where they have none: for `OVER (…)` of window functions, and
        inside aggregates that keep their rows' order (`list(x ORDER BY …)`)."""
        ...

    @property
    def parts(self) -> Sequence[str]:
        """Columns of the part that a row belongs to: window functions look no farther."""
        ...

    def earlier(self, expression: Bound) -> Bound:
        """A column that holds this window expression, computed in a projection below: for a window over a window."""
        ...

    def macro(self, definition: str) -> None:
        """Have this `CREATE MACRO …` (idempotent, by text) run before the query."""
        ...

    def native(self, name: str) -> None:
        """Have the Python function `name` of `shared.kql.native` registered: for rare functions only."""
        ...


Emit = Callable[[Emission, Sequence[Bound]], Bound]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. `types` empty accepts any type. A `constant` must be a literal or fold to one."""

    name: str
    types: frozenset[KqlType] = frozenset()
    optional: bool = False
    constant: bool = False
    variadic: bool = False  # the last parameter only: zero or more of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. `emit` has the arguments counted and their types checked already; it still converts between numeric types."""

    name: str
    kind: FunctionKind
    parameters: Sequence[Parameter]
    returns: str  # for people: "long", "the type of the argument", …
    summary: str
    emit: Emit
    aliases: Sequence[str] = ()
    auto_name: str | None = (
        None  # of the column an aggregate makes when it is not named: "count_", "dcount_{0}", "percentile_{0}_{1}"
    )
    deterministic: bool = True


@dataclass(slots=True)
class Registry:
    """All functions by name; aliases lead to the same entry."""

    by_name: dict[str, Function] = field(default_factory=dict[str, Function])

    def add(self, *functions: Function) -> None:
        for function in functions:
            for name in (function.name, *function.aliases):
                if name in self.by_name:
                    raise ValueError(f"{name} is registered twice")
                self.by_name[name] = function

    def get(self, name: str) -> Function | None:
        return self.by_name.get(name)

    def all(self) -> Mapping[str, Function]:
        return self.by_name
