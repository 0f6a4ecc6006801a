"""A workspace with the backend azureMonitor is answered by a service that speaks the protocol: here, another bundle."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from azure.core.credentials import AccessToken

from devhost.azurite import Azurite
from shared.cloud.azure_monitor import AzureMonitorQueries, AzureMonitorRefused
from shared.kernel.clock import SystemClock
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.elsewhere import ElsewhereAnswered
from shared.loganalytics.queries.scope import ScopeRefused
from shared.loganalytics.queries.wire import Prefer, QueryBody
from shared.loganalytics.workspaces.model import Backend, Workspace
from tests.ingestion.bundle import Bundle, running

OURS = WorkspaceId("99999999-0000-0000-0000-000000000000")


@dataclass(frozen=True)
class Credential:
    token: str

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes
        return AccessToken(self.token, 4102444800)


@pytest.fixture(scope="module")
def other(
    azurite: Azurite, unused_accounts: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    connection = azurite.connection_string_of(next(unused_accounts))
    with running(tmp_path_factory.mktemp("bundle"), connection, tls=False) as started:
        yield started


def answered(other: Bundle, *, backend: Backend) -> ElsewhereAnswered:
    workspace = Workspace(
        resource_id="/w", name="w", customer_id=OURS, subscription="s", group="g", location="local",
        backend=backend, azure_monitor_workspace=other.facts["workspaceId"], created=datetime.now(UTC),
    )  # fmt: skip
    monitor = AzureMonitorQueries(other.url + "/v1", Credential(other.facts["token"]), insecure=True)
    return ElsewhereAnswered(workspace=lambda _: workspace, monitor=lambda: monitor, clock=SystemClock())


def test_the_answer_is_passed_on_with_every_digit_statistics_and_render(other: Bundle) -> None:
    body = QueryBody(query="print t=datetime(2026-01-02T03:04:05.1234567Z) | render table", timespan="P1D")
    answer = answered(other, backend=Backend.AZURE_MONITOR)(
        OURS, body, Prefer.parse("include-statistics=true,include-render=true")
    )
    assert answer is not None
    found = json.loads(answer)
    assert found["tables"][0]["rows"] == [["2026-01-02T03:04:05.1234567Z"]]
    assert found["render"]["visualization"] == "table"
    assert "query" in found["statistics"]


def test_what_it_refuses_keeps_its_inner_error(other: Bundle) -> None:
    ask = answered(other, backend=Backend.AZURE_MONITOR)
    with pytest.raises(AzureMonitorRefused) as refused:
        ask(OURS, QueryBody(query="print |"), Prefer())
    assert refused.value.details["innererror"]["innererror"]["line"] == 1


def test_a_workspace_of_our_own_store_is_not_asked_for_elsewhere(other: Bundle) -> None:
    assert answered(other, backend=Backend.STORE)(OURS, QueryBody(query="print 1"), Prefer()) is None


@pytest.mark.parametrize(
    "body",
    [
        QueryBody(query="workspace('other').Heartbeat"),
        QueryBody(query="union Heartbeat, App ('x').requests"),
        QueryBody(query="print 1", workspaces=["other"]),
    ],
    ids=["workspace", "app", "body"],
)
def test_the_apps_identity_does_not_read_other_workspaces_for_the_caller(
    other: Bundle, body: QueryBody
) -> None:
    with pytest.raises(ScopeRefused):
        answered(other, backend=Backend.AZURE_MONITOR)(OURS, body, Prefer())
