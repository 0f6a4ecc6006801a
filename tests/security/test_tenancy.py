"""Two workspaces in one bundle: what belongs to one is not to be had with what the other gave."""

import json
from email.utils import format_datetime
from pathlib import Path

import pytest

from shared.identity.access import RoleAssignment
from shared.identity.builtin_roles import role_named
from shared.identity.model import Principal
from shared.identity.shared_keys import agent_signature, content_hash, data_collector_signature
from shared.kernel.ids import derived_id
from shared.loganalytics.logstore.catalogue import SEGMENTS, STAGED, TABLE
from shared.loganalytics.workspaces.model import Workspace
from tests.security.bundle import VERSION, Two

READER = "Log Analytics Reader"
KIND = "Microsoft.OperationalInsights/workspaces"
SECRET = "only fabrikam knows"
MACHINE = (
    "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/fabrikam"
    "/providers/Microsoft.Compute/virtualMachines/vm1"
)


def agent_token(two: Two, workspace: Workspace, key: str) -> tuple[int, str]:
    date = format_datetime(two.services.clock.now(), usegmt=True)
    digest = content_hash(b"{}")
    got = two.ask(
        "POST",
        "/operations/agents/token",
        b"{}",
        headers={
            "authorization": f"{workspace.customer_id}; {agent_signature(key, date=date, body_hash=digest)}",
            "x-ms-date": date,
            "x-ms-sha256_content": digest,
        },
    )
    return got.status, str(got.json().get("access_token", ""))


def primary(two: Two, workspace: Workspace) -> str:
    # Another file may have had the host make new keys; this process would see them within half a minute.
    two.services.workspaces.forget(workspace.customer_id)
    return two.services.workspaces.keys(workspace.customer_id).primary


def rule_of(two: Two, workspace: Workspace) -> str:
    return two.services.data_collection_rules.create_default(workspace).immutable_id


def collect(two: Two, workspace: str, key: str, *, path: str = "/api/logs", host: str = "") -> int:
    """The status of a post to the Data Collector."""
    body = json.dumps([{"secret": SECRET}]).encode()
    date = format_datetime(two.services.clock.now(), usegmt=True)
    signature = data_collector_signature(key, length=len(body), content_type="application/json", date=date)
    got = two.ask(
        "POST",
        f"{path}?api-version=2016-04-01",
        body,
        headers={
            "authorization": f"SharedKey {workspace}:{signature}",
            "x-ms-date": date,
            "log-type": "Secrets",
            "content-type": "application/json",
            "x-ms-azureresourceid": MACHINE,
            **({"host": host} if host else {}),
        },
    )
    return got.status


@pytest.fixture(scope="module")
def filled(two: Two) -> Two:
    """The bundle, with a record in the other workspace."""
    assert collect(two, two.theirs.customer_id, primary(two, two.theirs)) == 200
    owner = two.person("Owner", two.theirs)
    assert SECRET in two.query(owner, two.theirs.customer_id, "Secrets_CL").text
    return two


@pytest.fixture(scope="module")
def reader(two: Two) -> Principal:
    return two.person(READER, two.mine)


# Queries.


def test_a_reader_of_one_workspace_queries_that_one(filled: Two, reader: Principal) -> None:
    assert filled.query(reader, filled.mine.customer_id, "print 1").status == 200


@pytest.mark.parametrize("by", ["customer_id", "name", "resource_id"])
def test_another_workspace_is_refused_in_url_body_and_query(by: str, filled: Two, reader: Principal) -> None:
    name = str(getattr(filled.theirs, by))
    asked = [
        filled.query(reader, filled.mine.customer_id, "Secrets_CL", workspaces=[name]),
        filled.query(reader, filled.mine.customer_id, f"workspace('{name}').Secrets_CL"),
        filled.query(reader, filled.mine.customer_id, f"union workspace('{name}').Secrets_CL, Heartbeat"),
        filled.query(
            reader, filled.mine.customer_id, f"union isfuzzy=true workspace('{name}').Secrets_CL, Heartbeat"
        ),
        filled.query(reader, filled.mine.customer_id, f"let t = workspace('{name}').Secrets_CL; t | count"),
    ]
    if not name.startswith("/"):
        asked.append(filled.query(reader, name, "Secrets_CL"))
        asked.append(filled.ask("GET", f"/v1/workspaces/{name}/metadata", principal=reader))
        asked.append(filled.ask("GET", f"/workspaces/{name}/query?query=Secrets_CL", principal=reader))
    assert [got.status for got in asked] == [403] * len(asked)
    assert not any(SECRET in got.text for got in asked)


