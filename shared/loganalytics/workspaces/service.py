"""Workspaces as the rest of Log Analytics asks for them: by customer id, with their keys."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from secrets import token_bytes
from threading import Lock
from typing import Any, Final, Literal

from shared.arm.resource_ids import ResourceId, group_id, parse
from shared.arm.resources import Resource, ResourceExists
from shared.arm.store import ResourceStore
from shared.identity.secrets import SecretBox
from shared.identity.shared_keys import KEY_BYTES, InvalidSignature, KeyPair, new_key
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, random_id
from shared.kernel.versions import check_version
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.workspaces.model import (
    DEFAULT_RETENTION_DAYS,
    NAMESPACE,
    NO_CAP,
    TYPES,
    Backend,
    Workspace,
    WorkspaceNotFound,
)
from shared.storage.ports import Row, RowChanged, RowNotFound, Storage, Table

TABLE: Final = "omsworkspaces"
VERSION: Final = 1
KEEP_SECONDS: Final = 30.0
RECHECK_SECONDS: Final = 2.0
_ROW: Final = "workspace"

KeyName = Literal["primary", "secondary"]


@dataclass(slots=True, kw_only=True)
class Workspaces:
    """Lookups are kept for 30 seconds: a change in another process is seen by then, one in this process at once."""

    storage: Storage
    resources: ResourceStore
    box: SecretBox
    clock: Clock
    new_id: NewId = random_id
    random: Callable[[int], bytes] = token_bytes
    _kept: dict[str, tuple[float, Workspace]] = field(default_factory=dict[str, tuple[float, Workspace]])
    _kept_keys: dict[str, tuple[float, KeyPair]] = field(default_factory=dict[str, tuple[float, KeyPair]])
    _lock: Lock = field(default_factory=Lock)

    def by_customer_id(self, customer_id: str) -> Workspace:
        """The workspace that agents and queries name by GUID, in any case. WorkspaceNotFound."""
        key, now = customer_id.strip().lower(), self.clock.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        row = self._index(key)
        resource = self.resources.find(parse(str(row.values["resourceId"])))
        # The row of a workspace whose creation never finished, or that was deleted and made anew, names no live one.
        if resource is None or str(resource.properties.get("customerId", "")).lower() != key:
            raise _unknown(customer_id)
        workspace = workspace_of(resource)
        with self._lock:
            self._kept[key] = (now, workspace)
        return workspace

    def by_resource_id(self, resource_id: str) -> Workspace:
        """WorkspaceNotFound."""
        resource = self.resources.find(parse(resource_id))
        if resource is None or not is_workspace(resource.id):
            raise WorkspaceNotFound(f"the workspace {resource_id} could not be found", target=resource_id)
        return workspace_of(resource)

    def list(self, subscription: str | None = None, group: str | None = None) -> Iterator[Workspace]:
        found = (
            self.resources.of_type(NAMESPACE, TYPES)
            if subscription is None
            else self.resources.list(subscription=subscription, namespace=NAMESPACE, types=TYPES, group=group)
        )
        return map(workspace_of, found)

    def keys(self, customer_id: str) -> KeyPair:
        """The shared keys, base64. WorkspaceNotFound."""
        key, now = customer_id.strip().lower(), self.clock.monotonic()
        with self._lock:
            kept = self._kept_keys.get(key)
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        pair = self._open(self._index(key))
        with self._lock:
            self._kept_keys[key] = (now, pair)
        return pair

    def check(self, customer_id: str, check: Callable[[KeyPair], None]) -> None:
        """Let `check` judge a signature by the shared keys. WorkspaceNotFound, and what `check` raises.

        Before keys that were kept refuse a caller they are read afresh, for another process may have made a new one;
        at most once in two seconds, so that bad signatures do not become reads of the storage.
        """
        pair = self.keys(customer_id)
        try:
            check(pair)
        except InvalidSignature:
            fresh = self._keys_anew(customer_id)
            if fresh in (None, pair):
                raise
            check(fresh)

    def _keys_anew(self, customer_id: str) -> KeyPair | None:
        key, now = customer_id.strip().lower(), self.clock.monotonic()
        with self._lock:
            kept = self._kept_keys.get(key)
            if kept is not None and now - kept[0] < RECHECK_SECONDS:
                return None
            self._kept_keys.pop(key, None)
        return self.keys(customer_id)

    def regenerate_key(self, customer_id: str, which: KeyName) -> KeyPair:
        """A new key in place of one; the other stays good. WorkspaceNotFound."""
        key = customer_id.strip().lower()
        while True:
            row = self._index(key)
            version = int(str(row.values[f"{which}Version"])) + 1
            sealed = self.box.seal(
                new_key(self.random(KEY_BYTES)).encode(), path=_path(key, which), version=version
            )
            try:
                written = self._table.replace(row, {**row.values, which: sealed, f"{which}Version": version})
            except RowChanged:
                continue
            self.forget(key)
            return self._open(written)

    def prepare(self) -> WorkspaceId:
        """A customer id for a workspace about to be made. Nothing is stored yet: `enroll` does that, before the resource."""
        return WorkspaceId(self.new_id())

    def enroll(self, customer_id: WorkspaceId, resource_id: ResourceId) -> None:
        """Make the keys and the way from the customer id to the resource. Harmless where no resource follows, or done twice."""
        values: dict[str, Any] = {
            "v": VERSION,
            "resourceId": str(resource_id),
            "primaryVersion": 1,
            "secondaryVersion": 1,
        }
        for which in ("primary", "secondary"):
            values[which] = self.box.seal(
                new_key(self.random(KEY_BYTES)).encode(), path=_path(customer_id, which), version=1
            )
        try:
            self._index(customer_id)
        except WorkspaceNotFound:
            self._table.insert(customer_id, _ROW, values)

    def retire(self, customer_id: str) -> None:
        """Forget the keys of a workspace that is gone."""
        self._table.delete(customer_id.lower(), _ROW)
        self.forget(customer_id)

    def create_default(
        self, *, subscription: str, group: str, name: str, location: str, by: str = "oms"
    ) -> Workspace:
        """The first workspace and its resource group. Doing it again finds them."""
        at = group_id(subscription, group)
        self._ensure(Resource(id=at, location=location, properties={"provisioningState": "Succeeded"}), by)
        resource_id = ResourceId(
            subscription=subscription, group=group, namespace=NAMESPACE, types=TYPES, names=(name,)
        )
        known = self.resources.find(resource_id)
        if known is not None:
            return workspace_of(known)
        customer_id = self.prepare()
        self.enroll(customer_id, resource_id)
        made = Resource(
            id=resource_id,
            location=location,
            properties=new_properties({}, customer_id=customer_id, at=self.clock.now().isoformat()),
        )
        return workspace_of(self._ensure(made, by))

    def forget(self, customer_id: str) -> None:
        """Drop what is kept of it: it was changed through the management API."""
        with self._lock:
            self._kept.pop(customer_id.lower(), None)
            self._kept_keys.pop(customer_id.lower(), None)

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)

    def _ensure(self, resource: Resource, by: str) -> Resource:
        try:
            return self.resources.insert(resource, by=by)
        except ResourceExists:
            return self.resources.get(resource.id)

    def _index(self, key: str) -> Row:
        try:
            row = self._table.get(key, _ROW)
        except RowNotFound:
            raise _unknown(key) from None
        except OmsError as refused:
            if refused.category is Category.INVALID:  # an id that cannot even be a key
                raise _unknown(key) from None
            raise
        check_version(f"workspace {key}", row.values.get("v"), current=VERSION)
        return row

    def _open(self, row: Row) -> KeyPair:
        def opened(which: KeyName) -> str:
            return self.box.open(
                str(row.values[which]),
                path=_path(row.partition, which),
                version=int(str(row.values[f"{which}Version"])),
            ).decode()

        return KeyPair(primary=opened("primary"), secondary=opened("secondary"))


def is_workspace(resource_id: ResourceId) -> bool:
    return resource_id.type_key == f"{NAMESPACE}/workspaces".lower()


def workspace_of(resource: Resource) -> Workspace:
    """The domain's view of the ARM resource."""
    properties = resource.properties
    capping: Mapping[str, Any] = properties.get("workspaceCapping") or {}
    sku: Mapping[str, Any] = properties.get("sku") or {}
    quota = capping.get("dailyQuotaGb", NO_CAP)
    workspace = Workspace(
        resource_id=str(resource.id),
        name=resource.id.name,
        customer_id=WorkspaceId(str(properties["customerId"]).lower()),
        subscription=resource.id.subscription,
        group=resource.id.group or "",
        location=resource.location or "",
        retention_days=int(properties.get("retentionInDays") or DEFAULT_RETENTION_DAYS),
        daily_cap_gb=None if quota is None or quota < 0 else float(quota),
        sku=str(sku.get("name", "PerGB2018")),
        public_ingestion=properties.get("publicNetworkAccessForIngestion", "Enabled") == "Enabled",
        public_query=properties.get("publicNetworkAccessForQuery", "Enabled") == "Enabled",
        created=None if resource.stamp is None else resource.stamp.created,
    )
    features: Mapping[str, Any] = properties.get("features") or {}
    if features.get("backend") == Backend.AZURE_MONITOR:
        return replace(
            workspace,
            backend=Backend.AZURE_MONITOR,
            azure_monitor_workspace=str(features.get("azureMonitorWorkspaceId", "")) or None,
        )
    return workspace


