"""The real azure-monitor-query clients, sync and async, unmodified against the bundle over plain HTTP and TLS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from devhost.azurite import Azurite
from tests.ingestion.bundle import Bundle, running

CREDENTIAL = """
from datetime import datetime, timedelta, timezone
from azure.core.credentials import AccessToken
class Credential:
    def get_token(self, *scopes, **_): return AccessToken(given["facts"]["token"], 4102444800)
class AsyncCredential:
    async def get_token(self, *scopes, **_): return AccessToken(given["facts"]["token"], 4102444800)
    async def close(self): pass
    async def __aenter__(self): return self
    async def __aexit__(self, *_): pass
more = {} if given["url"].startswith("https") else {"enforce_https": False}
workspace = given["facts"]["workspaceId"]
def table(t): return {"columns": list(t.columns), "types": list(t.columns_types), "rows": [[str(v) for v in row] for row in t.rows]}
"""

SYNC = (
    CREDENTIAL
    + """
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsQueryClient, LogsBatchQuery, LogsQueryStatus
with LogsQueryClient(Credential(), endpoint=given["url"] + "/v1") as client:
    def ask(query, timespan=None, **options):
        return client.query_workspace(workspace, query, timespan=timespan, **options, **more)
    hour = timedelta(hours=1)
    full = ask("Heartbeat | where Computer == 'real' | project TimeGenerated, Computer, n=1, b=true, d=dynamic({'a':1}) | render table",
               hour, include_statistics=True, include_visualization=True, server_timeout=30)
    partial = ask("range i from 1 to 500001 step 1")
    failures = []
    for query in ("Heartbeat | where", "Nope | take 1"):
        try: ask(query)
        except HttpResponseError as error: failures.append([error.status_code, error.error.code, error.message])
    try: client.query_workspace("11111111-2222-3333-4444-555555555555", "print 1", timespan=None, **more); unknown = None
    except HttpResponseError as error: unknown = [error.status_code, error.error.code]
    batch = client.query_batch([
        LogsBatchQuery(workspace_id=workspace, query="print a=1", timespan=None),
        LogsBatchQuery(workspace_id=workspace, query="Heartbeat | whre x", timespan=hour),
        LogsBatchQuery(workspace_id=workspace, query="print a=2", timespan=None),
    ], **more)
    resource = client.query_resource(given["resource"], "Heartbeat | where Computer == 'real' | project Computer", timespan=hour, **more)
    both = ask("Heartbeat | where Computer == 'real' | count", (datetime.now(timezone.utc) - hour, datetime.now(timezone.utc) + hour))
print(json.dumps({
    "full": table(full.tables[0]), "status": str(full.status), "visual": full.visualization["visualization"],
    "statistics": full.statistics["query"]["executionTime"], "partial": [str(partial.status), partial.partial_error.code, len(partial.partial_data[0].rows)],
    "failures": failures, "unknown": unknown, "both": table(both.tables[0])["rows"],
    "batch": [str(getattr(r, "status", "failed")) for r in batch], "resource": table(resource.tables[0])["rows"],
}))
"""
)

ASYNC = (
    CREDENTIAL
    + """
import asyncio
from azure.monitor.query.aio import LogsQueryClient
async def main():
    async with LogsQueryClient(AsyncCredential(), endpoint=given["url"] + "/v1") as client:
        answers = await asyncio.gather(*(client.query_workspace(workspace, f"print n={n}, t=1h", timespan=None, **more) for n in range(8)))
        return [table(answer.tables[0])["rows"] for answer in answers]
print(json.dumps(asyncio.run(main())))
"""
)


@pytest.fixture(scope="module", params=["tls", "plain"])
def bundle(
    request: pytest.FixtureRequest,
    azurite: Azurite,
    unused_accounts: Iterator[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bundle]:
    connection = azurite.connection_string_of(next(unused_accounts))
    with running(tmp_path_factory.mktemp("bundle"), connection, tls=request.param == "tls") as started:
        yield started


def send_heartbeat(bundle: Bundle) -> None:
    rule = bundle.facts["dataCollectionRule"]
    status, _, body = bundle.request(
        "POST",
        f"/dataCollectionRules/{rule}/streams/Microsoft-Heartbeat?api-version=2023-01-01",
        json.dumps([{"Computer": "real"}]).encode(),
        {"authorization": f"Bearer {bundle.facts['token']}", "content-type": "application/json"},
    )
    assert status == 204, body


def test_the_sync_client_gets_tables_partial_answers_and_named_errors(bundle: Bundle) -> None:
    send_heartbeat(bundle)
    facts = bundle.facts
    resource = (
        f"/subscriptions/{facts['subscriptionId']}/resourceGroups/{facts['resourceGroup']}"
        f"/providers/Microsoft.OperationalInsights/workspaces/{facts['workspaceName']}"
    )
    got: dict[str, Any] = bundle.run(SYNC, resource=resource)
    assert got["full"]["columns"] == ["TimeGenerated", "Computer", "n", "b", "d"]
    assert got["full"]["types"] == ["datetime", "string", "long", "bool", "dynamic"]
    assert got["full"]["rows"][0][1:] == ["real", "1", "True", '{"a":1}']
    assert got["status"] == "LogsQueryStatus.SUCCESS"
    assert got["visual"] == "table"
    assert got["statistics"] > 0
    assert got["partial"] == ["LogsQueryStatus.PARTIAL", "PartialError", 500_000]
    assert [failure[:2] for failure in got["failures"]] == [
        [400, "BadArgumentError"],
        [400, "BadArgumentError"],
    ]
    assert got["unknown"] == [404, "PathNotFoundError"]
    assert got["batch"] == ["LogsQueryStatus.SUCCESS", "LogsQueryStatus.FAILURE", "LogsQueryStatus.SUCCESS"]
    assert got["resource"] == [["real"]]
    assert got["both"] == [["1"]]


def test_the_async_client_asks_many_at_once(bundle: Bundle) -> None:
    assert bundle.run(ASYNC) == [[[str(n), "01:00:00"]] for n in range(8)]
