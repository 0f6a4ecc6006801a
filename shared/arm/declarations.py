"""How a resource type is declared, once: its verbs, status codes, checks, hooks and operations."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from pydantic import BaseModel

from shared.arm.requests import ArmRequest, ArmResponse
from shared.arm.resource_ids import ResourceId
from shared.arm.resources import Resource

NAME: Final = re.compile(r"[A-Za-z0-9_.()~!@$^+ -]{1,260}")


class Verb(StrEnum):
    GET = "GET"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    LIST = "LIST"


class Location(StrEnum):
    """Whether a type has a place: tracked resources must name one, children have none."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """What the type's clients accept; they refuse every other code, so these come from the SDKs' own sources."""

    created: int = 201
    updated: int = 200
    patched: int = 200
    deleted: int = 200
    absent: int = 204  # a DELETE of what is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A write under way. `resource` is as asked for; `known` is what is there, None for a new one."""

    resource: Resource
    known: Resource | None
    request: ArmRequest
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation beside the verbs. `resource` is the one it is about, `params` the braces of its template."""

    request: ArmRequest
    id: ResourceId
    resource: Resource
    params: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`POST …/{name}/sharedKeys` and the like. `template` follows the resource; `action` completes its permission."""

    method: str
    template: str
    action: str  # "sharedKeys/action", "usages/read"
    handle: Callable[[Call], ArmResponse]

    @property
    def writes(self) -> bool:
        """Whether it changes anything, and so belongs in the activity log."""
        return self.method != "GET" and not self.action.endswith("/read")


def _same(draft: Draft) -> Resource:
    return draft.resource


def _nothing(resource: Resource) -> None:
    """Nobody else needs to know."""


def _as_stored(resource: Resource) -> Resource:
    return resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a type adds to the generic verbs. All may be called again for the same write.

    `prepare` turns what was asked for into what is stored (or raises); `written` and `deleted` follow the write;
    `shown` makes the answer of what is stored.
    """

    prepare: Callable[[Draft], Resource] = _same
    written: Callable[[Resource], None] = _nothing
    deleted: Callable[[Resource], None] = _nothing
    shown: Callable[[Resource], Resource] = _as_stored


class Backing(Protocol):
    """Keeps resources of a type that has a home of its own, such as a workspace's tables."""

    def get(self, resource_id: ResourceId) -> Resource:
        """ResourceNotFound."""
        ...

    def list(self, parent: ResourceId) -> Iterable[Resource]: ...

    def put(self, draft: Draft) -> Resource: ...

    def delete(self, resource: Resource) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """`types` is the path of type names; `properties` checks the body's `properties` and drops nothing from them."""

    namespace: str
    types: tuple[str, ...]
    verbs: frozenset[Verb] = frozenset(Verb)
    location: Location = Location.NONE
    statuses: Statuses = field(default_factory=Statuses)
    name: re.Pattern[str] = NAME
    properties: type[BaseModel] | None = None
    hooks: Hooks = field(default_factory=Hooks)
    operations: Sequence[Operation] = ()
    filters: Mapping[str, Callable[[Resource], str]] = field(
        default_factory=dict[str, Callable[[Resource], str]]
    )
    body_etag: bool = False  # an `etag` in the body counts as If-Match
    has_etag: bool = False  # the envelope shows one
    extra: Sequence[str] = ("kind", "sku", "identity", "managedBy", "plan")
    backing: Backing | None = None
    api_versions: Sequence[str] = ("2025-07-01", "2023-09-01", "2022-10-01", "2020-08-01")

    @property
    def type(self) -> str:
        return "/".join((self.namespace, *self.types))


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCall:
    """A call of a route that is no resource: `params` are the braces of its template."""

    request: ArmRequest
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A fixed path of the management API. `action` None: any caller whose token holds."""

    method: str
    template: str
    handle: Callable[[RouteCall], ArmResponse]
    action: str | None = None
    scope: str = "/"  # a template too


def collection(items: Iterable[Any]) -> dict[str, Any]:
    """`{value: […]}` in one page."""
    return {"value": list(items)}
