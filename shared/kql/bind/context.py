"""One translation in progress: what it has asked for, and where its errors point."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from shared.kql.catalog import Catalog
from shared.kql.errors import KqlSemanticError, KqlUnsupported
from shared.kql.functions.registry import ArgumentRefused, Bound, Registry
from shared.kql.plan.nodes import OrderKey, PlanNode, order_sql
from shared.kql.syntax.ast import Node
from shared.kql.types import Column

_MOST_EXPANSIONS = 2_000
"""How often lets and functions may be expanded in one query: beyond, it would never end or never fit."""


class Context:
    """State of one translation. It is the `Emission` that emitters write to."""

    def __init__(
        self,
        text: str,
        *,
        catalog: Catalog,
        now_ticks: int,
        default_range: tuple[int | None, int | None],
        registry: Registry,
        parameters: Mapping[str, str],
        discovered: Sequence[Sequence[Column]] = (),
        may_discover: bool = False,
    ) -> None:
        self.text = text
        self.catalog = catalog
        self.now_ticks = now_ticks
        self.default_range = default_range
        self.registry = registry
        self.parameters = parameters
        self.discovered = discovered
        self.may_discover = may_discover
        self.prelude: dict[str, None] = {}
        self.natives: dict[str, None] = {}
        self.order: tuple[OrderKey, ...] = ()
        self.within: Sequence[str] = ()  # refs of the part that a row belongs to, for window functions
        self.hoist: Callable[[Bound], Bound] | None = None  # while a window function is bound
        self.render: dict[str, object] | None = None
        self.materialized: dict[int, PlanNode] = {}
        self._place: list[tuple[str, Node]] = []
        self._expansions = 0
        self._serial = 0

    # What emitters ask for.

    @property
    def ordering(self) -> str:
        return order_sql(self.order)

    @property
    def parts(self) -> Sequence[str]:
        return self.within

    def earlier(self, expression: Bound) -> Bound:
        if self.hoist is None:
            raise ArgumentRefused("rows are in no order here")
        reads = expression.columns | {key.ref for key in self.order} | set(self.within)
        return self.hoist(Bound(sql=expression.sql, type=expression.type, columns=reads))

    def macro(self, definition: str) -> None:
        self.prelude.setdefault(definition)

    def native(self, name: str) -> None:
        self.natives.setdefault(name)

    @contextmanager
    def ordered_by(self, keys: tuple[OrderKey, ...]) -> Generator[None]:
        before, self.order = self.order, keys
        try:
            yield
        finally:
            self.order = before

    # Names and errors.

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def fail(self, message: str, at: Node, *, suggestion: str | None = None) -> NoReturn:
        raise self.error(message, at, suggestion=suggestion)

    def error(self, message: str, at: Node, *, suggestion: str | None = None) -> KqlSemanticError:
        text, node = self._place[0] if self._place else (self.text, at)
        return KqlSemanticError(message, text=text, pos=node.span[0], end=node.span[1], suggestion=suggestion)

    def refuse(self, what: str, at: Node) -> NoReturn:
        """What we know of, and do not run."""
        text, node = self._place[0] if self._place else (self.text, at)
        raise KqlUnsupported(what, text=text, pos=node.span[0], end=node.span[1])

    def refused(self, error: ArgumentRefused, at: Node) -> NoReturn:
        raise self.error(error.message, at) from error

    @contextmanager
    def inside(self, text: str, call: Node) -> Generator[None]:
        """While another text (a stored function's) is bound: errors point at the call."""
        self._place.append((self.text, call))
        before, self.text = self.text, text
        try:
            yield
        finally:
            self.text = before
            self._place.pop()

    def expand(self, at: Node) -> None:
        self._expansions += 1
        if self._expansions > _MOST_EXPANSIONS:
            self.fail("The query's functions and let statements expand too far.", at)

    @contextmanager
    def pointing_at(self, node: Node) -> Generator[None]:
        """What an emitter refuses becomes an error at this node."""
        try:
            yield
        except ArgumentRefused as error:
            self.refused(error, node)
