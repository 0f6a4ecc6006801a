"""Data collection rules and endpoints: in the management API, and by immutable id for ingestion."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Final, cast

from shared.arm.declarations import Draft, Hooks, Location, ResourceType
from shared.arm.resource_ids import ResourceId, parse
from shared.arm.resources import Resource, ResourceExists
from shared.arm.store import ResourceStore
from shared.identity.access import Access
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, random_id
from shared.kernel.versions import check_version
from shared.loganalytics.datacollectionrules.model import Rule, RuleNotFound
from shared.loganalytics.datacollectionrules.wire import RuleWire
from shared.loganalytics.workspaces.model import Workspace, WorkspaceNotFound
from shared.loganalytics.workspaces.service import Workspaces
from shared.storage.ports import Row, RowNotFound, Storage, Table

TABLE: Final = "omsdatacollectionrules"
VERSION: Final = 1
KEEP_SECONDS: Final = 30.0
NAMESPACE: Final = "Microsoft.Insights"
RULES: Final = ("dataCollectionRules",)
ENDPOINTS: Final = ("dataCollectionEndpoints",)
WRITE_DESTINATION: Final = "Microsoft.OperationalInsights/workspaces/write"
_ROW: Final = "rule"
_API_VERSIONS: Final = ("2024-03-11", "2023-03-11", "2022-06-01", "2021-09-01-preview")


class DestinationNotFound(OmsError):
    """A rule's destination is a workspace that is not there."""

    code = "InvalidPayload"


class LinkedAuthorizationFailed(OmsError):
    """The caller may write the resource, but not what it refers to."""

    category = Category.FORBIDDEN
    code = "LinkedAuthorizationFailed"


