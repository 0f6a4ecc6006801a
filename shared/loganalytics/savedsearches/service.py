"""Saved searches: in the management API, and as the stored functions that KQL finds by alias."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from pydantic import Field, field_validator

from shared.arm.declarations import Draft, Hooks, ResourceType, Statuses, Verb
from shared.arm.resource_ids import parse
from shared.arm.resources import Resource
from shared.arm.store import ResourceStore
from shared.arm.wire import Wire
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kql.catalog import StoredFunction
from shared.loganalytics.savedsearches.model import SavedSearch
from shared.loganalytics.workspaces.model import NAMESPACE, TYPES, Workspace

KEEP_SECONDS: Final = 5.0
_TYPES: Final = (*TYPES, "savedSearches")


class FunctionAliasTaken(OmsError):
    """Another saved search of the workspace is called by this alias."""

    category = Category.CONFLICT
    code = "FunctionAliasAlreadyExists"


class SavedSearchWire(Wire):
    category: str = Field(min_length=1)
    display_name: str = Field(min_length=1)
    query: str = Field(min_length=1)
    function_alias: str | None = None
    function_parameters: str | None = None

    @field_validator("function_alias")
    @classmethod
    def is_an_identifier(cls, alias: str | None) -> str | None:
        if alias and not (alias.isascii() and alias.isidentifier()):
            raise ValueError(
                "a function alias is letters, digits and underscores, and does not begin with a digit"
            )
        return alias


@dataclass(slots=True, kw_only=True)
class SavedSearches:
    """A change is seen by other processes within five seconds, by this one at once."""

    resources: ResourceStore
    clock: Clock
    _kept: dict[str, tuple[float, Mapping[str, StoredFunction]]] = field(
        default_factory=dict[str, tuple[float, Mapping[str, StoredFunction]]]
    )
    _lock: Lock = field(default_factory=Lock)

    def type(self) -> ResourceType:
        return ResourceType(
            namespace=NAMESPACE,
            types=_TYPES,
            verbs=frozenset(Verb) - {Verb.PATCH},
            statuses=Statuses(created=200, absent=200),
            properties=SavedSearchWire,
            body_etag=True,
            has_etag=True,
            extra=(),
            hooks=Hooks(prepare=self._prepare, written=self._forget, deleted=self._forget),
        )

    def of(self, workspace: Workspace) -> list[SavedSearch]:
        return [_saved(each) for each in self._resources(workspace)]

    def function(self, workspace: Workspace, name: str) -> StoredFunction | None:
        """The function of that alias, in this case."""
        return self.functions(workspace).get(name)

    def functions(self, workspace: Workspace) -> Mapping[str, StoredFunction]:
        """Alias to function."""
        key, now = workspace.resource_id.lower(), self.clock.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        found = {
            saved.function_alias: StoredFunction(
                name=saved.function_alias, parameters=_declared(saved.function_parameters), body=saved.query
            )
            for saved in self.of(workspace)
            if saved.function_alias
        }
        with self._lock:
            self._kept[key] = (now, found)
        return found

    def _resources(self, workspace: Workspace) -> list[Resource]:
        at = parse(workspace.resource_id)
        return list(
            self.resources.list(
                subscription=at.subscription,
                namespace=NAMESPACE,
                types=_TYPES,
                group=at.group,
                parents=at.names,
            )
        )

    def _prepare(self, draft: Draft) -> Resource:
        at = draft.resource.id
        alias = str(draft.resource.properties.get("functionAlias") or "")
        if alias:
            for other in self.resources.list(
                subscription=at.subscription,
                namespace=NAMESPACE,
                types=_TYPES,
                group=at.group,
                parents=at.names[:1],
            ):
                if other.properties.get("functionAlias") == alias and not other.id.same(at):
                    raise FunctionAliasTaken(
                        f"the saved search '{other.id.name}' is called by the alias '{alias}' already",
                        target=alias,
                    )
        return draft.resource

    def _forget(self, resource: Resource) -> None:
        workspace = resource.id.parent
        with self._lock:
            self._kept.pop(str(workspace).lower(), None)


def _saved(resource: Resource) -> SavedSearch:
    properties: Mapping[str, Any] = resource.properties
    return SavedSearch(
        id=resource.id.name,
        category=str(properties.get("category", "")),
        display_name=str(properties.get("displayName", "")),
        query=str(properties.get("query", "")),
        function_alias=str(properties.get("functionAlias") or ""),
        function_parameters=str(properties.get("functionParameters") or ""),
    )


def _declared(parameters: str) -> str:
    """KQL's declaration list: the API has it without its parentheses."""
    text = parameters.strip()
    return "" if not text else text if text.startswith("(") and _closes(text) else f"({text})"


def _closes(text: str) -> bool:
    """Whether the first parenthesis closes at the end: `(a:int)` does, `(a):(b)` does not."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at == len(text) - 1
    return False
