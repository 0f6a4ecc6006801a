"""The present services start on what each release left, and go on where it stopped."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.release_data import (
    FOLDER,
    OLD,
    OPERATOR,
    OTHER_SUBSCRIPTION,
    READER,
    ROLE,
    arm,
    post,
    serve,
    services_on,
    unpack,
    upload,
)
from shared.bootstrap import Services
from shared.identity.builtin_roles import role_named
from shared.jobs.model import JobId, JobStatus, Scope
from shared.kernel.clock import ManualClock
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.wire import QueryBody
from shared.storage.ports import Storage

RELEASES = sorted(FOLDER.glob("*.zip"))


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The present services on the storage of an earlier release, and what its callers hold."""

    services: Services
    facts: dict[str, Any]
    clock: ManualClock

    @property
    def scope(self) -> Scope:
        return Scope(self.facts["workspaceId"])

    def ask(self, text: str) -> Sequence[Sequence[Any]]:
        """The rows of a query's answer."""
        answer = self.services.queries.query(
            QueryBody(query=text, timespan=None, workspaces=None),
            workspaces=[WorkspaceId(self.facts["workspaceId"])],
            find=self.services.finder_of_system(),
            caller="operator",
        )
        return json.loads(answer)["tables"][0]["rows"]


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def upgraded(
    request: pytest.FixtureRequest, any_storage: Storage, clock: ManualClock, tmp_path: Path
) -> Iterator[Upgraded]:
    facts = dict(unpack(request.param, any_storage, tmp_path))
    clock.advance((datetime.fromisoformat(facts["at"]) - clock.now()).total_seconds() + 60)
    services = services_on(any_storage, clock, tmp_path)
    yield Upgraded(services, facts, clock)
    services.query_processes.close()
    services.log_store.close()


def test_there_is_an_archive_of_each_release():
    assert [path.stem for path in RELEASES] == ["0.1.0"]
    assert all(path.stat().st_size < 150_000 for path in RELEASES)


def test_records_keys_tokens_and_jobs_go_on(upgraded: Upgraded):
    services, facts, clock = upgraded.services, upgraded.facts, upgraded.clock
    started = services.first_start()
    assert {name: started[name] for name in ("workspaceId", "workspaceKey", "dataCollectionRule")} == {
        name: facts[name] for name in ("workspaceId", "workspaceKey", "dataCollectionRule")
    }

    # Old records next to new ones, the saved search over both, and the repeat of an old request written once.
    post(services, facts, clock, "App", [{"n": OLD, "text": "new", "more": True}])
    upload(services, facts, clock, [("web3", 3.5)])
    upload(services, facts, ManualClock(datetime.fromisoformat(facts["at"])), [("web1", 1.5), ("web2", 2.5)])
    assert upgraded.ask("OldOnes | summarize count(), dcount(n_d, 4), max(n_d), countif(more_b)") == [
        [OLD + 1, pytest.approx(OLD + 1, rel=0.02), OLD, 1]
    ]
    assert upgraded.ask('App_CL | where text_s has "4101" | project n_d') == [[4101]]
    assert upgraded.ask("Perf | project Computer, CounterValue | order by Computer asc") == [
        ["web1", 1.5],
        ["web2", 2.5],
        ["web3", 3.5],
    ]

    # Compaction and the sweep go on from the old catalogue, and change no answer.
    store, workspace = services.log_maintenance, WorkspaceId(facts["workspaceId"])
    for table in ("App_CL", "Perf"):
        store.compactor.compact(workspace, table)
    assert store.sweeper.advance_floor(workspace) > 0
    assert upgraded.ask("union App_CL, Perf | summarize count()") == [[OLD + 1 + 3]]
    usage = services.log_store.usage(workspace, since=0)
    assert sum(used.rows for used in usage if used.table == "App_CL") == OLD + 1

    # Credentials of every kind.
    assert services.identity.of_authorization(f"Bearer {facts['token']}").name == "operator"
    session = services.identity.sign_ins.session(facts["cookie"])
    assert session is not None
    assert session.principal == OPERATOR
    assert services.identity.sign_ins.sign_in(facts["link"]).principal == OPERATOR
    granted = services.signer.grant(
        tenant=facts["tenantId"],
        form={
            "grant_type": "client_credentials",
            "client_id": facts["clientId"],
            "client_secret": facts["clientSecret"],
            "scope": "https://management.azure.com/.default",
        },
    )
    assert granted["access_token"]
    role = role_named(ROLE)
    assert [(each.scope, each.role_id) for each in services.role_assignments.of(READER)] == [
        (facts["resourceId"], role and role.id)
    ]

    # What people manage.
    found = arm(services, "GET", f"{facts['resourceId']}/savedSearches/old").body
    assert isinstance(found, dict)
    assert found["properties"]["functionAlias"] == "OldOnes"
    assert services.subscriptions.get(OTHER_SUBSCRIPTION).name == "Other"
    handed: list[object] = []
    assert services.activity.drain(handed.extend) == len(handed) > 0

    # The job that was queued finishes; what the finished one said is there.
    serve(services)
    queued = services.jobs.get(upgraded.scope, JobId(facts["queuedJob"]))
    assert (queued.status, queued.result) == (JobStatus.SUCCEEDED, {"counted": 3})
    said = services.jobs.output(upgraded.scope, JobId(facts["finishedJob"])).read().lines
    assert [line.text for line in said] == ["counted 1", "counted 2"]
    assert services.jobs.get(upgraded.scope, JobId("by-name")).status is JobStatus.QUEUED
