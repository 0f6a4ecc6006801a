"""`Microsoft.OperationalInsights/workspaces` in the management API: the resource, its keys, and what hangs on it."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from shared.arm.declarations import (
    Call,
    Draft,
    Hooks,
    Location,
    Operation,
    ResourceType,
    Route,
    RouteCall,
    Statuses,
    Verb,
    collection,
)
from shared.arm.envelopes import instant
from shared.arm.requests import ArmResponse, InvalidRequestContent
from shared.arm.resources import Resource, ResourceExists
from shared.arm.store import ResourceStore
from shared.identity.shared_keys import KeyPair
from shared.kernel.errors import OmsError
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.workspaces.model import (
    DEFAULT_RETENTION_DAYS,
    MAX_RETENTION_DAYS,
    NAMESPACE,
    TYPES,
    Workspace,
)
from shared.loganalytics.workspaces.service import Workspaces, new_properties, workspace_of
from shared.loganalytics.workspaces.wire import WorkspaceWire

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PACKS: Final[Mapping[str, str]] = {
    "AgentHealthAssessment": "Agent Health",
    "AzureActivity": "Activity Log Analytics",
    "AzureAutomation": "Automation Hybrid Worker",
    "Backup": "Backup",
    "ChangeTracking": "Change Tracking",
    "LogManagement": "Log Management",
    "Security": "Security and Audit",
    "SiteRecovery": "Site Recovery",
    "Updates": "System Update Assessment",
}
_ALWAYS: Final = "LogManagement"
_PACK: Final = "intelligencePacks"
_TIERS: Final = ("PerGB2018", "Free", "Standalone", "PerNode", "CapacityReservation")


class PurgeNotSupported(OmsError):
    """Single records cannot be purged; a table or workspace can be deleted, and retention removes what is old."""

    code = "PurgeNotSupported"


class OperationNotSupported(OmsError):
    code = "OperationNotSupported"


Usage = Callable[[Workspace], float]
"""Bytes that the workspace took in since its daily cap last began anew."""

WorkspaceGone = Callable[[WorkspaceId], None]
"""Removes what somebody keeps of a workspace. May be called again."""

WorkspaceMade = Callable[[Workspace], None]
"""Makes what comes with every workspace. May be called again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceProvider:
    workspaces: Workspaces
    resources: ResourceStore
    usage: Usage
    made: Sequence[WorkspaceMade] = ()
    gone: Sequence[WorkspaceGone] = ()

    def types(self) -> list[ResourceType]:
        post, get = "POST", "GET"
        own = ResourceType(
            namespace=NAMESPACE,
            types=TYPES,
            location=Location.REQUIRED,
            name=_NAME,
            properties=WorkspaceWire,
            has_etag=True,
            extra=("identity",),
            hooks=Hooks(prepare=self._prepare, written=self._written, deleted=self._deleted),
            operations=(
                Operation(method=post, template="sharedKeys", action="sharedKeys/action", handle=self._keys),
                Operation(method=post, template="listKeys", action="listKeys/action", handle=self._keys),
                Operation(
                    method=post,
                    template="regenerateSharedKey",
                    action="regenerateSharedKey/action",
                    handle=self._regenerate,
                ),
                Operation(method=get, template="usages", action="usages/read", handle=self._usages),
                Operation(
                    method=get,
                    template="availableServiceTiers",
                    action="availableservicetiers/read",
                    handle=self._tiers,
                ),
                Operation(method=get, template=_PACK, action="intelligencepacks/read", handle=self._packs),
                Operation(
                    method=post,
                    template=f"{_PACK}/{{pack}}/Enable",
                    action="intelligencepacks/enable/action",
                    handle=lambda call: self._switch(call, enabled=True),
                ),
                Operation(
                    method=post,
                    template=f"{_PACK}/{{pack}}/Disable",
                    action="intelligencepacks/disable/action",
                    handle=lambda call: self._switch(call, enabled=False),
                ),
                Operation(
                    method=get,
                    template="managementGroups",
                    action="managementgroups/read",
                    handle=_empty,
                ),
                Operation(
                    method=get,
                    template="networkSecurityPerimeterConfigurations",
                    action="networkSecurityPerimeterConfigurations/read",
                    handle=_empty,
                ),
                Operation(method=post, template="purge", action="purge/action", handle=_refuse_purge),
                Operation(
                    method=get,
                    template="operations/{purgeId}",
                    action="operations/read",
                    handle=_refuse_purge,
                ),
                *(
                    Operation(method=post, template=name, action=f"{name}/action", handle=_refuse(name))
                    for name in ("failback", "linkedServices/refresh")
                ),
            ),
            api_versions=("2025-07-01", "2025-02-01", "2023-09-01", "2022-10-01", "2021-06-01", "2020-08-01"),
        )
        return [own, *_children()]

    def routes(self) -> list[Route]:
        at = "/subscriptions/{subscriptionId}"
        group = f"{at}/resourceGroups/{{group}}"
        action = f"{NAMESPACE}/deletedWorkspaces/read"
        return [
            Route(
                method="GET",
                template=f"{scope}/providers/{NAMESPACE}/deletedWorkspaces",
                handle=_no_deleted,
                action=action,
                scope=scope,
            )
            for scope in (at, group)
        ]

    def _prepare(self, draft: Draft) -> Resource:
        at, known = instant(draft.at), draft.known
        if known is None:
            customer_id = self.workspaces.prepare()
            self.workspaces.enroll(customer_id, draft.resource.id)
        else:
            customer_id = WorkspaceId(str(known.properties["customerId"]))
        properties = new_properties(
            WorkspaceWire.model_validate(draft.resource.properties).model_dump(
                by_alias=True, exclude_none=True, exclude_unset=True
            )
            | _passed_on(draft.resource.properties),
            customer_id=customer_id,
            at=at,
        )
        if known is not None:
            properties["createdDate"] = known.properties.get("createdDate", at)
        return replace(draft.resource, properties=properties)

    def _written(self, resource: Resource) -> None:
        workspace = workspace_of(resource)
        self.workspaces.forget(workspace.customer_id)
        for follow in self.made:
            follow(workspace)

    def _deleted(self, resource: Resource) -> None:
        customer_id = workspace_of(resource).customer_id
        for forget in self.gone:
            forget(customer_id)
        self.workspaces.retire(customer_id)

    def _keys(self, call: Call) -> ArmResponse:
        return _shown(self.workspaces.keys(workspace_of(call.resource).customer_id))

    def _regenerate(self, call: Call) -> ArmResponse:
        """Both, as Log Analytics does, unless the body names one (`keyType`)."""
        customer_id = workspace_of(call.resource).customer_id
        which = str(call.request.json().get("keyType", "") if call.request.body else "").lower()
        if which not in ("", "primary", "secondary"):
            raise InvalidRequestContent("keyType is Primary or Secondary", target="keyType")
        if which != "secondary":
            self.workspaces.regenerate_key(customer_id, "primary")
        if which != "primary":
            self.workspaces.regenerate_key(customer_id, "secondary")
        return _shown(self.workspaces.keys(customer_id))

    def _usages(self, call: Call) -> ArmResponse:
        workspace = workspace_of(call.resource)
        cap = workspace.daily_cap_gb
        return ArmResponse(
            status=200,
            body=collection(
                [
                    {
                        "name": {"value": "DataAnalyzed", "localizedValue": "Data Analyzed"},
                        "unit": "Bytes",
                        "currentValue": self.usage(workspace),
                        "limit": -1 if cap is None else cap * 1e9,
                        "quotaPeriod": "P1D",
                    }
                ]
            ),
        )

    def _tiers(self, call: Call) -> ArmResponse:
        workspace = workspace_of(call.resource)
        return ArmResponse(
            status=200,
            body=[
                {
                    "serviceTier": tier,
                    "enabled": True,
                    "minimumRetention": DEFAULT_RETENTION_DAYS,
                    "maximumRetention": MAX_RETENTION_DAYS,
                    "defaultRetention": DEFAULT_RETENTION_DAYS,
                    "capacityReservationLevel": 0,
                    "lastSkuUpdate": "" if workspace.created is None else instant(workspace.created),
                }
                for tier in _TIERS
            ],
        )

    def _packs(self, call: Call) -> ArmResponse:
        on = {
            each.id.name.lower()
            for each in self.resources.list(
                subscription=call.id.subscription,
                namespace=NAMESPACE,
                types=(*TYPES, _PACK),
                group=call.id.group,
                parents=call.id.names,
            )
        }
        return ArmResponse(
            status=200,
            body=[
                {"name": name, "enabled": name == _ALWAYS or name.lower() in on, "displayName": title}
                for name, title in _PACKS.items()
            ],
        )

    def _switch(self, call: Call, *, enabled: bool) -> ArmResponse:
        wanted = call.params["pack"].lower()
        name = next((each for each in _PACKS if each.lower() == wanted), None)
        if name is None:
            raise OperationNotSupported(f"there is no intelligence pack '{wanted}'", target=wanted)
        if name == _ALWAYS and not enabled:
            raise OperationNotSupported("LogManagement cannot be disabled", target=name)
        at = call.id.child(_PACK, name)
        if not enabled:
            self.resources.remove(at)
        elif self.resources.find(at) is None:
            with suppress(ResourceExists):  # somebody else enabled it just now
                self.resources.insert(Resource(id=at), by=call.request.principal.name)
        return ArmResponse(status=200)