def test_a_batch_refuses_another_workspace_and_answers_the_rest(filled: Two, reader: Principal) -> None:
    items = [
        {"id": str(n), "workspace": workspace, "body": {"query": query}}
        for n, (workspace, query) in enumerate(
            [
                (filled.mine.customer_id, "print 1"),
                (filled.theirs.customer_id, "Secrets_CL"),
                (filled.theirs.name, "Secrets_CL"),
                (filled.mine.customer_id, f"workspace('{filled.theirs.name}').Secrets_CL"),
            ]
        )
    ]
    got = filled.ask("POST", "/v1/$batch", {"requests": items}, principal=reader)
    assert [each["status"] for each in got.json()["responses"]] == [200, 403, 403, 403]
    assert SECRET not in got.text


def test_a_resource_query_reads_only_workspaces_of_the_caller(filled: Two, reader: Principal) -> None:
    theirs = filled.theirs.resource_id
    assert filled.ask("POST", f"/v1{theirs}/query", {"query": "Secrets_CL"}, principal=reader).status == 403
    machine = f"/v1{MACHINE}/query"
    allowed = filled.ask(
        "POST", machine, {"query": "Secrets_CL"}, principal=filled.person(READER, filled.theirs)
    )
    assert (allowed.status, SECRET in allowed.text) == (200, True)
    assert filled.ask("POST", machine, {"query": "Heartbeat"}, principal=reader).status == 200
    refused = filled.ask("POST", machine, {"query": "Secrets_CL"}, principal=reader)
    assert (refused.status, SECRET in refused.text) == (400, False)
    nobody = filled.person(None, filled.mine)
    assert filled.ask("POST", machine, {"query": "print 1"}, principal=nobody).status == 403


def test_tables_and_functions_of_another_workspace_are_not_even_names(filled: Two, reader: Principal) -> None:
    path = f"{filled.theirs.resource_id}/savedSearches/hidden{VERSION}"
    search = {"category": "c", "displayName": "d", "query": f"print '{SECRET}'", "functionAlias": "hidden"}
    assert filled.operator("PUT", path, {"properties": search}).status in (200, 201)
    assert (
        filled.query(filled.person(READER, filled.theirs), filled.theirs.customer_id, "hidden()").status
        == 200
    )
    for query in ("hidden()", "hidden", "Secrets_CL"):
        assert filled.query(reader, filled.mine.customer_id, query).status == 400
    metadata = filled.ask("GET", f"/v1/workspaces/{filled.mine.customer_id}/metadata", principal=reader).text
    assert "Secrets_CL" not in metadata
    assert "union * | where * has 'fabrikam'"
    found = filled.query(reader, filled.mine.customer_id, "search in (Heartbeat, Syslog) 'fabrikam'")
    assert (found.status, SECRET in found.text) == (200, False)


def test_a_workspace_that_takes_anothers_name_is_not_read_in_its_place(
    filled: Two, reader: Principal
) -> None:
    path = f"/subscriptions/{filled.mine.subscription}/resourceGroups/impostor"
    assert filled.operator("PUT", path + VERSION, {"location": "local"}).status == 201
    path += f"/providers/Microsoft.OperationalInsights/workspaces/{filled.mine.name}"
    assert filled.operator("PUT", path + VERSION, {"location": "local"}).status in (201, 202)
    impostor = filled.services.workspaces.by_resource_id(path)
    got = filled.ask("GET", f"/v1/workspaces/{filled.mine.name}/metadata", principal=reader)
    assert [each["id"] for each in got.json()["workspaces"]] == [filled.mine.customer_id]
    both = filled.person("Owner", f"/subscriptions/{filled.mine.subscription}")
    assert filled.query(both, filled.mine.name, "print 1").status == 403
    assert filled.operator("DELETE", impostor.resource_id + VERSION).status in (200, 202)


