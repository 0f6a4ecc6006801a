"""What the bundle tells agents: a token for their own workspace, and the workspace's data sources in their words."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from oms_agent.config import Collection, CustomLog
from oms_agent.transport import signature
from shared.bootstrap import Services
from shared.identity.model import AuthorizationFailed, ObjectId, Principal
from shared.identity.shared_keys import InvalidSignature, content_hash
from shared.identity.sign_in import SignInTokenInvalid
from shared.kernel.clock import ManualClock
from shared.loganalytics.agents.service import DataSource, collection_of
from shared.loganalytics.workspaces.model import Workspace
from shared.settings import Settings
from shared.storage.memory import MemoryStorage


@pytest.fixture
def bundle(tmp_path: Path) -> Services:
    clock = ManualClock(datetime.now(UTC))
    settings = Settings(issuer="local", data_dir=tmp_path)
    return Services(settings=settings, clock=clock, account=MemoryStorage(clock))


def workspace(bundle: Services, name: str) -> Workspace:
    return bundle.workspaces.create_default(subscription="s", group="g", name=name, location="local")


def signed(bundle: Services, customer_id: str, key: str, body: bytes) -> dict[str, str]:
    date = format_datetime(bundle.clock.now(), usegmt=True)
    return {
        "authorization": f"{customer_id}; {signature(key, date, body)}",
        "x-ms-sha256_content": content_hash(body),
        "x-ms-date": date,
    }


def test_the_workspace_key_gives_a_token_for_this_workspace_and_no_other(bundle: Services) -> None:
    mine, other = workspace(bundle, "mine"), workspace(bundle, "other")
    body = b"{}"
    answer = bundle.agents.token(
        signed(bundle, mine.customer_id, bundle.workspaces.keys(mine.customer_id).primary, body), body
    )
    principal = bundle.identity.of_authorization(f"Bearer {answer['access_token']}")
    assert bundle.agents.workspace_of(principal) == mine.customer_id
    action = "Microsoft.Insights/Telemetry/Write"
    own, foreign = (bundle.data_collection_rules.create_default(each).resource_id for each in (mine, other))
    assert bundle.identity.access.allows(principal, action, own)
    assert not bundle.identity.access.allows(principal, action, foreign)
    assert not bundle.identity.access.allows(
        principal, "Microsoft.OperationalInsights/workspaces/query/read", mine.resource_id
    )


def test_a_token_needs_the_workspaces_own_key_and_the_body_that_was_signed(bundle: Services) -> None:
    mine, other = workspace(bundle, "mine"), workspace(bundle, "other")
    foreign = bundle.workspaces.keys(other.customer_id).primary
    with pytest.raises(InvalidSignature):
        bundle.agents.token(signed(bundle, mine.customer_id, foreign, b"{}"), b"{}")
    own = bundle.workspaces.keys(mine.customer_id).secondary
    with pytest.raises(InvalidSignature):
        bundle.agents.token(signed(bundle, mine.customer_id, own, b"{}"), b'{"other": 1}')


def test_only_an_agent_is_an_agent(bundle: Services) -> None:
    mine = workspace(bundle, "mine")
    somebody = Principal(
        object_id=ObjectId("x"), name="x", tenant="t", client_id=f"oms-agent/{mine.customer_id}"
    )
    with pytest.raises(AuthorizationFailed):
        bundle.agents.workspace_of(somebody)


def test_an_invitation_is_good_once(bundle: Services) -> None:
    mine = workspace(bundle, "mine")
    token = bundle.agents.invite(mine.customer_id)
    assert bundle.agents.join(token)["workspaceId"] == mine.customer_id
    with pytest.raises(SignInTokenInvalid):
        bundle.agents.join(token)


def test_data_sources_become_what_the_agent_collects() -> None:
    wanted = collection_of(
        [
            DataSource(
                kind="LinuxPerformanceObject", properties={"objectName": "Memory", "intervalSeconds": 30}
            ),
            DataSource(
                kind="LinuxPerformanceObject", properties={"objectName": "Processor", "intervalSeconds": 60}
            ),
            DataSource(
                kind="LinuxSyslog",
                properties={
                    "syslogName": "cron",
                    "syslogSeverities": [{"severity": "err"}, {"severity": "warning"}],
                },
            ),
            DataSource(
                kind="CustomLog",
                properties={
                    "customLogName": "App_CL",
                    "inputs": [
                        {
                            "location": {
                                "fileSystemLocations": {"linuxFileTypeLogPaths": ["/var/log/app*.log"]}
                            }
                        }
                    ],
                },
            ),
        ]
    )
    collection = Collection.parse(json.loads(json.dumps(wanted)))
    assert collection.perf_objects == {"Memory", "Processor"}
    assert collection.perf_interval == 30
    assert collection.syslog_minimum == {"cron": "warning"}
    assert collection.logs == (CustomLog(table="App_CL", path="/var/log/app*.log", form="text"),)


def test_the_configurations_version_changes_with_its_data_sources(bundle: Services) -> None:
    mine = workspace(bundle, "mine")
    before = bundle.agents.configuration(mine.customer_id)
    assert before == bundle.agents.configuration(mine.customer_id)
    assert str(before["dataCollectionRule"]).startswith("dcr-")
    assert Collection.parse(before).perf_objects == Collection().perf_objects
