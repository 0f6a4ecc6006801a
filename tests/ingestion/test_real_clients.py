"""Real clients, unmodified, against the bundle over HTTP and TLS. Each runs in a process of its own, as its users run it."""

import json
from collections.abc import Iterator

import pytest

from devhost.azurite import Azurite
from tests.ingestion.bundle import Bundle, running


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


UPLOAD = """
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.monitor.ingestion import LogsIngestionClient

class Credential:
    def get_token(self, *scopes, **options):
        assert scopes == ("https://monitor.azure.com//.default",) or scopes == ("https://monitor.azure.com/.default",), scopes
        return AccessToken(given["facts"]["token"], 2**31)

options = {} if given["url"].startswith("https") else {"enforce_https": False}
client = LogsIngestionClient(given["url"], Credential())
rule = given["facts"]["dataCollectionRule"]
records = [
    {"TimeGenerated": "2026-11-22T10:00:00.1234567Z", "Computer": given["computer"], "OSType": "Linux", "Version": "x" * 900}
    for _ in range(3000)
]
client.upload(rule, "Microsoft-Heartbeat", records, **options)
failed = []
client.upload(rule, "Custom-Nope_CL", [{"a": 1}], on_error=lambda error: failed.append(error), **options)
try:
    client.upload(rule, "Custom-Nope_CL", [{"a": 1}], **options)
except HttpResponseError as error:
    print(json.dumps([error.status_code, error.error.code, error.error.message, len(failed)]))
"""

UPLOAD_ASYNC = """
import asyncio
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.monitor.ingestion.aio import LogsIngestionClient

class Credential:
    async def get_token(self, *scopes, **options):
        return AccessToken(given["facts"]["token"], 2**31)

    async def close(self): ...
    async def __aenter__(self): return self
    async def __aexit__(self, *exception): ...

async def main():
    options = {} if given["url"].startswith("https") else {"enforce_https": False}
    records = [{"Computer": given["computer"], "ObjectName": "Processor", "CounterValue": n / 2} for n in range(200)]
    async with LogsIngestionClient(given["url"], Credential()) as client:
        await client.upload(given["facts"]["dataCollectionRule"], "Microsoft-Perf", records, **options)
        try:
            await client.upload("dcr-" + "0" * 32, "Microsoft-Perf", records, **options)
        except HttpResponseError as error:
            print(json.dumps([error.status_code, error.error.code]))

asyncio.run(main())
"""


def test_azure_monitor_ingestion_uploads_in_chunks_and_hears_named_errors(bundle: Bundle):
    answer = bundle.run(UPLOAD, computer="sync")
    assert answer == [
        400,
        "InvalidStream",
        "The stream Custom-Nope_CL was not configured in the data collection rule: Nope_CL is not a custom table of the workspace.",
        1,
    ]
    rows = bundle.query(
        "Heartbeat | where Computer == 'sync' | summarize n = count(), t = tostring(min(TimeGenerated))"
    )
    assert rows == [{"n": 3000, "t": "2026-11-22T10:00:00.1234567Z"}]


def test_azure_monitor_ingestion_uploads_asynchronously(bundle: Bundle):
    assert bundle.run(UPLOAD_ASYNC, computer="async") == [404, "NotFound"]
    rows = bundle.query("Perf | where Computer == 'async' | summarize n = count(), v = sum(CounterValue)")
    assert rows == [{"n": 200, "v": 9950.0}]


