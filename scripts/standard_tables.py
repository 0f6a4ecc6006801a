"""Writes `shared/loganalytics/tables/standard_tables.json` from a listing of Log Analytics' tables: `standard_tables.py SCHEMAS.json`.

The listing maps a table's name to its columns and their types, as learn.microsoft.com/azure/azure-monitor/reference/tables shows them.
"""

import sys
from pathlib import Path
from typing import Final

import orjson

TARGET: Final = Path(__file__).parent.parent / "shared/loganalytics/tables/standard_tables.json"

EVERY_TABLE: Final = {
    "TimeGenerated": "datetime",
    "TenantId": "string",
    "Type": "string",
    "SourceSystem": "string",
    "_ResourceId": "string",
    "_SubscriptionId": "string",
    "_BilledSize": "real",
    "_IsBillable": "string",
}
"""Columns that Log Analytics adds to all tables: learn.microsoft.com/azure/azure-monitor/logs/log-standard-columns."""

MORE_COLUMNS: Final = {
    # The columns that every resource log has; those of a category come with its first record.
    # learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-schema
    "AzureDiagnostics": {
        "ResourceId": "string",
        "Resource": "string",
        "ResourceGroup": "string",
        "ResourceProvider": "string",
        "ResourceType": "string",
        "SubscriptionId": "string",
        "OperationVersion": "string",
        "ResultType": "string",
        "ResultSignature": "string",
        "ResultDescription": "string",
        "DurationMs": "long",
        "CallerIPAddress": "string",
        "Level": "string",
    },
}

SOLUTIONS: Final = {
    "ADAssessmentRecommendation": "ADAssessment",
    "ADReplicationResult": "ADReplication",
    "Alert": "AlertManagement",
    "CommonSecurityLog": "Security",
    "ConfigurationChange": "ChangeTracking",
    "ConfigurationData": "ChangeTracking",
    "ContainerImageInventory": "ContainerInsights",
    "ContainerInventory": "ContainerInsights",
    "ContainerLog": "ContainerInsights",
    "ContainerLogV2": "ContainerInsights",
    "ContainerNodeInventory": "ContainerInsights",
    "DnsEvents": "DnsAnalytics",
    "DnsInventory": "DnsAnalytics",
    "InsightsMetrics": "InfrastructureInsights",
    "KubeEvents": "ContainerInsights",
    "LinuxAuditLog": "Security",
    "NetworkMonitoring": "NetworkMonitoring",
    "OfficeActivity": "SecurityInsights",
    "ProtectionStatus": "AntiMalware",
    "SCCMAssessmentRecommendation": "SCCMAssessment",
    "SCOMAssessmentRecommendation": "SCOMAssessment",
    "SQLAssessmentRecommendation": "SQLAssessment",
    "SecurityBaseline": "Security",
    "SecurityBaselineSummary": "Security",
    "SecurityDetection": "Security",
    "SecurityEvent": "Security",
    "ServiceFabricOperationalEvent": "ServiceFabric",
    "ServiceFabricReliableActorEvent": "ServiceFabric",
    "ServiceFabricReliableServiceEvent": "ServiceFabric",
    "Update": "Updates",
    "UpdateRunProgress": "Updates",
    "UpdateSummary": "Updates",
    "VMBoundPort": "InfrastructureInsights",
    "VMComputer": "InfrastructureInsights",
    "VMConnection": "InfrastructureInsights",
    "VMProcess": "InfrastructureInsights",
    "WindowsEvent": "SecurityInsights",
    "WindowsFirewall": "WindowsFirewall",
    "WireData": "WireData2.0",
}
"""The solution that a table's volume is booked on; all others belong to LogManagement."""

FREE: Final = ("AzureActivity", "Heartbeat", "Operation", "Usage")
"""Not billed, and not held back by the daily cap: learn.microsoft.com/azure/azure-monitor/logs/cost-logs."""


def compile_tables(listing: dict[str, dict[str, str]]) -> bytes:
    """The data file's bytes: stable for the same listing."""
    tables = {
        name: {
            "solution": SOLUTIONS.get(name, "LogManagement"),
            "billable": name not in FREE,
            "columns": EVERY_TABLE | dict(sorted((columns | MORE_COLUMNS.get(name, {})).items())),
        }
        for name, columns in sorted(listing.items())
    }
    return orjson.dumps({"v": 1, "tables": tables}, option=orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    TARGET.write_bytes(compile_tables(orjson.loads(Path(sys.argv[1]).read_bytes())))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