def new_properties(asked: Mapping[str, Any], *, customer_id: str, at: str) -> dict[str, Any]:
    """A workspace's properties as they are stored: what was asked for, over what Log Analytics sets by itself."""
    capping = {"quotaNextResetTime": None, "dataIngestionStatus": "RespectQuota", "dailyQuotaGb": NO_CAP}
    asked_capping: Mapping[str, Any] = asked.get("workspaceCapping") or {}
    features = {"legacy": 0, "searchVersion": 1, "enableLogAccessUsingOnlyResourcePermissions": True}
    asked_features: Mapping[str, Any] = asked.get("features") or {}
    return {
        "publicNetworkAccessForIngestion": "Enabled",
        "publicNetworkAccessForQuery": "Enabled",
        "retentionInDays": DEFAULT_RETENTION_DAYS,
        "createdDate": at,
        **asked,
        "sku": {"name": "PerGB2018", "lastSkuUpdate": at, **(asked.get("sku") or {})},
        "features": features | dict(asked_features),
        "workspaceCapping": {
            key: value for key, value in (capping | dict(asked_capping)).items() if value is not None
        },
        "customerId": customer_id,
        "provisioningState": "Succeeded",
        "modifiedDate": at,
    }


def _path(customer_id: str, which: str) -> str:
    return f"workspaces/{customer_id}/{which}Key"


def _unknown(customer_id: str) -> WorkspaceNotFound:
    return WorkspaceNotFound(
        "The requested path does not exist: no workspace has this id", target=customer_id
    )
