"""Scalar functions in Python that the DuckDB child registers by name, for what SQL cannot say and queries rarely ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol


class Registrar(Protocol):
    """The one method of a DuckDB connection that is needed here; this module does not import DuckDB."""

    def create_function(
        self,
        name: str,
        function: Callable[..., Any],
        parameters: Any = None,
        return_type: Any = None,
        *,
        null_handling: Any = ...,
        side_effects: bool = ...,
    ) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFunction:
    """One function: DuckDB's types by name, and how it takes NULL ("default" answers NULL for it, "special" calls it)."""

    name: str
    parameters: Sequence[str]
    returns: str
    function: Callable[..., Any]
    null_handling: str = "default"

    def register(self, connection: Registrar) -> None:
        """Make it callable in SQL on this connection."""
        connection.create_function(
            self.name,
            self.function,
            list(self.parameters),
            self.returns,
            null_handling=self.null_handling,
        )


NATIVE: Final[Mapping[str, NativeFunction]] = MappingProxyType({})
