"""The management API's common rules: versions, places, preconditions, patches, listings, deletion, rights, records."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import ValidationError

from shared.arm.drafts import (
    InvalidResourceLocation,
    InvalidResourceName,
    InvalidTag,
    LocationNotAvailable,
    LocationRequired,
    merged,
)
from shared.arm.filters import UnsupportedFilter
from shared.arm.management import MethodNotAllowed
from shared.arm.paging import InvalidSkipToken, InvalidTop
from shared.arm.registry import InvalidResourceNamespace, InvalidResourceType
from shared.arm.requests import (
    InvalidApiVersionParameter,
    InvalidRequestContent,
    MissingApiVersionParameter,
)
from shared.arm.resource_ids import parse
from shared.arm.resources import (
    ParentResourceNotFound,
    PreconditionFailed,
    ResourceGroupNotFound,
    ResourceNotFound,
    SubscriptionNotFound,
)
from shared.bootstrap import Services
from shared.identity.model import AuthorizationFailed, ObjectId
from shared.kernel.clock import ManualClock
from shared.kernel.errors import OmsError
from shared.storage.memory import MemoryStorage
from tests.arm.world import OWNER, SUBSCRIPTION, Caller

PROVIDER = "/providers/Microsoft.OperationalInsights/workspaces"


def test_a_request_without_an_api_version_is_refused(caller: Caller):
    with pytest.raises(MissingApiVersionParameter):
        replace(caller, api_version=None).group()
    with pytest.raises(InvalidApiVersionParameter):
        replace(caller, api_version="latest").group()


@pytest.mark.parametrize("version", ["2015-11-01-preview", "2020-08-01", "2031-01-01"])
def test_any_well_formed_api_version_is_accepted(version: str, caller: Caller):
    path = replace(caller, api_version=version).workspace()
    assert replace(caller, api_version=version).call("GET", path).status == 200


def test_a_resource_is_made_with_201_and_changed_with_200(caller: Caller):
    path = f"{caller.group()}{PROVIDER}/ws"
    assert caller.call("PUT", path, {"location": "West Europe"}).status == 201
    assert caller.call("PUT", path, {"location": "westeurope", "tags": {"a": "b"}}).status == 200
    body = caller.body("GET", path.upper())
    assert (body["id"], body["name"], body["type"]) == (
        path,
        "ws",
        "Microsoft.OperationalInsights/workspaces",
    )
    assert (body["location"], body["tags"]) == ("westeurope", {"a": "b"})
    assert body["systemData"]["createdBy"] == "owner"


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", f"/subscriptions/ffff/resourceGroups/rg{PROVIDER}/ws", SubscriptionNotFound),
        ("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/none{PROVIDER}/ws", ResourceGroupNotFound),
        ("PUT", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/none{PROVIDER}/ws", ResourceGroupNotFound),
        ("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/none{PROVIDER}", ResourceGroupNotFound),
        ("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg{PROVIDER}/none", ResourceNotFound),
        ("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg{PROVIDER}/none/usages", ResourceNotFound),
        (
            "GET",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg{PROVIDER}/none/savedSearches",
            ResourceNotFound,
        ),
        (
            "GET",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Nope/x/y",
            InvalidResourceNamespace,
        ),
        (
            "GET",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.OperationalInsights/x/y",
            InvalidResourceType,
        ),
        ("POST", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg{PROVIDER}/none", MethodNotAllowed),
        ("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/none", ResourceGroupNotFound),
    ],
)
def test_what_is_not_there_is_named(method: str, path: str, error: type[Exception], caller: Caller):
    caller.group("rg")
    with pytest.raises(error):
        caller.call(method, path, {"location": "westeurope"})


def test_a_child_needs_its_parent(caller: Caller):
    caller.group()
    search = {"properties": {"category": "c", "displayName": "d", "query": "q"}}
    with pytest.raises(ParentResourceNotFound):
        caller.call(
            "PUT", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg{PROVIDER}/none/savedSearches/s", search
        )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, LocationRequired),
        ({"location": "not/a/place"}, LocationNotAvailable),
        ({"location": 7}, LocationNotAvailable),
        ({"location": "westeurope", "tags": {"a": 1}}, InvalidTag),
        ({"location": "westeurope", "tags": {str(n): "" for n in range(51)}}, InvalidTag),
        ({"location": "westeurope", "tags": {"a<b": "c"}}, InvalidTag),
        ({"location": "westeurope", "properties": []}, InvalidRequestContent),
        ({"location": "westeurope", "properties": {"retentionInDays": 9999}}, ValidationError),
        ({"location": "westeurope", "properties": {"sku": {"name": "Gold"}}}, ValidationError),
        ([], InvalidRequestContent),
    ],
)
def test_a_malformed_body_is_named_and_changes_nothing(body: object, error: type[Exception], caller: Caller):
    path = f"{caller.group()}{PROVIDER}/ws"
    with pytest.raises(error):
        caller.call("PUT", path, body)
    with pytest.raises(ResourceNotFound):
        caller.call("GET", path)


def test_a_resource_stays_where_it_was_made(caller: Caller):
    path = caller.workspace()
    with pytest.raises(InvalidResourceLocation):
        caller.call("PUT", path, {"location": "eastus"})


@pytest.mark.parametrize("name", ["-ws", "w_s", "w.s", "x" * 64])
def test_a_name_that_the_type_does_not_allow_is_refused(name: str, caller: Caller):
    with pytest.raises(InvalidResourceName):
        caller.call("PUT", f"{caller.group()}{PROVIDER}/{name}", {"location": "westeurope"})


def test_if_match_and_if_none_match_hold(caller: Caller):
    path = caller.workspace()
    etag = caller.body("GET", path)["etag"]
    body = {"location": "westeurope"}
    with pytest.raises(PreconditionFailed):
        caller.call("PUT", path, body, headers={"if-none-match": "*"})
    with pytest.raises(PreconditionFailed):
        caller.call("PUT", path, body, headers={"if-match": '"other"'})
    assert caller.call("PUT", path, body, headers={"if-match": etag}).status == 200
    with pytest.raises(PreconditionFailed):
        caller.call("DELETE", path, headers={"if-match": etag})
    with pytest.raises(PreconditionFailed):
        caller.call("PUT", f"{path}2", body, headers={"if-match": "*"})
    assert caller.call("DELETE", path, headers={"if-match": "*"}).status == 200


def test_a_patch_merges_properties_and_replaces_tags(caller: Caller):
    path = caller.workspace(retentionInDays=60)
    caller.call("PATCH", path, {"tags": {"a": "1", "b": "2"}})
    body = caller.body(
        "PATCH", path, {"tags": {"c": "3"}, "properties": {"workspaceCapping": {"dailyQuotaGb": 2}}}
    )
    assert body["tags"] == {"c": "3"}
    assert body["properties"]["retentionInDays"] == 60
    assert body["properties"]["workspaceCapping"]["dailyQuotaGb"] == 2
    with pytest.raises(ResourceNotFound):
        caller.call("PATCH", f"{path}-none", {"tags": {}})


def test_merging_follows_rfc_7396():
    assert merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": None, "e": [4]}, "a": None}) == {
        "b": {"d": 3, "e": [4]}
    }


def test_a_listing_pages_to_the_whole_and_its_continuation_cannot_be_made_up(caller: Caller):
    group = caller.group()
    made = sorted(caller.workspace(f"ws{n:02}").lower() for n in range(7))
    found, query = list[str](), dict[str, str]({"$top": "3"})
    while True:
        body = caller.body("GET", f"{group}{PROVIDER}", query=query)
        assert len(body["value"]) <= 3
        found += [each["id"].lower() for each in body["value"]]
        if "nextLink" not in body:
            break
        query = {name.lower(): value for name, value in parse_qsl(urlsplit(str(body["nextLink"])).query)}
    assert found == made
    with pytest.raises(InvalidSkipToken):
        caller.call("GET", f"{group}{PROVIDER}", query={"$skiptoken": "AAAA"})
    with pytest.raises(InvalidSkipToken):
        # A continuation is for its own listing only.
        caller.call(
            "GET", f"/subscriptions/{SUBSCRIPTION}{PROVIDER}", query={"$skiptoken": query["$skiptoken"]}
        )
    with pytest.raises(InvalidTop):
        caller.call("GET", f"{group}{PROVIDER}", query={"$top": "many"})


def test_a_filter_that_is_not_supported_is_refused_by_name(caller: Caller):
    path = caller.workspace()
    for kind in ("LinuxSyslog", "CustomLog"):
        caller.call("PUT", f"{path}/dataSources/{kind}1", {"kind": kind, "properties": {}})
    body = caller.body("GET", f"{path}/dataSources", query={"$filter": "kind eq 'linuxsyslog'"})
    assert [each["name"] for each in body["value"]] == ["LinuxSyslog1"]
    with pytest.raises(UnsupportedFilter):
        caller.call("GET", f"{path}/dataSources", query={"$filter": "startswith(kind, 'L')"})


def test_deleting_a_group_deletes_all_that_is_in_it_and_nothing_else(caller: Caller, services: Services):
    path, other = caller.workspace("a", group="one"), caller.workspace("b", group="one-more")
    search = {"properties": {"category": "c", "displayName": "d", "query": "q"}}
    caller.call("PUT", f"{path}/savedSearches/s", search)
    customer_id = caller.body("GET", path)["properties"]["customerId"]
    assert caller.call("DELETE", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/one").status == 200
    left = {str(each.id) for each in services.resources.everything(SUBSCRIPTION)}
    assert {each for each in left if "/one/" in f"{each}/"} == set()
    assert other in left
    with pytest.raises(OmsError):
        services.workspaces.keys(customer_id)
    # A group made anew is empty.
    caller.group("one")
    assert caller.body("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/one/resources")["value"] == []


def test_a_deletion_that_stopped_half_way_is_invisible_and_is_finished_by_the_sweep(
    caller: Caller, services: Services, clock: ManualClock
):
    path = caller.workspace("a", group="one")
    group = services.resources.get(parse(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/one"))
    services.resources.bury(group)
    with pytest.raises(ResourceGroupNotFound):
        caller.call("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/one{PROVIDER}")
    clock.advance(60)
    services.management.sweep()
    assert services.resources.find(parse(path)) is None
    assert list(services.resources.everything(SUBSCRIPTION)) == []


def test_a_deletion_beyond_its_budget_is_answered_202_and_ends_while_its_caller_asks(
    caller: Caller, storage: MemoryStorage, clock: ManualClock
):
    for n in range(3):
        caller.workspace(f"ws{n}", group="one")

    def slow(phase: str, operation: str, key: str) -> None:
        if phase == "after" and operation == "table.delete":
            clock.advance(15)

    storage.gate = slow
    begun = caller.call("DELETE", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/one")
    assert begun.status == 202
    status = urlsplit(begun.headers["Azure-AsyncOperation"]).path
    location = urlsplit(begun.headers["Location"]).path
    states = [caller.body("GET", status)["status"] for _ in range(10)]
    assert states[0] == "InProgress"
    assert states[-1] == "Succeeded"
    assert caller.call("GET", location).status == 200
    assert caller.call("HEAD", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/one").status == 404


def test_deleting_what_is_not_there_is_answered_204(caller: Caller):
    assert caller.call("DELETE", f"{caller.group()}{PROVIDER}/none").status == 204


def test_a_group_exists_or_does_not(caller: Caller):
    path = caller.group()
    assert caller.call("HEAD", path).status == 204
    assert caller.call("HEAD", f"{path}-none").status == 404


def test_every_write_leaves_a_record_of_its_start_and_its_end(caller: Caller, services: Services):
    path = caller.workspace()
    with pytest.raises(InvalidResourceLocation):
        caller.call("PUT", path, {"location": "eastus"})
    caller.call("DELETE", path)
    seen = list[tuple[str, str, str]]()
    handed = services.activity.drain(
        lambda activities: seen.extend(
            (each.operation, each.status, each.resource_id) for each in activities if each.resource_id == path
        )
    )
    write, delete = f"{PROVIDER[11:]}/write", f"{PROVIDER[11:]}/delete"
    assert seen == [
        (write, "Start", path),
        (write, "Success", path),
        (write, "Start", path),
        (write, "Failure", path),
        (delete, "Start", path),
        (delete, "Success", path),
    ]
    assert handed == 8
    assert services.activity.drain(lambda _: None) == 0


def test_records_stay_until_they_were_taken(caller: Caller, services: Services):
    caller.group()

    def fails(_: object) -> None:
        raise ConnectionError("ingestion is down")

    with pytest.raises(ConnectionError):
        services.activity.drain(fails)
    assert services.activity.drain(lambda _: None) == 2


def test_a_record_has_only_columns_of_azureactivity(caller: Caller, services: Services):
    caller.group()
    columns = services.tables.require("00000000-0000-0000-0000-00000000aaaa", "AzureActivity").types
    seen = list[set[str]]()
    services.activity.drain(lambda activities: seen.extend(set(each.record()) for each in activities))
    assert seen
    assert all(names <= set(columns) for names in seen)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("Reader", {"GET"}),
        ("Log Analytics Reader", {"GET"}),
        ("Log Analytics Contributor", {"GET", "PATCH", "KEYS", "DELETE"}),
        ("Contributor", {"GET", "PATCH", "KEYS", "DELETE"}),
        ("Monitoring Metrics Publisher", set[str]()),
        ("", set[str]()),
    ],
)
def test_a_role_decides_every_verb(role: str, allowed: set[str], caller: Caller):
    path = caller.workspace()
    one = replace(caller, principal=replace(OWNER, object_id=ObjectId("someone"), roles=frozenset({role})))
    calls = {
        "GET": ("GET", path),
        "KEYS": ("POST", f"{path}/sharedKeys"),
        "PATCH": ("PATCH", path),
        "DELETE": ("DELETE", path),
    }
    done = set[str]()
    for name, (method, target) in calls.items():
        try:
            one.call(method, target, {})
        except AuthorizationFailed:
            continue
        done.add(name)
    assert done == allowed


def test_a_role_assigned_at_a_group_holds_there_only(caller: Caller):
    mine, other = caller.workspace("a", group="mine"), caller.workspace("b", group="other")
    nobody = replace(
        OWNER, object_id=ObjectId("bbbbbbbb-0000-0000-0000-000000000000"), roles=frozenset[str]()
    )
    scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/mine"
    assignment = (
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/11111111-0000-0000-0000-000000000000"
    )
    role = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
    made = caller.call(
        "PUT", assignment, {"properties": {"roleDefinitionId": role, "principalId": nobody.object_id}}
    )
    assert made.status == 201
    as_nobody = replace(caller, principal=nobody)
    assert as_nobody.call("GET", mine).status == 200
    with pytest.raises(AuthorizationFailed):
        as_nobody.call("GET", other)
    listed = caller.body("GET", f"{scope}/providers/Microsoft.Authorization/roleAssignments")["value"]
    assert [each["properties"]["principalId"] for each in listed] == [nobody.object_id]
    assert caller.call("DELETE", assignment).status == 200
    with pytest.raises(AuthorizationFailed):
        as_nobody.call("GET", mine)


def test_a_contributor_cannot_assign_roles(caller: Caller):
    contributor = replace(caller, principal=replace(OWNER, roles=frozenset({"Contributor"})))
    with pytest.raises(AuthorizationFailed):
        contributor.call(
            "PUT",
            f"{caller.group()}/providers/Microsoft.Authorization/roleAssignments/1",
            {"properties": {"roleDefinitionId": "x", "principalId": "y"}},
        )


def test_subscriptions_are_those_the_caller_may_read(caller: Caller):
    assert [each["subscriptionId"] for each in caller.body("GET", "/subscriptions")["value"]] == [
        SUBSCRIPTION
    ]
    nobody = replace(caller, principal=replace(OWNER, object_id=ObjectId("x"), roles=frozenset[str]()))
    assert nobody.body("GET", "/subscriptions")["value"] == []


def test_the_tenant_its_locations_and_its_providers_are_listed(caller: Caller):
    at = f"/subscriptions/{SUBSCRIPTION}"
    assert len(caller.body("GET", "/tenants")["value"]) == 1
    assert "westeurope" in {each["name"] for each in caller.body("GET", f"{at}/locations")["value"]}
    provider = caller.body("GET", f"{at}/providers/microsoft.operationalinsights")
    assert provider["registrationState"] == "Registered"
    assert "workspaces/savedSearches" in {each["resourceType"] for each in provider["resourceTypes"]}
    operations = caller.body("GET", "/providers/Microsoft.OperationalInsights/operations")["value"]
    assert "Microsoft.OperationalInsights/workspaces/sharedKeys/action" in {
        each["name"] for each in operations
    }


def test_the_resources_of_a_subscription_are_found_by_type(caller: Caller):
    path = caller.workspace()
    found = caller.body(
        "GET",
        f"/subscriptions/{SUBSCRIPTION}/resources",
        query={"$filter": "resourceType eq 'microsoft.operationalinsights/workspaces'"},
    )
    assert [each["id"] for each in found["value"]] == [path]
