"""Azure's own management clients, unmodified, against the whole bundle, over TLS and over plain http."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.loganalytics import models as la
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient

from tests.management.suite import SUBSCRIPTION, Suite


@pytest.fixture(params=["tls_suite", "plain_suite"], ids=["tls", "plain"])
def suite(request: pytest.FixtureRequest) -> Suite:
    return request.getfixturevalue(request.param)


@pytest.fixture
def logs(suite: Suite) -> Iterator[LogAnalyticsManagementClient]:
    with LogAnalyticsManagementClient(**suite.client_options) as client:
        yield client


@pytest.fixture
def monitor(suite: Suite) -> Iterator[MonitorManagementClient]:
    with MonitorManagementClient(**suite.client_options) as client:
        yield client


@pytest.fixture
def groups(suite: Suite) -> Iterator[ResourceManagementClient]:
    with ResourceManagementClient(**suite.client_options) as client:
        yield client


def _make(logs: LogAnalyticsManagementClient, group: str, name: str = "ws") -> la.Workspace:
    return logs.workspaces.begin_create_or_update(group, name, la.Workspace(location="westeurope")).result()


def test_a_resource_group_lives_and_dies(groups: ResourceManagementClient):
    made = groups.resource_groups.create_or_update("life", {"location": "West Europe", "tags": {"a": "b"}})
    assert (made.name, made.location, made.tags) == ("life", "westeurope", {"a": "b"})
    assert groups.resource_groups.check_existence("life")
    assert groups.resource_groups.update("life", {"tags": {"c": "d"}}).tags == {"c": "d"}
    assert "life" in {each.name for each in groups.resource_groups.list()}
    groups.resource_groups.begin_delete("life").result()
    assert not groups.resource_groups.check_existence("life")


def test_a_workspace_lives_and_dies(logs: LogAnalyticsManagementClient, group: str):
    workspace = la.Workspace(
        location="westeurope",
        tags={"team": "ops"},
        properties=la.WorkspaceProperties(
            sku=la.WorkspaceSku(name="PerGB2018"),
            retention_in_days=90,
            workspace_capping=la.WorkspaceCapping(daily_quota_gb=1.5),
        ),
    )
    made = logs.workspaces.begin_create_or_update(group, "ws", workspace).result()
    assert made.properties is not None
    assert made.properties.customer_id is not None
    assert (made.properties.provisioning_state, made.properties.retention_in_days) == ("Succeeded", 90)
    patched = logs.workspaces.update(
        group, "ws", la.WorkspacePatch(properties=la.WorkspaceProperties(retention_in_days=30))
    )
    assert patched.properties is not None
    assert patched.properties.retention_in_days == 30
    assert patched.properties.customer_id == made.properties.customer_id
    assert patched.tags == {"team": "ops"}
    assert [each.name for each in logs.workspaces.list_by_resource_group(group)] == ["ws"]
    assert made.id in {each.id for each in logs.workspaces.list()}
    logs.workspaces.begin_delete(group, "ws").result()
    with pytest.raises(ResourceNotFoundError):
        logs.workspaces.get(group, "ws")
    logs.workspaces.begin_delete(group, "ws").result()


def test_shared_keys_are_shown_and_regenerated(logs: LogAnalyticsManagementClient, group: str):
    _make(logs, group)
    before = logs.shared_keys.get_shared_keys(group, "ws")
    assert before.primary_shared_key is not None
    assert len(base64.b64decode(before.primary_shared_key)) == 64
    after = logs.shared_keys.regenerate(group, "ws")
    assert after.primary_shared_key != before.primary_shared_key
    assert logs.shared_keys.get_shared_keys(group, "ws").primary_shared_key == after.primary_shared_key


def test_a_custom_table_is_made_widened_and_deleted(logs: LogAnalyticsManagementClient, group: str):
    _make(logs, group)
    columns = [la.Column(name="TimeGenerated", type="dateTime"), la.Column(name="Host", type="string")]
    schema = la.Schema(name="App_CL", columns=columns)
    made = logs.tables.begin_create_or_update(
        group, "ws", "App_CL", la.Table(properties=la.TableProperties(schema=schema, retention_in_days=45))
    ).result()
    assert made.properties is not None
    assert made.properties.schema is not None
    assert made.properties.schema.columns is not None
    assert [(each.name, each.type) for each in made.properties.schema.columns] == [("Host", "string")]
    assert (made.properties.retention_in_days, made.properties.schema.table_type) == (45, "CustomLog")
    wider = la.Schema(name="App_CL", columns=[*columns, la.Column(name="Code", type="int")])
    logs.tables.begin_update(
        group, "ws", "App_CL", la.Table(properties=la.TableProperties(schema=wider))
    ).result()
    again = logs.tables.get(group, "ws", "app_cl")
    assert again.properties is not None
    assert again.properties.schema is not None
    assert {each.name for each in again.properties.schema.columns or ()} == {"Host", "Code"}
    logs.tables.begin_delete(group, "ws", "App_CL").result()
    with pytest.raises(ResourceNotFoundError):
        logs.tables.get(group, "ws", "App_CL")


def test_standard_tables_are_listed_with_their_columns(logs: LogAnalyticsManagementClient, group: str):
    _make(logs, group)
    tables = {each.name: each for each in logs.tables.list_by_workspace(group, "ws")}
    heartbeat = tables["Heartbeat"].properties
    assert heartbeat is not None
    assert heartbeat.schema is not None
    assert {"Computer", "TimeGenerated"} <= {each.name for each in heartbeat.schema.standard_columns or ()}
    assert heartbeat.schema.table_type == "Microsoft"
    with pytest.raises(HttpResponseError) as refused:
        logs.tables.begin_delete(group, "ws", "Heartbeat").result()
    assert refused.value.error is not None
    assert refused.value.error.code == "StandardTableOperationNotAllowed"


def test_a_saved_search_lives_and_dies(logs: LogAnalyticsManagementClient, group: str):
    _make(logs, group)
    search = la.SavedSearch(
        properties=la.SavedSearchProperties(
            category="Ops", display_name="Late", query="Heartbeat | count", function_alias="Late"
        )
    )
    made = logs.saved_searches.create_or_update(group, "ws", "late", search)
    assert made.properties.function_alias == "Late"
    made.properties.query = "Heartbeat | take 1"
    again = logs.saved_searches.create_or_update(group, "ws", "late", made)
    assert again.etag != made.etag
    with pytest.raises(HttpResponseError) as refused:
        logs.saved_searches.create_or_update(group, "ws", "late", made)
    assert refused.value.status_code == 412
    listed = logs.saved_searches.list_by_workspace(group, "ws")
    assert [each.name for each in listed.value or ()] == ["late"]
    logs.saved_searches.delete(group, "ws", "late")
    with pytest.raises(ResourceNotFoundError):
        logs.saved_searches.get(group, "ws", "late")


def test_data_sources_and_linked_services_live_and_die(logs: LogAnalyticsManagementClient, group: str):
    _make(logs, group)
    source = la.DataSource(kind="LinuxSyslog", properties={"syslogName": "kern", "syslogSeverities": []})
    logs.data_sources.create_or_update(group, "ws", "kern", source)
    listed = logs.data_sources.list_by_workspace(group, "ws", filter="kind eq 'LinuxSyslog'")
    assert [each.name for each in listed] == ["kern"]
    logs.data_sources.delete(group, "ws", "kern")
    link = la.LinkedService(properties=la.LinkedServiceProperties(resource_id="/subscriptions/x"))
    made = logs.linked_services.begin_create_or_update(group, "ws", "Automation", link).result()
    assert made.properties is not None
    assert made.properties.provisioning_state == "Succeeded"
    assert [each.name for each in logs.linked_services.list_by_workspace(group, "ws")] == ["Automation"]
    logs.linked_services.begin_delete(group, "ws", "Automation").result()


def test_what_hangs_on_a_workspace_answers_in_the_shapes_the_client_reads(
    logs: LogAnalyticsManagementClient, group: str
):
    _make(logs, group)
    assert [each.name.value for each in logs.usages.list(group, "ws") if each.name] == ["DataAnalyzed"]
    tiers = logs.available_service_tiers.list_by_workspace(group, "ws")
    assert "PerGB2018" in {each.service_tier for each in tiers}
    logs.intelligence_packs.enable(group, "ws", "Updates")
    packs = {each.name: each.enabled for each in logs.intelligence_packs.list(group, "ws")}
    assert packs["Updates"]
    assert packs["LogManagement"]
    logs.intelligence_packs.disable(group, "ws", "Updates")
    assert not {each.name: each.enabled for each in logs.intelligence_packs.list(group, "ws")}["Updates"]
    assert list(logs.management_groups.list(group, "ws")) == []
    assert list(logs.deleted_workspaces.list()) == []
    assert list(logs.storage_insight_configs.list_by_workspace(group, "ws")) == []
    assert list(logs.linked_storage_accounts.list_by_workspace(group, "ws")) == []
    assert list(logs.data_exports.list_by_workspace(group, "ws")) == []
    assert len(list(logs.operations.list())) > 10


def test_a_purge_is_refused_by_name(logs: LogAnalyticsManagementClient, group: str):
    _make(logs, group)
    with pytest.raises(HttpResponseError) as refused:
        logs.workspace_purge.purge(group, "ws", la.WorkspacePurgeBody(table="Heartbeat", filters=[]))
    assert refused.value.error is not None
    assert refused.value.error.code == "PurgeNotSupported"


def test_an_error_reads_as_azures(logs: LogAnalyticsManagementClient):
    with pytest.raises(ResourceNotFoundError) as missing:
        logs.workspaces.get("no-such-group", "ws")
    assert missing.value.error is not None
    assert missing.value.error.code == "ResourceGroupNotFound"


def test_many_workspaces_are_listed_over_several_pages(logs: LogAnalyticsManagementClient, group: str):
    made = {_make(logs, group, f"ws{n}").name for n in range(3)}
    pages = list(logs.workspaces.list_by_resource_group(group, params={"$top": "1"}).by_page())
    assert len(pages) >= 3
    assert {each.name for each in logs.workspaces.list_by_resource_group(group, params={"$top": "1"})} == made


def _sent(body: dict[str, Any]) -> BytesIO:
    return BytesIO(json.dumps(body).encode())


def test_a_data_collection_rule_lives_and_dies(
    logs: LogAnalyticsManagementClient, monitor: MonitorManagementClient, suite: Suite, group: str
):
    workspace = _make(logs, group)
    body: dict[str, Any] = {
        "location": "westeurope",
        "kind": "Direct",
        "properties": {
            "streamDeclarations": {
                "Custom-App": {"columns": [{"name": "TimeGenerated", "type": "datetime"}]}
            },
            "destinations": {"logAnalytics": [{"name": "ws", "workspaceResourceId": workspace.id}]},
            "dataFlows": [
                {
                    "streams": ["Custom-App"],
                    "destinations": ["ws"],
                    "transformKql": "source",
                    "outputStream": "Custom-App_CL",
                }
            ],
        },
    }
    rules = monitor.data_collection_rules
    made = rules.create(group, "rule", _sent(body))
    assert made.immutable_id is not None
    assert made.immutable_id.startswith("dcr-")
    assert len(made.immutable_id) == 36
    assert made.endpoints is not None
    assert made.endpoints.logs_ingestion == suite.url
    assert made.destinations is not None
    assert made.destinations.log_analytics is not None
    assert workspace.properties is not None
    assert made.destinations.log_analytics[0].workspace_id == workspace.properties.customer_id
    assert rules.create(group, "rule", _sent(body)).immutable_id == made.immutable_id
    assert {each.name for each in rules.list_by_resource_group(group)} == {"rule", "ws-default"}
    rules.delete(group, "rule")
    with pytest.raises(ResourceNotFoundError):
        rules.get(group, "rule")


def test_a_rule_to_a_workspace_that_is_not_there_is_refused(monitor: MonitorManagementClient, group: str):
    nowhere = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.OperationalInsights/workspaces/no"
    body: dict[str, Any] = {
        "location": "westeurope",
        "properties": {"destinations": {"logAnalytics": [{"name": "ws", "workspaceResourceId": nowhere}]}},
    }
    with pytest.raises(HttpResponseError, match="does not exist"):
        monitor.data_collection_rules.create(group, "rule", _sent(body))
