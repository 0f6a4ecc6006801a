"""Which resource types there are, and which one a path means."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.arm.declarations import Operation, ResourceType, Route
from shared.arm.resource_ids import InvalidResourceId, ResourceId
from shared.kernel.errors import Category, OmsError


class InvalidResourceNamespace(OmsError):
    category = Category.NOT_FOUND
    code = "InvalidResourceNamespace"


class InvalidResourceType(OmsError):
    category = Category.NOT_FOUND
    code = "InvalidResourceType"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A path that names one resource."""

    type: ResourceType
    id: ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A path that names all resources of a type, in a subscription, a group or under a parent."""

    type: ResourceType
    subscription: str
    group: str | None
    parent: ResourceId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operated:
    """A path that goes on beyond a resource: `rest` is matched against its type's operations."""

    type: ResourceType
    id: ResourceId
    rest: tuple[str, ...]


Target = Item | Collection | Operated


@dataclass(slots=True)
class Registry:
    """Filled by `bootstrap`: each service hands in its declarations."""

    _types: dict[str, ResourceType] = field(default_factory=dict[str, ResourceType])
    _routes: list[Route] = field(default_factory=list[Route])

    def add(self, *declared: ResourceType) -> None:
        for each in declared:
            key = each.type.lower()
            if key in self._types:
                raise ValueError(f"{each.type} is declared twice")
            self._types[key] = each

    def route(self, *routes: Route) -> None:
        self._routes.extend(routes)

    def type_of(self, resource_id: ResourceId) -> ResourceType:
        """InvalidResourceType, InvalidResourceNamespace."""
        return self._require(resource_id.namespace, resource_id.types)

    def known(self, resource_id: ResourceId) -> ResourceType | None:
        return self._types.get(resource_id.type_key)

    def types(self) -> Iterator[ResourceType]:
        return iter(self._types.values())

    def routes(self, method: str, segments: Sequence[str]) -> Iterator[tuple[Route, Mapping[str, str]]]:
        for route in self._routes:
            if route.method == method and (params := match(route.template, segments)) is not None:
                yield route, params

    def target(self, segments: Sequence[str]) -> Target:
        """What the segments of `/subscriptions/…` mean. InvalidResourceType, InvalidResourceNamespace, InvalidResourceId."""
        subscription, group, rest = segments[1], None, list(segments[2:])
        if rest and rest[0].lower() == "resourcegroups":
            if len(rest) == 1:
                return Collection(
                    type=self._require("Microsoft.Resources", ("resourceGroups",)),
                    subscription=subscription,
                    group=None,
                    parent=None,
                )
            group, rest = rest[1], rest[2:]
            if not rest:
                return self._item(subscription, group, "Microsoft.Resources", ["resourceGroups", group])
        if len(rest) < 3 or rest[0].lower() != "providers":
            raise InvalidResourceId(f"'/{'/'.join(segments)}' names no resource", target="/".join(segments))
        return self._below(subscription, group, rest[1], rest[2:])

    def operation(
        self, declared: ResourceType, method: str, rest: Sequence[str]
    ) -> tuple[Operation, Mapping[str, str]] | None:
        for operation in declared.operations:
            if operation.method == method and (params := match(operation.template, rest)) is not None:
                return operation, params
        return None

    def _below(self, subscription: str, group: str | None, namespace: str, path: Sequence[str]) -> Target:
        types, names = tuple(path[0::2]), tuple(path[1::2])
        if (declared := self._find(namespace, types)) is not None:
            if len(path) % 2 == 0:
                return self._item(subscription, group, namespace, path)
            parent = self._id(subscription, group, namespace, path[:-1]) if len(path) > 1 else None
            return Collection(type=declared, subscription=subscription, group=group, parent=parent)
        for length in range(len(path) - len(path) % 2, 0, -2):
            declared = self._find(namespace, tuple(path[0:length:2]))
            if declared is not None and self._takes(declared, path[length:]):
                return Operated(
                    type=declared,
                    id=self._id(subscription, group, namespace, path[:length]),
                    rest=tuple(path[length:]),
                )
        self._require(namespace, types)
        raise InvalidResourceType(f"'{'/'.join(names)}' is not found", target=namespace)

    def _takes(self, declared: ResourceType, rest: Sequence[str]) -> bool:
        return bool(rest) and any(match(each.template, rest) is not None for each in declared.operations)

    def _item(self, subscription: str, group: str | None, namespace: str, path: Sequence[str]) -> Item:
        found = self._id(subscription, group, namespace, path)
        return Item(type=self._require(namespace, found.types), id=found)

    def _id(self, subscription: str, group: str | None, namespace: str, path: Sequence[str]) -> ResourceId:
        declared = self._require(namespace, tuple(path[0::2]))
        # Types are spelled as declared, names as the caller spells them.
        return ResourceId(
            subscription=subscription,
            group=group,
            namespace=declared.namespace,
            types=declared.types,
            names=tuple(path[1::2]),
        )

    def _find(self, namespace: str, types: Sequence[str]) -> ResourceType | None:
        return self._types.get("/".join((namespace, *types)).lower())

    def _require(self, namespace: str, types: Sequence[str]) -> ResourceType:
        if (declared := self._find(namespace, types)) is not None:
            return declared
        if not any(each.namespace.lower() == namespace.lower() for each in self._types.values()):
            raise InvalidResourceNamespace(
                f"The resource namespace '{namespace}' is invalid.", target=namespace
            )
        raise InvalidResourceType(
            f"The resource type '{'/'.join(types)}' could not be found in the namespace '{namespace}'.",
            target="/".join((namespace, *types)),
        )


def match(template: str, segments: Iterable[str]) -> Mapping[str, str] | None:
    """The braces of the template as the segments fill them; None where they do not fit. Words match in any case."""
    wanted, given = template.strip("/").split("/"), list(segments)
    if len(wanted) != len(given):
        return None
    params: dict[str, str] = {}
    for want, have in zip(wanted, given, strict=True):
        if want.startswith("{"):
            params[want.strip("{}")] = have
        elif want.lower() != have.lower():
            return None
    return params


def fill(template: str, params: Mapping[str, str]) -> str:
    """The template with its braces filled."""
    return "/".join(
        params[part.strip("{}")] if part.startswith("{") else part for part in template.split("/")
    )