THIRD_PARTY = {
    "azure-log-analytics-data-collector-api": """
from datacollectorapi import client
api = client.DataCollectorAPIClient(given["facts"]["workspaceId"], given["facts"]["workspaceKey"])
answer = api.post_data("Kawasaki", given["records"], record_timestamp="when")
print(json.dumps([answer.status_code, answer.text]))
""",
    "azure-data-collector": """
from azuredatacollector.datacollector import DataCollectorClient
api = DataCollectorClient(given["facts"]["workspaceId"], given["facts"]["workspaceKey"])
print(json.dumps(api.post_data(given["records"], "Collector")))
""",
    "datacollector-api-client": """
from datacollector_api_client.client import DataCollectorWrapper
api = DataCollectorWrapper(given["facts"]["workspaceId"], given["facts"]["workspaceKey"])
print(json.dumps(api.log_info(given["records"], "Wrapper")))
""",
}
RECORDS = [
    {
        "name": "web01",
        "load": 0.25,
        "up": True,
        "when": "2026-11-22T10:00:00Z",
        "id": "8145d82213a744ad859c36f31a84f6dd",
    },
    {"name": "wéb02", "load": 3, "up": None, "when": "2026-11-22T10:00:01Z", "tags": {"a": [1]}},
]


# These clients speak TLS only, to Azure's host names only.
@pytest.mark.parametrize("bundle", ["tls"], indirect=True)
@pytest.mark.parametrize(
    ("package", "table", "answer"),
    [
        ("azure-log-analytics-data-collector-api", "Kawasaki_CL", [200, ""]),
        ("azure-data-collector", "Collector_CL", [2]),
        ("datacollector-api-client", "Wrapper_CL", "Accepted"),
    ],
)
def test_third_party_data_collector_clients_post_custom_logs(
    bundle: Bundle, package: str, table: str, answer: object
):
    assert bundle.run(THIRD_PARTY[package], records=RECORDS) == answer
    columns = "name_s, load_d, up_b, tags_s, id_g, Type, SourceSystem"
    rows = bundle.query(f"{table} | order by name_s asc | project {columns}")
    assert rows == [
        {
            "name_s": "web01",
            "load_d": 0.25,
            "up_b": True,
            "tags_s": "",
            "id_g": "8145d822-13a7-44ad-859c-36f31a84f6dd",
            "Type": table,
            "SourceSystem": "RestAPI",
        },
        {
            "name_s": "wéb02",
            "load_d": 3.0,
            "up_b": None,
            "tags_s": '{"a":[1]}',
            "id_g": "",
            "Type": table,
            "SourceSystem": "RestAPI",
        },
    ]


def test_the_collector_answers_errors_in_its_own_words(bundle: Bundle):
    status, headers, body = bundle.request("POST", "/api/logs?api-version=2016-04-01", b"[]")
    assert (status, headers["content-type"].partition(";")[0]) == (400, "application/json")
    assert json.loads(body)["Error"] == "MissingContentType"
    status, _, body = bundle.request(
        "POST",
        f"//ws/{bundle.facts['workspaceId']}/api/logs?api%2Dversion=2016-04-01",
        b"[]",
        {"content-type": "application/json", "log-type": "A", "authorization": "SharedKey x"},
    )
    assert (status, json.loads(body)["Error"]) == (403, "InvalidAuthorization")


def test_an_upload_wants_a_token_and_takes_the_versions_encoded_name(bundle: Bundle):
    path = f"/dataCollectionRules/{bundle.facts['dataCollectionRule']}/streams/Microsoft-Heartbeat"
    status, headers, body = bundle.request("POST", f"{path}?api-version=2023-01-01", b"[]")
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(body)["error"]["code"] == "AuthenticationFailed"
    bearer = {"authorization": f"Bearer {bundle.facts['token']}", "content-type": "application/json"}
    assert bundle.request("POST", f"{path}?api%2Dversion=2021-11-01-preview", b"[]", bearer)[0] == 204
    # Fluent Bit names the whole URL in its request line.
    assert (
        bundle.request("POST", f"{bundle.url}{path}?api-version=2021-11-01-preview", b"[]", bearer)[0] == 204
    )
    assert (
        json.loads(bundle.request("POST", path, b"[]", bearer)[2])["error"]["code"]
        == "MissingApiVersionParameter"
    )
    status, _, body = bundle.request("POST", f"{path}?api-version=2023-01-01", b" " * (2**20 + 1), bearer)
    assert (status, json.loads(body)["error"]["code"]) == (413, "ContentLengthLimitExceeded")
