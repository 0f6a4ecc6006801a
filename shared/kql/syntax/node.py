"""What every node of the syntax tree is: frozen, slotted, compared by value without its span.

A plain dataclass would do the same, but fifty of them cost the front end 70 ms of import; these cost two.
"""

from typing import Any, ClassVar, Final, dataclass_transform

Span = tuple[int, int]
NOWHERE: Final[Span] = (0, 0)


def _beside(*, default: Any, kw_only: bool) -> Any:
    """What type checkers are told of `span`: given by name only, and left out of what a node is."""
    del default, kw_only


@dataclass_transform(frozen_default=True, eq_default=True, field_specifiers=(_beside,))
class NodeType(type):
    """Turns a class's annotations into slots, in order."""

    fields_: tuple[str, ...]
    defaults_: dict[str, Any]
    setters_: tuple[Any, ...]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> "NodeType":
        if not bases:
            del body["span"]  # it is a slot
            return super().__new__(cls, name, bases, body)
        fields = tuple(body.get("__annotations__", {}))
        defaults = {field: body.pop(field) for field in fields if field in body}
        body["__slots__"] = body["__match_args__"] = fields
        made = super().__new__(cls, name, bases, body)
        made.fields_ = fields
        made.defaults_ = defaults
        made.setters_ = tuple(getattr(made, field).__set__ for field in fields)
        return made


class Node(metaclass=NodeType):
    """A node; `span` is where it stands in the text, as offsets."""

    __slots__ = ("span",)
    __match_args__ = ()
    fields_: ClassVar[tuple[str, ...]]
    defaults_: ClassVar[dict[str, Any]]
    setters_: ClassVar[tuple[Any, ...]]
    span: Span = _beside(default=NOWHERE, kw_only=True)

    def __init__(self, *values: Any, span: Span = NOWHERE, **named: Any) -> None:
        kind = type(self)
        _set_span(self, span)
        for setter, value in zip(kind.setters_, values, strict=False):
            setter(self, value)
        for field, setter in zip(kind.fields_[len(values) :], kind.setters_[len(values) :], strict=True):
            setter(self, named[field] if field in named else kind.defaults_[field])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            _same(getattr(self, field), getattr(other, field)) for field in self.fields_
        )

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(getattr(self, field) for field in self.fields_)))

    def __repr__(self) -> str:
        inside = ", ".join(f"{field}={getattr(self, field)!r}" for field in self.fields_)
        return f"{type(self).__name__}({inside})"


def _same(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)


_set_span: Final = Node.__dict__["span"].__set__
