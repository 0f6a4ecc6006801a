"""Route templates as ASP.NET reads them: constraints, optional and default values, catch-alls, precedence."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote

_SLASH: Final = re.compile("%2f", re.IGNORECASE)
_NAME: Final = re.compile(r"(?P<stars>\*{0,2})(?P<name>[^:=?*/{}]+)")


class TemplateInvalid(ValueError):
    """A route template that ASP.NET would refuse, or a constraint that does not exist."""


Constraint = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: str
    constraints: Sequence[Constraint] = ()
    default: str | None = None
    optional: bool = False
    rest: bool = False

    def accepts(self, value: str) -> bool:
        return all(holds(value) for holds in self.constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What stands between two slashes: a text (lower case), one parameter, or a mixture of both as a pattern."""

    literal: str | None = None
    parameter: Parameter | None = None
    mixture: re.Pattern[str] | None = None
    mixed: Sequence[Parameter] = ()

    @property
    def rank(self) -> int:
        """ASP.NET's inbound precedence; the lower goes first."""
        if self.literal is not None:
            return 1
        if self.parameter is None:
            return 2
        constrained = bool(self.parameter.constraints)
        if self.parameter.rest:
            return 4 if constrained else 5
        return 2 if constrained else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Route[T]:
    template: str
    segments: Sequence[Segment]
    methods: frozenset[str]
    """Empty: every method."""
    target: T

    @property
    def order(self) -> tuple[tuple[int, ...], str]:
        return tuple(segment.rank for segment in self.segments), self.template.casefold()

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """The route's values for a path in decoded segments, or None."""
        values: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            parameter = segment.parameter
            if parameter is not None and parameter.rest:
                return _take_rest(parameter, "/".join(path[position:]), values)
            if position >= len(path):
                if parameter is None or not (parameter.optional or parameter.default is not None):
                    return None
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
            elif not _take(segment, path[position], values):
                return None
        return values if len(path) <= len(self.segments) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found[T]:
    target: T
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongMethod:
    """The path is known, but not with that method."""

    allowed: Sequence[str]


class RouteTable[T]:
    """Routes in the order in which ASP.NET would try them."""

    def __init__(self, routes: Sequence[Route[T]]) -> None:
        self._routes = sorted(routes, key=lambda route: route.order)
        self._by_first: dict[str, Sequence[Route[T]]] = {}

    @property
    def remembered(self) -> int:
        """How many first segments have their candidates at hand."""
        return len(self._by_first)

    def find(self, method: str, raw_path: str) -> Found[T] | WrongMethod | None:
        """The first route for an undecoded path. Repeated slashes count as one where the path as sent matches nothing."""
        path = split_path(raw_path)
        found = self._find(method, path)
        if found is None and "" in path:
            return self._find(method, [segment for segment in path if segment])
        return found

    def _find(self, method: str, path: Sequence[str]) -> Found[T] | WrongMethod | None:
        allowed: set[str] = set()
        for route in self._candidates(path):
            values = route.match(path)
            if values is None:
                continue
            if not route.methods or method in route.methods:
                return Found(target=route.target, values=values)
            allowed |= route.methods
        return WrongMethod(allowed=sorted(allowed)) if allowed else None

    def _candidates(self, path: Sequence[str]) -> Iterator[Route[T]] | Sequence[Route[T]]:
        first = path[0].casefold() if path else ""
        if (known := self._by_first.get(first)) is not None:
            return known
        able = [
            route
            for route in self._routes
            if not route.segments or route.segments[0].literal in (None, first)
        ]
        # Only words that some route begins with are remembered: strangers must not fill the memory.
        if any(route.segments and route.segments[0].literal == first for route in self._routes):
            self._by_first[first] = able
        return able


def split_path(raw_path: str) -> list[str]:
    """A path's segments, each percent-decoded but for %2F; dot segments resolved, one slash at the end forgotten."""
    segments: list[str] = []
    for raw in raw_path.removeprefix("/").removesuffix("/").split("/") if raw_path.strip("/") else ():
        segment = unquote(_SLASH.sub("%252F", raw)) if "%" in raw else raw
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return segments


def compile_route[T](template: str, methods: Sequence[str], target: T) -> Route[T]:
    """A route of a template. TemplateInvalid."""
    segments = [
        _segment(template, pieces) for pieces in _split_template(template.removeprefix("~").strip("/"))
    ]
    for segment in segments[:-1]:
        if segment.parameter is not None and segment.parameter.rest:
            raise TemplateInvalid(f"route {template!r}: a catch-all must come last")
    return Route(
        template=template,
        segments=tuple(segments),
        methods=frozenset(method.upper() for method in methods),
        target=target,
    )


def _take(segment: Segment, value: str, values: dict[str, str]) -> bool:
    if segment.literal is not None:
        return value.casefold() == segment.literal
    if segment.parameter is not None:
        if not value or not segment.parameter.accepts(value):
            return False
        values[segment.parameter.name] = value
        return True
    match = segment.mixture.fullmatch(value) if segment.mixture is not None else None
    if match is None:
        return False
    for index, parameter in enumerate(segment.mixed):
        part = match.group(f"p{index}")
        if part is None:
            continue
        if not parameter.accepts(part):
            return False
        values[parameter.name] = part
    return True


def _take_rest(parameter: Parameter, rest: str, values: dict[str, str]) -> dict[str, str] | None:
    if not rest:
        if parameter.default is not None:
            values[parameter.name] = parameter.default
        return values
    if not parameter.accepts(rest):
        return None
    values[parameter.name] = rest
    return values


