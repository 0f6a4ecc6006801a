"""What every node of the syntax tree is: frozen, slotted, compared by value without its span.

A plain dataclass would do the same, but fifty of them cost the front end 70 ms of import; these cost two.
"""

from typing import Any, ClassVar, Final, dataclass_transform

Span = tuple[int, int]
NOWHERE: Final[Span] = (0, 0)


@dataclass_transform(frozen_default=True, eq_default=True)
class NodeType(type):
    """Turns a class's annotations into slots, in order."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]
    _setters: tuple[Any, ...]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> "NodeType":
        if not bases:
            return super().__new__(cls, name, bases, body)
        fields = tuple(body.get("__annotations__", {}))
        defaults = {field: body.pop(field) for field in fields if field in body}
        body["__slots__"] = body["__match_args__"] = fields
        made = super().__new__(cls, name, bases, body)
        made._fields = fields
        made._defaults = defaults
        made._setters = tuple(getattr(made, field).__set__ for field in fields)
        return made


class Node(metaclass=NodeType):
    """A node; `span` is where it stands in the text, as offsets."""

    __slots__ = ("span",)
    __match_args__ = ()
    _fields: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]
    _setters: ClassVar[tuple[Any, ...]]
    span: Span

    def __init__(self, *values: Any, span: Span = NOWHERE, **named: Any) -> None:
        kind = type(self)
        _set_span(self, span)
        for setter, value in zip(kind._setters, values, strict=False):
            setter(self, value)
        for field, setter in zip(kind._fields[len(values) :], kind._setters[len(values) :], strict=True):
            setter(self, named[field] if field in named else kind._defaults[field])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            _same(getattr(self, field), getattr(other, field)) for field in self._fields
        )

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(getattr(self, field) for field in self._fields)))

    def __repr__(self) -> str:
        inside = ", ".join(f"{field}={getattr(self, field)!r}" for field in self._fields)
        return f"{type(self).__name__}({inside})"


def _same(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)  # noqa: PLR0124  NaN is NaN in a tree


_set_span: Final = Node.__dict__["span"].__set__