# Agents and ingestion.


def test_a_key_signs_for_its_own_workspace_only(two: Two) -> None:
    mine, theirs = primary(two, two.mine), two.theirs.customer_id
    assert agent_token(two, two.mine, mine)[0] == 200
    assert agent_token(two, two.theirs, mine)[0] == 403
    assert collect(two, theirs, mine) == 403
    assert collect(two, theirs, mine, path=f"/ws/{theirs}/api/logs") == 403
    assert collect(two, two.mine.customer_id, mine, path=f"/ws/{theirs}/api/logs") == 403
    assert collect(two, two.mine.customer_id, mine, host=f"{theirs}.ods.opinsights.azure.com") == 403


def test_an_agents_token_sends_to_its_own_rule_and_reads_nothing(two: Two) -> None:
    status, token = agent_token(two, two.mine, primary(two, two.mine))
    assert status == 200
    bearer = {"authorization": f"Bearer {token}"}
    beat = [{"Computer": "m", "TimeGenerated": two.services.clock.now().isoformat()}]

    def send(rule: str) -> int:
        path = f"/dataCollectionRules/{rule}/streams/Microsoft-Heartbeat?api-version=2023-01-01"
        return two.ask("POST", path, beat, headers=bearer).status

    assert send(rule_of(two, two.mine)) == 204
    assert send(rule_of(two, two.theirs)) == 403
    for workspace in (two.mine, two.theirs):
        for path in (
            f"/v1/workspaces/{workspace.customer_id}/query?query=Heartbeat",
            f"/v1/workspaces/{workspace.customer_id}/metadata",
            workspace.resource_id + VERSION,
            "/operations/jobs",
            "/operations/poison",
        ):
            assert two.ask("GET", path, headers=bearer).status == 403, path
        keys = two.ask("POST", f"{workspace.resource_id}/sharedKeys{VERSION}", headers=bearer)
        assert keys.status == 403


def test_an_agent_gets_the_configuration_of_its_own_workspace(two: Two) -> None:
    _, token = agent_token(two, two.mine, primary(two, two.mine))
    bearer = {"authorization": f"Bearer {token}"}
    for asked in ("", f"?workspace={two.theirs.customer_id}", f"?workspaceId={two.theirs.customer_id}"):
        got = two.ask("GET", f"/operations/agents/configuration{asked}", headers=bearer)
        assert got.json()["dataCollectionRule"] == rule_of(two, two.mine)
    since = two.services.clock.now().isoformat()
    for computer in ("m' or true //", 'x" or true //', "\\", 'x\\" | union Secrets_CL //'):
        query = f"/operations/agents/seen?since={since.replace('+', '%2B')}&computer="
        got = two.ask("GET", query + "".join(f"%{byte:02x}" for byte in computer.encode()), headers=bearer)
        assert (got.status, got.json()) == (200, {"seen": False})
    injected = "/operations/agents/seen?computer=m&since=2026-01-01)%20or%20true%20or%20(TimeGenerated%3Cnow("
    assert two.ask("GET", injected, headers=bearer).status == 400


def test_a_person_is_no_agent(two: Two, reader: Principal) -> None:
    for path in (
        "configuration",
        f"seen?since=2026-01-01T00:00:00Z&computer=m&workspace={two.theirs.customer_id}",
    ):
        assert two.ask("GET", f"/operations/agents/{path}", principal=reader).status == 403


