"""Azure's built-in roles as data: their names, their well-known ids, and the action patterns they carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`actions` may contain `*`, which matches across slashes. `data_actions` are about records, not resources."""

    id: str
    name: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()


_COMMON: Final = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
)
_JOB: Final = "Microsoft.Automation/automationAccounts/jobs"
_OI: Final = "Microsoft.OperationalInsights"
_VAULTS: Final = "Microsoft.RecoveryServices/vaults"
_ITEMS: Final = f"{_VAULTS}/backupFabrics/protectionContainers/protectedItems"
_FABRICS: Final = f"{_VAULTS}/replicationFabrics"
_REPLICATED: Final = f"{_FABRICS}/replicationProtectionContainers/replicationProtectedItems"

# Names, ids and actions: learn.microsoft.com/azure/role-based-access-control/built-in-roles
_ROLES: Final = (
    Role(id="8e3af657-a8ff-443c-a75c-2fe8c4bcb635", name="Owner", actions=("*",)),
    Role(
        id="b24988ac-6180-42a0-ab88-20f7382dd24c",
        name="Contributor",
        actions=("*",),
        not_actions=(
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ),
    ),
    Role(id="acdd72a7-3385-48ef-bd42-f606fba81ae7", name="Reader", actions=("*/read",)),
    Role(
        id="92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        name="Log Analytics Contributor",
        actions=(
            "*/read",
            "Microsoft.Automation/automationAccounts/*",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Insights/dataCollectionRules/*",
            "Microsoft.Insights/dataCollectionRuleAssociations/*",
            "Microsoft.Insights/diagnosticSettings/*",
            f"{_OI}/*",
            "Microsoft.OperationsManagement/*",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourcegroups/deployments/*",
            "Microsoft.Storage/storageAccounts/listKeys/action",
            "Microsoft.Support/*",
        ),
    ),
    Role(
        id="73c42c96-874c-492b-b04d-ab87d138a893",
        name="Log Analytics Reader",
        actions=(
            "*/read",
            f"{_OI}/workspaces/analytics/query/action",
            f"{_OI}/workspaces/search/action",
            "Microsoft.Support/*",
        ),
        not_actions=(f"{_OI}/workspaces/sharedKeys/read",),
    ),
    Role(
        id="749f88d5-cbae-40b8-bcfc-e573ddc772fa",
        name="Monitoring Contributor",
        actions=(
            "*/read",
            "Microsoft.AlertsManagement/*",
            "Microsoft.Insights/*",
            f"{_OI}/workspaces/write",
            f"{_OI}/workspaces/intelligencepacks/*",
            f"{_OI}/workspaces/savedSearches/*",
            f"{_OI}/workspaces/search/action",
            f"{_OI}/workspaces/sharedKeys/action",
            f"{_OI}/workspaces/storageinsightconfigs/*",
            "Microsoft.OperationsManagement/solutions/write",
            "Microsoft.Support/*",
        ),
    ),
    Role(
        id="43d0d8ad-25c7-4714-9337-8ba259a9fe05",
        name="Monitoring Reader",
        actions=("*/read", f"{_OI}/workspaces/search/action", "Microsoft.Support/*"),
    ),
    Role(
        id="3913510d-42f4-4e42-8a64-420c390055eb",
        name="Monitoring Metrics Publisher",
        actions=(
            "Microsoft.Insights/Register/Action",
            "Microsoft.Support/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        data_actions=("Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"),
    ),
    Role(
        id="f353d9bd-d4a6-484e-a77a-8050b599b867",
        name="Automation Contributor",
        actions=(
            *_COMMON,
            "Microsoft.Automation/automationAccounts/*",
            "Microsoft.Insights/ActionGroups/*",
            "Microsoft.Insights/ActivityLogAlerts/*",
            "Microsoft.Insights/MetricAlerts/*",
            "Microsoft.Insights/ScheduledQueryRules/*",
            "Microsoft.Insights/diagnosticSettings/*",
            f"{_OI}/workspaces/sharedKeys/action",
        ),
    ),
    Role(
        id="d3881f73-407a-4167-8283-e981cbba0404",
        name="Automation Operator",
        actions=(
            *_COMMON,
            "Microsoft.Automation/automationAccounts/hybridRunbookWorkerGroups/read",
            f"{_JOB}/read",
            f"{_JOB}/resume/action",
            f"{_JOB}/stop/action",
            f"{_JOB}/suspend/action",
            f"{_JOB}/write",
            f"{_JOB}/streams/read",
            f"{_JOB}/output/read",
            "Microsoft.Automation/automationAccounts/jobSchedules/read",
            "Microsoft.Automation/automationAccounts/jobSchedules/write",
            "Microsoft.Automation/automationAccounts/linkedWorkspace/read",
            "Microsoft.Automation/automationAccounts/read",
            "Microsoft.Automation/automationAccounts/runbooks/read",
            "Microsoft.Automation/automationAccounts/schedules/read",
            "Microsoft.Automation/automationAccounts/schedules/write",
            "Microsoft.ResourceHealth/availabilityStatuses/read",
        ),
    ),
    Role(
        id="4fe576fe-1146-4730-92eb-48519fa6bf9f",
        name="Automation Job Operator",
        actions=(
            *_COMMON,
            "Microsoft.Automation/automationAccounts/hybridRunbookWorkerGroups/read",
            f"{_JOB}/read",
            f"{_JOB}/resume/action",
            f"{_JOB}/stop/action",
            f"{_JOB}/streams/read",
            f"{_JOB}/suspend/action",
            f"{_JOB}/write",
            f"{_JOB}/output/read",
        ),
    ),
    Role(
        id="5fb5aef8-1081-4b8e-bb16-9d5d0385bab5",
        name="Automation Runbook Operator",
        actions=(*_COMMON, "Microsoft.Automation/automationAccounts/runbooks/read"),
    ),
    Role(
        id="5e467623-bb1f-42f4-a55d-6e525e11384b",
        name="Backup Contributor",
        actions=(
            *_COMMON,
            f"{_VAULTS}/*",
            "Microsoft.RecoveryServices/locations/*",
            "Microsoft.RecoveryServices/operations/read",
            "Microsoft.Storage/storageAccounts/read",
            "Microsoft.Compute/virtualMachines/read",
            "Microsoft.Compute/virtualMachines/instanceView/read",
        ),
        not_actions=(
            f"{_FABRICS}/*/write",
            f"{_FABRICS}/*/delete",
            f"{_FABRICS}/*/action",
            f"{_VAULTS}/replicationPolicies/write",
            f"{_VAULTS}/replicationPolicies/delete",
            f"{_VAULTS}/replicationRecoveryPlans/*/action",
            f"{_VAULTS}/replicationRecoveryPlans/write",
            f"{_VAULTS}/replicationRecoveryPlans/delete",
        ),
    ),
    Role(
        id="00c29273-979b-4161-815c-10b084fb9324",
        name="Backup Operator",
        actions=(
            *_COMMON,
            f"{_VAULTS}/read",
            f"{_VAULTS}/*/read",
            f"{_VAULTS}/backupFabrics/operationResults/*",
            f"{_VAULTS}/backupFabrics/refreshContainers/*",
            f"{_ITEMS}/backup/action",
            f"{_ITEMS}/write",
            f"{_ITEMS}/recoveryPoints/provisionInstantItemRecovery/action",
            f"{_ITEMS}/recoveryPoints/revokeInstantItemRecovery/action",
            f"{_ITEMS}/recoveryPoints/restore/action",
            f"{_ITEMS}/recoveryPoints/accessToken/action",
            f"{_VAULTS}/backupFabrics/protectionContainers/write",
            f"{_VAULTS}/backupFabrics/protectionContainers/inquire/action",
            f"{_VAULTS}/backupFabrics/backupProtectionIntent/write",
            f"{_VAULTS}/backupJobs/*",
            f"{_VAULTS}/backupJobsExport/action",
            f"{_VAULTS}/backupValidateOperation/action",
            f"{_VAULTS}/certificates/write",
            f"{_VAULTS}/extendedInformation/write",
            f"{_VAULTS}/registeredIdentities/write",
            f"{_VAULTS}/usages/read",
            "Microsoft.RecoveryServices/locations/*",
            "Microsoft.RecoveryServices/operations/read",
        ),
    ),
    Role(
        id="a795c7a0-d4a2-40c1-ae25-d81f01202912",
        name="Backup Reader",
        actions=(
            "Microsoft.Authorization/*/read",
            f"{_VAULTS}/read",
            f"{_VAULTS}/*/read",
            "Microsoft.RecoveryServices/locations/*/read",
            "Microsoft.RecoveryServices/operations/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
    ),
    Role(
        id="6670b86e-a3f7-4917-ac9b-5d6ab1be4567",
        name="Site Recovery Contributor",
        actions=(
            *_COMMON,
            f"{_VAULTS}/read",
            f"{_VAULTS}/certificates/write",
            f"{_VAULTS}/extendedInformation/*",
            f"{_VAULTS}/refreshContainers/read",
            f"{_VAULTS}/registeredIdentities/*",
            f"{_VAULTS}/replicationAlertSettings/*",
            f"{_VAULTS}/replicationEvents/read",
            f"{_FABRICS}/*",
            f"{_VAULTS}/replicationJobs/*",
            f"{_VAULTS}/replicationPolicies/*",
            f"{_VAULTS}/replicationRecoveryPlans/*",
            f"{_VAULTS}/replicationVaultSettings/*",
            f"{_VAULTS}/replicationOperationStatus/read",
            f"{_VAULTS}/storageConfig/*",
            f"{_VAULTS}/tokenInfo/read",
            f"{_VAULTS}/usages/read",
            f"{_VAULTS}/vaultTokens/read",
            f"{_VAULTS}/monitoringAlerts/*",
            f"{_VAULTS}/monitoringConfigurations/notificationConfiguration/read",
            "Microsoft.RecoveryServices/locations/allocatedStamp/read",
            "Microsoft.RecoveryServices/locations/allocateStamp/action",
            "Microsoft.Storage/storageAccounts/read",
            "Microsoft.Network/virtualNetworks/read",
        ),
    ),
    Role(
        id="494ae006-db33-4328-bf46-533a6560a3ca",
        name="Site Recovery Operator",
        actions=(
            *_COMMON,
            f"{_VAULTS}/read",
            f"{_VAULTS}/*/read",
            f"{_FABRICS}/checkConsistency/action",
            f"{_FABRICS}/reassociateGateway/action",
            f"{_FABRICS}/renewcertificate/action",
            f"{_FABRICS}/replicationProtectionContainers/switchprotection/action",
            f"{_REPLICATED}/applyRecoveryPoint/action",
            f"{_REPLICATED}/failoverCommit/action",
            f"{_REPLICATED}/plannedFailover/action",
            f"{_REPLICATED}/repairReplication/action",
            f"{_REPLICATED}/reProtect/action",
            f"{_REPLICATED}/testFailover/action",
            f"{_REPLICATED}/testFailoverCleanup/action",
            f"{_REPLICATED}/unplannedFailover/action",
            f"{_REPLICATED}/updateMobilityService/action",
            f"{_FABRICS}/replicationRecoveryServicesProviders/refreshProvider/action",
            f"{_VAULTS}/replicationJobs/*",
            f"{_VAULTS}/replicationRecoveryPlans/failoverCommit/action",
            f"{_VAULTS}/replicationRecoveryPlans/plannedFailover/action",
            f"{_VAULTS}/replicationRecoveryPlans/reProtect/action",
            f"{_VAULTS}/replicationRecoveryPlans/testFailover/action",
            f"{_VAULTS}/replicationRecoveryPlans/testFailoverCleanup/action",
            f"{_VAULTS}/replicationRecoveryPlans/unplannedFailover/action",
            f"{_VAULTS}/monitoringAlerts/*",
            "Microsoft.RecoveryServices/locations/allocatedStamp/read",
            "Microsoft.RecoveryServices/locations/allocateStamp/action",
        ),
    ),
    Role(
        id="dbaa88c4-0c30-4179-9fb3-46319faa6149",
        name="Site Recovery Reader",
        actions=(
            "Microsoft.Authorization/*/read",
            f"{_VAULTS}/read",
            f"{_VAULTS}/*/read",
            "Microsoft.RecoveryServices/locations/allocatedStamp/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
    ),
)


def _spelling(name: str) -> str:
    return name.replace(" ", "").lower()


BY_ID: Final[Mapping[str, Role]] = {role.id: role for role in _ROLES}
# An app role's value may not contain a space, so `LogAnalyticsReader` in a token is `Log Analytics Reader`.
_BY_NAME: Final[Mapping[str, Role]] = {_spelling(role.name): role for role in _ROLES}


def role_named(name: str) -> Role | None:
    """By name, with or without its spaces, in any case. None: a role that Azure has and we do not, or none at all."""
    return _BY_NAME.get(_spelling(name))