def _children() -> list[ResourceType]:
    """Kept as they come: nothing in the bundle acts on them yet, apart from data sources, which agents pull."""

    def child(
        name: str, *, extra: Sequence[str] = (), created: int = 200, absent: int = 200, **more: Any
    ) -> ResourceType:
        return ResourceType(
            namespace=NAMESPACE,
            types=(*TYPES, name),
            statuses=Statuses(created=created, absent=absent),
            extra=extra,
            verbs=frozenset(Verb) - {Verb.PATCH},
            has_etag=True,
            **more,
        )

    return [
        child(
            "dataSources",
            extra=("kind",),
            created=201,
            absent=204,
            body_etag=True,
            filters={"kind": _kind},
        ),
        child("linkedServices", created=201, absent=204, hooks=Hooks(prepare=_succeeded)),
        child("linkedStorageAccounts"),
        child("dataExports", created=201, absent=404, hooks=Hooks(prepare=_no_export)),
        child("storageInsightConfigs", created=201, absent=204),
    ]


def _kind(resource: Resource) -> str:
    return str(resource.extra.get("kind", ""))


def _succeeded(draft: Draft) -> Resource:
    return replace(draft.resource, properties={**draft.resource.properties, "provisioningState": "Succeeded"})


def _no_export(draft: Draft) -> Resource:
    raise OperationNotSupported("data export rules are not supported", target=str(draft.resource.id))