def test_an_invitation_is_used_up_and_opens_one_workspace(two: Two) -> None:
    invitation = two.services.agents.invite(two.mine.customer_id)
    joined = two.ask("POST", "/operations/agents/join", {"token": invitation})
    assert joined.json()["workspaceId"] == two.mine.customer_id
    assert two.ask("POST", "/operations/agents/join", {"token": invitation}).status == 401
    person = two.services.identity.sign_ins.make_link(two.person("Owner", "/"))
    refused = two.ask("POST", "/operations/agents/join", {"token": person})
    assert (refused.status, "workspaceKey" in refused.text) == (403, False)


def test_a_rule_sends_only_where_its_author_may_write(two: Two) -> None:
    """Whoever made a rule here that ends in another workspace could write there without a right in it."""
    author = two.person(
        "Log Analytics Contributor", f"/subscriptions/{two.mine.subscription}/resourceGroups/contoso"
    )

    def put(name: str, destination: dict[str, str]) -> int:
        path = (
            f"/subscriptions/{two.mine.subscription}/resourceGroups/contoso"
            f"/providers/Microsoft.Insights/dataCollectionRules/{name}?api-version=2023-03-11"
        )
        body = {
            "location": "local",
            "properties": {
                "destinations": {"logAnalytics": [{"name": "d", **destination}]},
                "dataFlows": [{"streams": ["Microsoft-Heartbeat"], "destinations": ["d"]}],
            },
        }
        return two.ask("PUT", path, body, principal=author).status

    assert put("own", {"workspaceResourceId": two.mine.resource_id}) in (200, 201)
    assert put("foreign", {"workspaceResourceId": two.theirs.resource_id}) == 403
    assert put("foreign", {"workspaceResourceId": two.theirs.resource_id.upper()}) == 403
    assert put("foreign", {"workspaceId": two.theirs.customer_id}) == 403
    assert put("own", {"workspaceResourceId": two.theirs.resource_id}) == 403


# The management API.


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/sharedKeys"),
        ("POST", "/regenerateSharedKey"),
        ("GET", "/tables"),
        ("GET", "/tables/Heartbeat"),
        ("PUT", "/tables/New_CL"),
        ("GET", "/savedSearches"),
        ("PUT", "/savedSearches/x"),
        ("GET", "/usages"),
        ("GET", "/dataSources/x"),
    ],
)
def test_an_owner_of_one_workspace_may_not_manage_the_other(method: str, below: str, two: Two) -> None:
    owner = two.person("Owner", two.mine)
    empty: dict[str, object] = {}
    body = {"location": "local", "properties": empty} if method in ("PUT", "PATCH", "POST") else None
    for path in (
        two.theirs.resource_id + below,
        two.theirs.resource_id.upper().replace("/SUBSCRIPTIONS", "/subscriptions") + below,
        f"/subscriptions/{two.mine.subscription}/resourceGroups/contoso/../fabrikam/providers/{KIND}/theirs{below}",
        f"{two.mine.resource_id}%2f..%2ftheirs{below}",
    ):
        got = two.ask(method, path + VERSION, body, principal=owner)
        assert got.status in (403, 404, 400), (path, got.status, got.text[:300])
        assert primary(two, two.theirs) not in got.text


def test_lists_hold_only_what_the_caller_may_read(two: Two) -> None:
    owner = two.person("Owner", two.mine)
    kind = "providers/Microsoft.OperationalInsights/workspaces"
    for path in (
        f"/subscriptions/{two.mine.subscription}/{kind}",
        f"/subscriptions/{two.mine.subscription}/resources",
    ):
        got = two.ask("GET", path + VERSION, principal=owner)
        assert two.theirs.customer_id not in got.text
        assert two.theirs.resource_id.lower() not in got.text.lower()


