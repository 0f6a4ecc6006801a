"""Resource ids: read in any case, compared without case, written as they were first spelled."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from shared.kernel.errors import OmsError

_KEPT: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
SEPARATOR: Final = "!"
"""Between the parts of a row key. It sorts before every character of a part, so a parent's children are one range."""


class InvalidResourceId(OmsError):
    code = "InvalidResourceId"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceId:
    """`/subscriptions/{s}[/resourceGroups/{g}]/providers/{namespace}/{type}/{name}[/{type}/{name}…]`.

    A resource group itself has `types` ("resourceGroups",) in the namespace Microsoft.Resources and no providers segment.
    """

    subscription: str
    group: str | None
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def type(self) -> str:
        """`Microsoft.OperationalInsights/workspaces/savedSearches`."""
        return "/".join((self.namespace, *self.types))

    @property
    def type_key(self) -> str:
        return self.type.lower()

    @property
    def is_group(self) -> bool:
        return self.type_key == GROUP_TYPE

    @property
    def parent(self) -> Self | None:
        """The resource that this one is a child of; None at the top."""
        if len(self.types) == 1:
            return None
        return replace(self, types=self.types[:-1], names=self.names[:-1])

    @property
    def scope(self) -> str:
        """The subscription or group that it lies in."""
        at = f"/subscriptions/{self.subscription}"
        return at if self.group is None or self.is_group else f"{at}/resourceGroups/{self.group}"

    @property
    def group_id(self) -> Self | None:
        if self.group is None:
            return None
        return type(self)(
            subscription=self.subscription,
            group=self.group,
            namespace="Microsoft.Resources",
            types=("resourceGroups",),
            names=(self.group,),
        )

    def child(self, type_name: str, name: str) -> Self:
        return replace(self, types=(*self.types, type_name), names=(*self.names, name))

    def __str__(self) -> str:
        if self.is_group:
            return f"{self.scope}/resourceGroups/{self.name}"
        pairs = "/".join(f"{kind}/{name}" for kind, name in zip(self.types, self.names, strict=True))
        return f"{self.scope}/providers/{self.namespace}/{pairs}"

    def same(self, other: "ResourceId | str") -> bool:
        return str(self).lower() == str(other).lower()

    @property
    def partition(self) -> str:
        return self.subscription.lower()

    @property
    def key(self) -> str:
        """`{type path}!{group}!{name}…`, lower-cased and escaped."""
        group = "" if self.is_group else (self.group or "")
        return SEPARATOR.join(
            (type_part(self.namespace, self.types), escape(group), *map(escape, self.names))
        )


GROUP_TYPE: Final = "microsoft.resources/resourcegroups"


def parse(text: str) -> ResourceId:
    """InvalidResourceId, saying what is missing."""
    parts = text.strip().strip("/").split("/")
    if any(not part for part in parts):
        raise InvalidResourceId(f"'{text}' has an empty segment", target="resourceId")
    if "." in parts or ".." in parts:
        # Whoever stands before us may resolve them, and then it would be another resource's id.
        raise InvalidResourceId(f"'{text}' has a segment of dots only", target="resourceId")
    walk = iter(parts)
    if next(walk, "").lower() != "subscriptions" or (subscription := next(walk, "")) == "":
        raise InvalidResourceId(f"'{text}' does not begin with /subscriptions/{{id}}", target="resourceId")
    group, word = None, next(walk, None)
    if word is not None and word.lower() == "resourcegroups":
        group, word = next(walk, ""), next(walk, None)
        if not group:
            raise InvalidResourceId(f"'{text}' names no resource group", target="resourceId")
    if word is None:
        if group is None:
            raise InvalidResourceId(f"'{text}' is a subscription, not a resource", target="resourceId")
        return group_id(subscription, group)
    namespace = next(walk, "")
    if word.lower() != "providers" or not namespace:
        raise InvalidResourceId(f"'{text}' names no resource provider", target="resourceId")
    types, names = _pairs(walk, text)
    return ResourceId(subscription=subscription, group=group, namespace=namespace, types=types, names=names)


def group_id(subscription: str, name: str) -> ResourceId:
    return ResourceId(
        subscription=subscription,
        group=name,
        namespace="Microsoft.Resources",
        types=("resourceGroups",),
        names=(name,),
    )


def _pairs(walk: Iterator[str], text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rest = list(walk)
    if not rest or len(rest) % 2:
        raise InvalidResourceId(f"'{text}' does not end with a type and a name", target="resourceId")
    return tuple(rest[0::2]), tuple(rest[1::2])


def type_part(namespace: str, types: tuple[str, ...]) -> str:
    return ":".join(map(escape, (namespace, *types)))


def escape(text: str) -> str:
    """Lower-cased, and everything but letters, digits and `-._` as `~` and the hex of its UTF-8."""
    return "".join(
        char if char in _KEPT else "".join(f"~{byte:02x}" for byte in char.encode()) for char in text.lower()
    )