def _passed_on(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the model does not know and Log Analytics keeps: feature flags, the replication block and the like."""
    kept = {
        name: properties[name]
        for name in ("forceCmkForQuery", "defaultDataCollectionRuleResourceId")
        if properties.get(name) is not None
    }
    features = properties.get("features")
    if isinstance(features, dict):
        kept["features"] = {
            name: value for name, value in cast("dict[str, Any]", features).items() if value is not None
        }
    return kept


def _shown(keys: KeyPair) -> ArmResponse:
    return ArmResponse(
        status=200, body={"primarySharedKey": keys.primary, "secondarySharedKey": keys.secondary}
    )


def _empty(call: Call) -> ArmResponse:
    del call
    return ArmResponse(status=200, body=collection([]))


def _no_deleted(call: RouteCall) -> ArmResponse:
    """A deleted workspace is gone: there is no soft delete to list."""
    del call
    return ArmResponse(status=200, body=collection([]))


def _refuse_purge(call: Call) -> ArmResponse:
    raise PurgeNotSupported(
        "purging single records is not supported: delete the table, or lower its retention",
        target=str(call.id),
    )


def _refuse(name: str) -> Callable[[Call], ArmResponse]:
    def refuse(call: Call) -> ArmResponse:
        raise OperationNotSupported(f"{name} is not supported", target=str(call.id))

    return refuse
