"""What a deleted workspace or table leaves: nothing of its own, everything of others'."""

import pytest

from shared.arm.resource_ids import parse
from shared.bootstrap import Services
from shared.loganalytics.datacollectionrules.model import RuleNotFound
from shared.loganalytics.logstore.catalogue import SEGMENTS, STAGED
from shared.loganalytics.logstore.model import WorkspaceId
from tests.arm.world import Caller


def _write(services: Services, workspace: WorkspaceId, computer: str) -> None:
    services.record_writer.write(workspace, "Heartbeat", [{"Computer": computer}])


def _id_of(services: Services, path: str) -> WorkspaceId:
    return services.workspaces.by_resource_id(str(parse(path))).customer_id


def _blobs(services: Services, workspace: WorkspaceId) -> list[str]:
    return [
        blob.name
        for container in (STAGED, SEGMENTS)
        for blob in services.storage.blobs(container).list()
        if workspace in blob.name
    ]


def test_deleting_a_workspace_removes_its_records_and_leaves_the_others(caller: Caller, services: Services):
    doomed, kept = caller.workspace("doomed"), caller.workspace("kept")
    ids = [_id_of(services, path) for path in (doomed, kept)]
    for each in ids:
        _write(services, each, "web-1")
        assert _blobs(services, each)
    caller.call("DELETE", doomed)
    assert _blobs(services, ids[0]) == []
    assert list(services.storage.table("omslogs").query(ids[0])) == []
    assert _blobs(services, ids[1])
    assert services.workspaces.by_customer_id(ids[1]).name == "kept"


def test_a_deleted_table_starts_anew_without_its_records(caller: Caller, services: Services):
    path = caller.workspace()
    workspace = _id_of(services, path)
    schema = {"schema": {"name": "App_CL", "columns": [{"name": "Host", "type": "string"}]}}
    caller.call("PUT", f"{path}/tables/App_CL", {"properties": schema})
    services.record_writer.write(workspace, "App_CL", [{"Host": "web-1"}])
    assert services.log_store.catalogue.read(workspace).tail("App_CL")
    assert caller.call("DELETE", f"{path}/tables/App_CL").status == 200
    caller.call("PUT", f"{path}/tables/App_CL", {"properties": schema})
    assert not services.log_store.catalogue.read(workspace).tail("App_CL")


def test_a_workspaces_default_rule_goes_with_it(caller: Caller, services: Services):
    path = caller.workspace()
    rule = services.data_collection_rules.create_default(services.workspaces.by_resource_id(path))
    assert services.resources.find(parse(rule.resource_id)) is not None
    caller.call("DELETE", path)
    assert services.resources.find(parse(rule.resource_id)) is None
    with pytest.raises(RuleNotFound):
        services.data_collection_rules.by_immutable_id(rule.immutable_id)