@dataclass(slots=True, kw_only=True)
class DataCollectionRules:
    """Lookups are kept for 30 seconds, misses are not kept."""

    storage: Storage
    resources: ResourceStore
    workspaces: Workspaces
    access: Access
    clock: Clock
    base_url: str
    new_id: NewId = random_id
    _kept: dict[str, tuple[float, Rule]] = field(default_factory=dict[str, tuple[float, Rule]])
    _lock: Lock = field(default_factory=Lock)

    def types(self) -> list[ResourceType]:
        return [
            ResourceType(
                namespace=NAMESPACE,
                types=RULES,
                location=Location.REQUIRED,
                properties=RuleWire,
                has_etag=True,
                extra=("kind", "identity", "sku"),
                hooks=Hooks(prepare=self._prepare, written=self._forget, deleted=self._deleted),
                api_versions=_API_VERSIONS,
            ),
            ResourceType(
                namespace=NAMESPACE,
                types=ENDPOINTS,
                location=Location.REQUIRED,
                has_etag=True,
                extra=("kind", "identity", "sku"),
                hooks=Hooks(prepare=self._prepare_endpoint),
                api_versions=_API_VERSIONS,
            ),
        ]

    def by_immutable_id(self, immutable_id: str) -> Rule:
        """RuleNotFound."""
        key, now = immutable_id.strip().lower(), self.clock.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        row = self._row(key)
        resource = self.resources.find(parse(str(row.values["resourceId"])))
        if resource is None or str(resource.properties.get("immutableId", "")).lower() != key:
            raise _unknown(immutable_id)
        default_for = row.values.get("defaultFor")
        rule = Rule(
            immutable_id=key,
            resource_id=str(resource.id),
            properties=resource.properties,
            default_for=str(default_for) if default_for else None,
        )
        with self._lock:
            self._kept[key] = (now, rule)
        return rule

    def create_default(self, workspace: Workspace) -> Rule:
        """The rule that comes with a workspace, with an id derived from the workspace's: doing it again finds it."""
        immutable_id = default_rule_id(workspace)
        at = ResourceId(
            subscription=workspace.subscription,
            group=workspace.group,
            namespace=NAMESPACE,
            types=RULES,
            names=(f"{workspace.name}-default",),
        )
        self._enroll(immutable_id, at, default_for=workspace.customer_id)
        properties: dict[str, Any] = {
            "description": "Takes Microsoft-<Table> for every standard table and Custom-<Table>_CL for every custom one.",
            "destinations": {
                "logAnalytics": [
                    {
                        "name": "workspace",
                        "workspaceId": workspace.customer_id,
                        "workspaceResourceId": workspace.resource_id,
                    }
                ]
            },
            "dataFlows": [],
            **self._given(immutable_id),
        }
        made = Resource(id=at, location=workspace.location, properties=properties, extra={"kind": "Direct"})
        known = self.resources.find(at)
        if known is None:
            with suppress(ResourceExists):  # another process was first
                self.resources.insert(made, by="oms")
        elif str(known.properties.get("immutableId")) != immutable_id:
            # The workspace was deleted and made anew, and the rule of the old one is still there.
            self.resources.replace(replace(made, etag=known.etag), by="oms")
            self._forget(known)
        return self.by_immutable_id(immutable_id)

    def delete_default(self, customer_id: str) -> None:
        """The default rule goes with its workspace; one that was made anew under its name stays."""
        immutable_id = _default_id(customer_id)
        try:
            at = parse(str(self._row(immutable_id).values["resourceId"]))
        except RuleNotFound:
            return
        found = self.resources.find(at)
        if found is not None and found.properties.get("immutableId") == immutable_id:
            self.resources.remove(at)
            self._forget(found)
        self._table.delete(immutable_id, _ROW)

    def _prepare(self, draft: Draft) -> Resource:
        known = draft.known
        if known is None:
            immutable_id = f"dcr-{self.new_id().replace('-', '')}"
            self._enroll(immutable_id, draft.resource.id, default_for=None)
        else:
            immutable_id = str(known.properties["immutableId"])
        return replace(
            draft.resource,
            properties=self._resolved(draft) | self._given(immutable_id),
        )

    def _given(self, immutable_id: str) -> dict[str, Any]:
        """What the service sets, whatever the body says."""
        return {
            "immutableId": immutable_id,
            "endpoints": {"logsIngestion": self.base_url, "metricsIngestion": self.base_url},
            "provisioningState": "Succeeded",
        }

    def _prepare_endpoint(self, draft: Draft) -> Resource:
        known = draft.known
        immutable_id = (
            f"dce-{self.new_id().replace('-', '')}" if known is None else known.properties["immutableId"]
        )
        return replace(
            draft.resource,
            properties={
                "networkAcls": {"publicNetworkAccess": "Enabled"},
                **draft.resource.properties,
                "immutableId": immutable_id,
                "configurationAccess": {"endpoint": self.base_url},
                "logsIngestion": {"endpoint": self.base_url},
                "metricsIngestion": {"endpoint": self.base_url},
                "provisioningState": "Succeeded",
            },
        )

    def _resolved(self, draft: Draft) -> dict[str, Any]:
        """With the customer id of each destination, which clients give as a resource id.

        Whoever may send to the rule writes into its destinations, so its author must be allowed to write there.
        DestinationNotFound, LinkedAuthorizationFailed.
        """
        properties, principal = draft.resource.properties, draft.request.principal
        destinations: dict[str, Any] = dict(properties.get("destinations") or {})
        listed = cast("list[dict[str, Any]]", destinations.get("logAnalytics") or [])
        resolved: list[dict[str, Any]] = []
        for each in listed:
            named = each.get("workspaceResourceId")
            try:
                workspace = (
                    self.workspaces.by_resource_id(str(named))
                    if named
                    else self.workspaces.by_customer_id(str(each.get("workspaceId", "")))
                )
            except WorkspaceNotFound:
                raise DestinationNotFound(
                    f"the destination '{each.get('name')}' is a workspace that does not exist",
                    target="properties.destinations.logAnalytics",
                ) from None
            if not self.access.allows(principal, WRITE_DESTINATION, workspace.resource_id):
                raise LinkedAuthorizationFailed(
                    f"The client '{principal.name}' may write the rule, but does not have permission to perform "
                    f"action '{WRITE_DESTINATION}' on the linked scope '{workspace.resource_id}'.",
                    target=workspace.resource_id,
                )
            resolved.append(
                {
                    **each,
                    "workspaceResourceId": workspace.resource_id,
                    "workspaceId": workspace.customer_id,
                }
            )
        if resolved:
            destinations["logAnalytics"] = resolved
        return {**properties, **({"destinations": destinations} if destinations else {})}

    def _enroll(self, immutable_id: str, at: ResourceId, *, default_for: str | None) -> None:
        """The way from the immutable id to the resource, written first: harmless where no resource follows."""
        with suppress(RuleNotFound):
            self._row(immutable_id)  # a newer release's row is refused, not written over
        self._table.upsert(
            immutable_id, _ROW, {"v": VERSION, "resourceId": str(at), "defaultFor": default_for}
        )

    def _forget(self, resource: Resource) -> None:
        with self._lock:
            self._kept.pop(str(resource.properties.get("immutableId", "")).lower(), None)

    def _deleted(self, resource: Resource) -> None:
        self._forget(resource)
        self._table.delete(str(resource.properties["immutableId"]), _ROW)

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)

    def _row(self, key: str) -> Row:
        try:
            row = self._table.get(key, _ROW)
        except RowNotFound:
            raise _unknown(key) from None
        except OmsError as refused:
            if refused.category is Category.INVALID:
                raise _unknown(key) from None
            raise
        check_version(f"data collection rule {key}", row.values.get("v"), current=VERSION)
        return row


def default_rule_id(workspace: Workspace) -> str:
    """`dcr-` and 32 hexadecimal digits."""
    return _default_id(workspace.customer_id)


def _default_id(customer_id: str) -> str:
    return f"dcr-{customer_id.replace('-', '')}"


def _unknown(immutable_id: str) -> RuleNotFound:
    return RuleNotFound(
        f"Data collection rule with immutable Id '{immutable_id[:80]}' not found.", target=immutable_id[:80]
    )