def _split_template(template: str) -> Iterator[list[str]]:
    """Per segment its pieces: texts, and parameters still in their braces (doubled braces undone)."""
    if not template:
        return
    pieces, piece, inside, at = list[str](), "", False, 0
    while at < len(template):
        char = template[at]
        if template[at : at + 2] in ("{{", "}}"):
            piece += char
            at += 2
            continue
        if char == "{" and not inside:
            if piece:
                pieces.append(piece)
            piece, inside = "{", True
        elif char == "}" and inside:
            pieces.append(piece + "}")
            piece, inside = "", False
        elif char == "/" and not inside:
            yield [*pieces, piece] if piece else pieces
            pieces, piece = [], ""
        else:
            piece += char
        at += 1
    if inside:
        raise TemplateInvalid(f"route {template!r}: a parameter is not closed")
    yield [*pieces, piece] if piece else pieces


def _segment(template: str, pieces: Sequence[str]) -> Segment:
    if not pieces:
        raise TemplateInvalid(f"route {template!r} has an empty segment")
    if len(pieces) == 1:
        text = pieces[0]
        if text.startswith("{"):
            return Segment(parameter=_parameter(template, text[1:-1]))
        return Segment(literal=text.casefold())
    pattern, mixed = "", list[Parameter]()
    for index, text in enumerate(pieces):
        if not text.startswith("{"):
            pattern += re.escape(text)
            continue
        parameter = _parameter(template, text[1:-1])
        if parameter.rest:
            raise TemplateInvalid(f"route {template!r}: a catch-all must be a whole segment")
        part = f"(?P<p{len(mixed)}>.+)"
        if parameter.optional:
            if index != len(pieces) - 1 or pieces[index - 1] != ".":
                raise TemplateInvalid(
                    f"route {template!r}: {parameter.name} may only be optional after a dot"
                )
            pattern = pattern.removesuffix(re.escape(".")) + f"(?:{re.escape('.')}{part})?"
        else:
            pattern += part
        mixed.append(parameter)
    return Segment(mixture=re.compile(pattern, re.IGNORECASE), mixed=tuple(mixed))


def _parameter(template: str, text: str) -> Parameter:
    optional = text.endswith("?")
    text = text.removesuffix("?")
    match = _NAME.match(text)
    if match is None:
        raise TemplateInvalid(f"route {template!r}: {{{text}}} has no name")
    rest, default, constraints = text[match.end() :], None, list[Constraint]()
    while rest.startswith(":"):
        spelled, rest = _constraint_text(rest[1:])
        constraints.append(_constraint(template, spelled))
    if rest.startswith("="):
        default, rest = rest[1:], ""
    if rest:
        raise TemplateInvalid(f"route {template!r}: {rest!r} is not understood")
    return Parameter(
        name=match["name"],
        constraints=tuple(constraints),
        default=default,
        optional=optional,
        rest=bool(match["stars"]),
    )


def _constraint_text(text: str) -> tuple[str, str]:
    """A constraint, and what follows it: a colon inside its parentheses is its own."""
    depth = 0
    for at, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char in ":=" and depth == 0:
            return text[:at], text[at:]
    return text, ""


def _constraint(template: str, spelled: str) -> Constraint:
    name, _, rest = spelled.partition("(")
    arguments = rest.removesuffix(")")
    try:
        return _CONSTRAINTS[name.casefold()](arguments)
    except KeyError:
        raise TemplateInvalid(f"route {template!r}: there is no constraint {name!r}") from None
    except (ValueError, re.error) as error:
        raise TemplateInvalid(f"route {template!r}: constraint {spelled!r}: {error}") from error


def _whole(bits: int) -> Constraint:
    bound = 1 << (bits - 1)

    def holds(value: str) -> bool:
        return re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII) is not None and -bound <= int(value) < bound

    return holds


def _number(value: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.ASCII | re.IGNORECASE) is not None


def _guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


def _datetime(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _bounds(arguments: str) -> tuple[int, int]:
    low, comma, high = arguments.partition(",")
    return int(low), int(high) if comma else int(low)


def _length(arguments: str) -> Constraint:
    low, high = _bounds(arguments)
    return lambda value: low <= len(value) <= high


def _range(low: int | None, high: int | None) -> Constraint:
    is_long = _whole(64)
    return lambda value: (
        is_long(value) and (low is None or int(value) >= low) and (high is None or int(value) <= high)
    )


def _regex(arguments: str) -> Constraint:
    pattern = re.compile(arguments, re.IGNORECASE)
    return lambda value: pattern.search(value) is not None


def _is_file(value: str) -> bool:
    name = value.rpartition("/")[2]
    return "." in name and not name.endswith(".")


_CONSTRAINTS: Final[Mapping[str, Callable[[str], Constraint]]] = {
    "int": lambda _: _whole(32),
    "long": lambda _: _whole(64),
    "bool": lambda _: lambda value: value.casefold() in ("true", "false"),
    "guid": lambda _: _guid,
    "datetime": lambda _: _datetime,
    "decimal": lambda _: _number,
    "double": lambda _: _number,
    "float": lambda _: _number,
    "alpha": lambda _: lambda value: value.isascii() and value.isalpha(),
    "required": lambda _: lambda value: value != "",
    "file": lambda _: _is_file,
    "nonfile": lambda _: lambda value: not _is_file(value),
    "length": _length,
    "minlength": lambda arguments: (lambda low: lambda value: len(value) >= low)(int(arguments)),
    "maxlength": lambda arguments: (lambda high: lambda value: len(value) <= high)(int(arguments)),
    "min": lambda arguments: _range(int(arguments), None),
    "max": lambda arguments: _range(None, int(arguments)),
    "range": lambda arguments: _range(*_bounds(arguments)),
    "regex": _regex,
}
