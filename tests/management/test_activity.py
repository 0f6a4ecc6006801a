"""What is done in the management API is found in the workspace, by the query API; a stored function too."""

from typing import Any

from tests.devhost.running import ask, until
from tests.management.suite import SUBSCRIPTION, Suite

_AT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"


def _run(suite: Suite, function: str) -> None:
    """Run a timer function now."""
    answer = ask(
        suite.port,
        "POST",
        f"/admin/functions/{function}",
        body=b"{}",
        headers=[("x-functions-key", suite.host.keys["master"]), ("content-type", "application/json")],
        tls=suite.tls,
    )
    assert answer.status == 202, answer.body


def _query(suite: Suite, text: str) -> list[list[Any]]:
    answer = suite.ask("POST", f"/v1/workspaces/{suite.made['workspaceId']}/query", {"query": text})
    assert answer.status == 200, answer.body
    return answer.json()["tables"][0]["rows"]


def test_a_write_and_a_refusal_are_found_in_azureactivity_once(suite: Suite):
    group = f"{_AT}/seen?api-version=2022-09-01"
    assert suite.ask("PUT", group, {"location": "westeurope"}).status == 201
    assert suite.ask("PUT", group, {"location": "eastus"}).status == 409
    text = (
        "AzureActivity | where ResourceGroup == 'seen' | sort by TimeGenerated asc "
        "| project OperationNameValue, ActivityStatusValue, ActivitySubstatusValue, Caller"
    )

    def published() -> list[list[Any]] | None:
        _run(suite, "management_activity_publish")
        found = _query(suite, text)
        return found if len(found) >= 4 else None

    rows = until("four records", published)
    write = "MICROSOFT.RESOURCES/RESOURCEGROUPS/WRITE"
    assert rows == [
        [write, "Start", "", "operator"],
        [write, "Success", "201", "operator"],
        [write, "Start", "", "operator"],
        [write, "Failure", "InvalidResourceLocation", "operator"],
    ]
    _run(suite, "management_activity_publish")
    assert _query(suite, text) == rows


def test_a_saved_search_with_an_alias_is_a_function_in_queries(suite: Suite):
    workspace = f"{_AT}/{suite.made['resourceGroup']}/providers/Microsoft.OperationalInsights/workspaces/{suite.made['workspaceName']}"
    body = {
        "properties": {
            "category": "Tests",
            "displayName": "Numbers",
            "query": "range n from 1 to top step 1",
            "functionAlias": "Numbers",
            "functionParameters": "top:long=3",
        }
    }
    answer = suite.ask("PUT", f"{workspace}/savedSearches/numbers?api-version=2020-08-01", body)
    assert answer.status == 200
    assert until("the function is known", lambda: _query(suite, "Numbers(4) | count")) == [[4]]


def test_the_default_rule_is_found_in_the_management_api(suite: Suite):
    path = f"{_AT}/{suite.made['resourceGroup']}/providers/Microsoft.Insights/dataCollectionRules?api-version=2023-03-11"
    ids = [each["properties"]["immutableId"] for each in suite.ask("GET", path).json()["value"]]
    assert suite.made["dataCollectionRule"] in ids
