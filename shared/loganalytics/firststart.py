"""The first start of a bundle on a laptop: a workspace, its rule, and an operator who may do everything with it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from shared.identity.local_issuer import LocalIssuer
from shared.identity.model import ObjectId, Principal
from shared.identity.sign_in import SignIns
from shared.kernel.ids import derived_id
from shared.loganalytics.datacollectionrules.service import DataCollectionRules
from shared.loganalytics.workspaces.service import Workspaces
from shared.settings import Settings

TOKEN_LIFETIME: Final = timedelta(days=7)
LINK_LIFETIME: Final = timedelta(hours=12)


def first_start(
    settings: Settings,
    *,
    workspaces: Workspaces,
    rules: DataCollectionRules,
    signer: LocalIssuer,
    sign_ins: SignIns,
) -> Mapping[str, str]:
    """What `oms up` writes into its ready file. `portalUrl` is a path with a one-time token."""
    workspace = workspaces.create_default(
        subscription=settings.subscription_id,
        group=settings.resource_group,
        name=settings.default_workspace,
        location=settings.location,
    )
    operator = Principal(
        object_id=ObjectId(derived_id("operator", settings.tenant_id)),
        name="operator",
        tenant=settings.tenant_id,
        # `oms up` gives its operator every right, also those to data that Owner alone does not carry.
        roles=frozenset({"Owner", "Monitoring Metrics Publisher"}),
    )
    return {
        "tenantId": settings.tenant_id,
        "subscriptionId": settings.subscription_id,
        "resourceGroup": workspace.group,
        "location": workspace.location,
        "workspaceName": workspace.name,
        "workspaceId": workspace.customer_id,
        "workspaceKey": workspaces.keys(workspace.customer_id).primary,
        "dataCollectionRule": rules.create_default(workspace).immutable_id,
        "token": signer.issue(operator, audience=settings.base_url, lifetime=TOKEN_LIFETIME),
        "portalUrl": f"/signin?token={sign_ins.make_link(operator, lifetime=LINK_LIFETIME)}",
    }
