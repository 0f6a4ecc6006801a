"""What lies above resources: subscriptions, tenants, locations, providers, everything in a group, and `/metadata/endpoints`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.arm.declarations import Location, ResourceType, Route, RouteCall
from shared.arm.envelopes import envelope
from shared.arm.filters import compile_filter
from shared.arm.management import ManagementApi
from shared.arm.registry import InvalidResourceNamespace
from shared.arm.requests import ArmResponse
from shared.arm.resource_ids import group_id
from shared.arm.resources import ResourceGroupNotFound
from shared.arm.subscriptions import Subscription

# Azure's public regions, so that templates and clients that name one find it.
_REGIONS: Final[Mapping[str, str]] = {
    "australiaeast": "Australia East",
    "brazilsouth": "Brazil South",
    "canadacentral": "Canada Central",
    "centralindia": "Central India",
    "centralus": "Central US",
    "eastasia": "East Asia",
    "eastus": "East US",
    "eastus2": "East US 2",
    "francecentral": "France Central",
    "germanywestcentral": "Germany West Central",
    "japaneast": "Japan East",
    "koreacentral": "Korea Central",
    "northcentralus": "North Central US",
    "northeurope": "North Europe",
    "norwayeast": "Norway East",
    "southafricanorth": "South Africa North",
    "southcentralus": "South Central US",
    "southeastasia": "Southeast Asia",
    "swedencentral": "Sweden Central",
    "switzerlandnorth": "Switzerland North",
    "uaenorth": "UAE North",
    "uksouth": "UK South",
    "ukwest": "UK West",
    "westcentralus": "West Central US",
    "westeurope": "West Europe",
    "westus": "West US",
    "westus2": "West US 2",
    "westus3": "West US 3",
}
_READ: Final = "Microsoft.Resources/subscriptions/read"
_SUBSCRIPTION: Final = "/subscriptions/{subscriptionId}"
_GROUP: Final = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The routes above resources. `location` is the bundle's own region."""

    api: ManagementApi
    tenant_id: str
    location: str

    def routes(self) -> list[Route]:
        read = "Microsoft.Resources/subscriptions/resourceGroups/read"
        providers = "Microsoft.Resources/subscriptions/providers/read"
        register = "Microsoft.Resources/subscriptions/providers/register/action"
        operations = f"{_SUBSCRIPTION}/providers/{{namespace}}/locations/{{location}}"
        return [
            Route(method="GET", template="/subscriptions", handle=self._subscriptions),
            Route(method="GET", template="/tenants", handle=self._tenants),
            self._route(_SUBSCRIPTION, self._subscription, _READ),
            self._route(
                f"{_SUBSCRIPTION}/locations",
                self._locations,
                "Microsoft.Resources/subscriptions/locations/read",
            ),
            self._route(
                f"{_SUBSCRIPTION}/resources",
                self._resources,
                "Microsoft.Resources/subscriptions/resources/read",
            ),
            self._route(f"{_GROUP}/resources", self._resources, read, scope=_GROUP),
            self._route(f"{_SUBSCRIPTION}/providers", self._providers, providers),
            self._route(f"{_SUBSCRIPTION}/providers/{{namespace}}", self._provider, providers),
            self._route(
                f"{_SUBSCRIPTION}/providers/{{namespace}}/register", self._provider, register, method="POST"
            ),
            Route(method="GET", template="/providers", handle=self._providers),
            Route(method="GET", template="/providers/{namespace}", handle=self._provider),
            Route(
                method="GET", template="/providers/{namespace}/operations", handle=self._provider_operations
            ),
            self._route(
                f"{_SUBSCRIPTION}/operationStatuses/{{operationId}}", self.api.operation_status, _READ
            ),
            self._route(
                f"{_SUBSCRIPTION}/operationResults/{{operationId}}", self.api.operation_result, _READ
            ),
            self._route(f"{operations}/operationStatuses/{{operationId}}", self.api.operation_status, _READ),
            self._route(f"{operations}/operationResults/{{operationId}}", self.api.operation_result, _READ),
        ]

    def _route(
        self,
        template: str,
        handle: Callable[[RouteCall], ArmResponse],
        action: str,
        *,
        method: str = "GET",
        scope: str = _SUBSCRIPTION,
    ) -> Route:
        return Route(method=method, template=template, handle=handle, action=action, scope=scope)

    def _subscriptions(self, call: RouteCall) -> ArmResponse:
        """Those that the caller may read, as Azure answers."""
        access, who = self.api.access, call.request.principal
        found = [
            each
            for each in self.api.subscriptions.list()
            if access.allows(who, _READ, f"/subscriptions/{each.id}")
        ]
        return ArmResponse(
            status=200,
            body={
                "value": [self._shown(each) for each in found],
                "count": {"type": "Total", "value": len(found)},
            },
        )

    def _subscription(self, call: RouteCall) -> ArmResponse:
        found = self.api.subscriptions.get(call.params["subscriptionId"])
        return ArmResponse(status=200, body=self._shown(found))

    def _shown(self, subscription: Subscription) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{subscription.id}",
            "subscriptionId": subscription.id,
            "tenantId": self.tenant_id,
            "displayName": subscription.name,
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
            "managedByTenants": [],
        }

    def _tenants(self, call: RouteCall) -> ArmResponse:
        del call
        shown = {
            "id": f"/tenants/{self.tenant_id}",
            "tenantId": self.tenant_id,
            "displayName": "OMS",
            "defaultDomain": "oms.local",
            "tenantType": "AAD",
        }
        return ArmResponse(status=200, body={"value": [shown]})

    def _locations(self, call: RouteCall) -> ArmResponse:
        subscription = call.params["subscriptionId"]
        named = {self.location: _REGIONS.get(self.location, self.location.capitalize())} | dict(_REGIONS)
        return ArmResponse(
            status=200,
            body={
                "value": [
                    {
                        "id": f"/subscriptions/{subscription}/locations/{name}",
                        "name": name,
                        "type": "Region",
                        "displayName": shown,
                        "regionalDisplayName": shown,
                        "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
                    }
                    for name, shown in named.items()
                ]
            },
        )

    def _resources(self, call: RouteCall) -> ArmResponse:
        subscription, group = call.params["subscriptionId"], call.params.get("group")
        if group is not None and self.api.resources.find(group_id(subscription, group)) is None:
            raise ResourceGroupNotFound(f"Resource group '{group}' could not be found.", target=group)
        text = call.request.query.get("$filter")
        passes = (
            compile_filter(
                text,
                {
                    "resourceType": lambda each: each.id.type,
                    "name": lambda each: each.id.name,
                    "resourceGroup": lambda each: each.id.group or "",
                    "location": lambda each: each.location or "",
                },
            )
            if text
            else None
        )
        found = (
            self.api.resources.under(subscription, group)
            if group is not None
            else self.api.resources.everything(subscription)
        )
        value = [
            {name: part for name, part in envelope(declared, each).items() if name != "properties"}
            for each in found
            if (declared := self.api.registry.known(each.id)) is not None
            and self._is_listed(declared)
            and (passes is None or passes(each))
        ]
        return ArmResponse(status=200, body={"value": value})

    def _is_listed(self, declared: ResourceType) -> bool:
        """Tracked resources: not groups, not children."""
        return declared.location is not Location.NONE and declared.types != ("resourceGroups",)

    def _providers(self, call: RouteCall) -> ArmResponse:
        namespaces = dict.fromkeys(each.namespace for each in self.api.registry.types())
        return ArmResponse(
            status=200, body={"value": [self._provider_shown(each, call.params) for each in namespaces]}
        )

    def _provider(self, call: RouteCall) -> ArmResponse:
        wanted = call.params["namespace"]
        for declared in self.api.registry.types():
            if declared.namespace.lower() == wanted.lower():
                return ArmResponse(status=200, body=self._provider_shown(declared.namespace, call.params))
        raise InvalidResourceNamespace(f"The resource namespace '{wanted}' is invalid.", target=wanted)

    def _provider_shown(self, namespace: str, params: Mapping[str, str]) -> dict[str, Any]:
        subscription = params.get("subscriptionId")
        locations = [_REGIONS.get(self.location, self.location), *_REGIONS.values()]
        shown: dict[str, Any] = {
            "namespace": namespace,
            "registrationState": "Registered",
            "registrationPolicy": "RegistrationRequired",
            "resourceTypes": [
                {
                    "resourceType": "/".join(each.types),
                    "locations": locations if each.location is not Location.NONE else [],
                    "apiVersions": list(each.api_versions),
                    "capabilities": "SupportsTags, SupportsLocation"
                    if each.location is not Location.NONE
                    else "None",
                }
                for each in self.api.registry.types()
                if each.namespace == namespace
            ],
        }
        if subscription is not None:
            shown["id"] = f"/subscriptions/{subscription}/providers/{namespace}"
        return shown

    def _provider_operations(self, call: RouteCall) -> ArmResponse:
        wanted = call.params["namespace"].lower()
        names = [
            name
            for each in self.api.registry.types()
            if each.namespace.lower() == wanted
            for name in (
                f"{each.type}/read",
                f"{each.type}/write",
                f"{each.type}/delete",
                *(f"{each.type}/{operation.action}" for operation in each.operations),
            )
        ]
        if not names:
            raise InvalidResourceNamespace(f"The resource namespace '{wanted}' is invalid.", target=wanted)
        value = [{"name": name, "display": _display(name)} for name in dict.fromkeys(names)]
        return ArmResponse(status=200, body={"value": value})


def metadata_endpoints(*, origin: str, tenant: str) -> dict[str, Any]:
    """`/metadata/endpoints`, from which `az cloud register` learns a cloud. Needs no token; one object from 2022-09-01 on."""
    return {
        "name": "OMS",
        "portal": f"{origin}/",
        "authentication": {
            "loginEndpoint": f"{origin}/",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": tenant,
            "identityProvider": "AAD",
        },
        "media": "",
        "graphAudience": "https://graph.microsoft.com/",
        "graph": f"{origin}/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "activeDirectoryDataLake": "",
        "batch": "",
        "resourceManager": f"{origin}/",
        "gallery": f"{origin}/",
        "vmImageAliasDoc": "",
        "sqlManagement": "",
        "logAnalyticsResourceId": "https://api.loganalytics.io",
        "logAnalyticsEndpoint": f"{origin}/v1",
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io",
            "sqlServerHostname": "database.windows.net",
        },
    }


def _display(name: str) -> dict[str, str]:
    provider, *rest = name.split("/")
    return {"provider": provider, "resource": "/".join(rest[:-1]), "operation": rest[-1], "description": name}