def test_an_owner_of_one_workspace_may_not_give_roles_on_the_other(two: Two) -> None:
    owner = two.person("Owner", two.mine)
    role = role_named("Owner")
    assert role is not None
    body = {
        "properties": {
            "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role.id}",
            "principalId": owner.object_id,
        }
    }
    name = "providers/Microsoft.Authorization/roleAssignments/11111111-2222-4333-8444-555555555555?api-version=2022-04-01"
    for scope in (two.theirs.resource_id, f"/subscriptions/{two.mine.subscription}", ""):
        assert two.ask("PUT", f"{scope}/{name}", body, principal=owner).status == 403, scope
    scope = f"{two.mine.resource_id}/../theirs"
    assert two.ask("PUT", f"{scope}/{name}", body, principal=owner).status in (400, 403, 404)
    assert not two.services.identity.access.allows(
        owner, "Microsoft.OperationalInsights/workspaces/write", two.theirs.resource_id
    )


def test_a_role_at_a_workspace_does_not_reach_one_whose_name_begins_alike(two: Two) -> None:
    found = role_named("Owner")
    assert found is not None
    person = two.person(None, two.mine)
    two.services.role_assignments.add(
        RoleAssignment(
            name=derived_id("alike", person.object_id),
            scope=two.theirs.resource_id[:-1],
            role_id=found.id,
            principal_id=person.object_id,
        )
    )
    assert two.query(person, two.theirs.customer_id, "print 1").status == 403


# The portal.


@pytest.mark.parametrize("by", ["customer_id", "name", "resource_id"])
@pytest.mark.parametrize(
    "page",
    [
        "/overview",
        "/logs",
        "/agents",
        "/jobs",
        "/poison",
        "/get-started",
        "/portal/api/ticks",
        "/portal/api/logs/schema",
    ],
)
def test_a_page_about_another_workspace_is_refused(
    page: str, by: str, filled: Two, reader: Principal
) -> None:
    got = filled.ask("GET", f"{page}?workspace={getattr(filled.theirs, by)}", headers=filled.cookie(reader))
    assert got.status == 403, got.text[:300]


def test_a_page_runs_no_query_on_another_workspace(filled: Two, reader: Principal) -> None:
    query = f"workspace('{filled.theirs.name}').Secrets_CL".replace("'", "%27")
    got = filled.ask("GET", f"/logs?run=1&q={query}&span=", headers=filled.cookie(reader))
    assert (got.status, SECRET in got.text) == (200, False)
    assert "InsufficientAccessError" in got.text


def test_jobs_and_poison_messages_of_others_are_not_shown_to_a_reader_of_one(
    filled: Two, reader: Principal
) -> None:
    filled.services.start_compactions()
    theirs = filled.theirs.customer_id
    everyone = filled.ask("GET", "/jobs", headers=filled.cookie(filled.person("Owner", "/")))
    cookie = filled.cookie(reader)
    assert (everyone.status, filled.ask("GET", "/jobs", headers=cookie).status) == (200, 200)
    assert theirs not in filled.ask("GET", "/jobs", headers=cookie).text
    assert filled.ask("GET", "/poison", headers=cookie).status == 403
    assert filled.ask("GET", f"/operations/jobs?scope={theirs}", principal=reader).status == 403


# What is stored.


def test_blobs_cache_files_and_rows_of_records_are_keyed_by_workspace(filled: Two) -> None:
    theirs = filled.theirs.customer_id
    owner = filled.person("Owner", filled.theirs)
    assert filled.query(owner, theirs, "Secrets_CL | count").status == 200
    folder = filled.services.settings.data_dir / "store"
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    holding = [path for path in files if SECRET.encode() in path.read_bytes()]
    assert holding
    assert all(theirs in path.relative_to(folder).parts for path in files if path in holding)
    known = {each.customer_id for each in filled.services.workspaces.list()}
    for container in (STAGED, SEGMENTS):
        names = [blob.name for blob in filled.services.storage.blobs(container).list()]
        assert all(name.split("/")[1] in known for name in names)
    partitions = {row.partition for row in filled.services.storage.table(TABLE).query()}
    assert {partition.partition("|")[0] for partition in partitions} <= known
    assert theirs in {partition.partition("|")[0] for partition in partitions}
