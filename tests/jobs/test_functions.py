"""The functions for operators and the queue, called with what the worker hands them, on Azurite."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from functions.operations import jobs as job_functions
from functions.operations import poison as poison_functions
from shared.bootstrap import Services, services
from shared.identity.model import ObjectId, Principal
from shared.jobs.context import StepContext
from shared.jobs.engine import QUEUE
from shared.jobs.kinds import JobKind, Next, StepOutcome, Succeed
from shared.jobs.model import Scope

SCOPE = Scope("contoso")


@pytest.fixture
def app(azurite_connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The bundle's services, built from the environment as the host builds them."""
    monkeypatch.setenv("OMS_STORAGE", azurite_connection)
    monkeypatch.setenv("OMS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OMS_ISSUER", "local")
    monkeypatch.delenv("OMS_HOST_NUDGE_URL", raising=False)
    services.cache_clear()
    yield services()
    services.cache_clear()


def token(app: Services, *roles: str) -> str:
    assert app.issuer is not None
    ann = Principal(
        object_id=ObjectId("o1"), name="Ann", tenant=app.settings.tenant_id, roles=frozenset(roles)
    )
    return app.issuer.issue(ann, audience=app.settings.base_url)


def handler_of(function: Any) -> Callable[..., Any]:
    """The function that a decorator of the library wrapped."""
    return function.build()._func


def ask(
    function: Any,
    bearer: str,
    *,
    method: str = "GET",
    params: Mapping[str, str] | None = None,
    route: Mapping[str, str] | None = None,
    body: object = None,
) -> tuple[int, Any]:
    request = func.HttpRequest(
        method=method,
        url="http://localhost:7071/operations",
        headers={"Authorization": f"Bearer {bearer}"},
        params=params or {},
        route_params=route or {},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    answer: func.HttpResponse = handler_of(function)(request)
    return answer.status_code, json.loads(answer.get_body() or b"null")


def deliver(app: Services) -> None:
    """As the host does: each visible message once, deleted afterwards."""
    queue = app.storage.queue(QUEUE)
    while messages := queue.receive():
        message = messages[0]
        trigger = func.QueueMessage(id=message.id, body=message.body)
        handler_of(job_functions.advance)(trigger)
        queue.delete(message)


def talks(context: StepContext) -> StepOutcome:
    context.say("hello")
    return Succeed(result={"said": 1}) if context.state else Next(state={"n": 1})


def test_an_operator_sees_a_job_and_follows_its_output(app: Services):
    app.job_kinds.register(JobKind(name="talk", run_step=talks))
    job = app.jobs.start("talk", SCOPE, subject="Perf")
    deliver(app)
    reader = token(app, "Reader")
    status, listed = ask(job_functions.list_jobs, reader)
    assert status == 200
    assert [(each["id"], each["status"]) for each in listed["value"]] == [(job.id, "Succeeded")]
    status, listed = ask(job_functions.list_jobs, reader, params={"scope": SCOPE, "status": "Failed"})
    assert listed["value"] == []
    status, one = ask(job_functions.get_job, reader, route={"id": job.id})
    assert (one["kind"], one["result"], one["history"][-1]["event"]) == ("talk", {"said": 1}, "succeeded")
    assert "parameters" not in one
    status, output = ask(job_functions.read_output, reader, route={"id": job.id}, params={"wait": "15"})
    assert [line["text"] for line in output["lines"]] == ["hello", "hello"]
    assert output["over"] is True
    status, rest = ask(
        job_functions.read_output, reader, route={"id": job.id}, params={"after": output["cursor"]}
    )
    assert (status, rest["lines"]) == (200, [])
    status, found = ask(
        job_functions.read_output, reader, route={"id": job.id}, params={"search": "HELL", "scope": SCOPE}
    )
    assert len(found["lines"]) == 2


def test_cancelling_needs_a_role_that_writes(app: Services):
    app.job_kinds.register(JobKind(name="talk", run_step=talks))
    job = app.jobs.start("talk", SCOPE, delay=600)
    status, refused = ask(job_functions.cancel_job, token(app, "Reader"), method="POST", route={"id": job.id})
    assert (status, refused["error"]["code"]) == (403, "AuthorizationFailed")
    status, cancelled = ask(
        job_functions.cancel_job, token(app, "Contributor"), method="POST", route={"id": job.id}
    )
    assert (status, cancelled["status"]) == (202, "Cancelled")
    assert cancelled["reason"] == "cancel asked for by Ann"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"top": "0"}, "InvalidJobQuery"),
        ({"after": "x"}, "InvalidJobQuery"),
        ({"status": "Sleeping"}, "InvalidRequestContent"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(app: Services, params: dict[str, str], code: str):
    status, refused = ask(job_functions.list_jobs, token(app, "Reader"), params=params)
    assert (status, refused["error"]["code"]) == (400, code)


def test_a_job_that_is_not_there_is_404(app: Services):
    status, refused = ask(job_functions.get_job, token(app, "Reader"), route={"id": "nowhere"})
    assert (status, refused["error"]["code"]) == (404, "JobNotFound")


def test_nobody_sees_anything_without_a_token(app: Services):
    status, refused = ask(job_functions.list_jobs, "none")
    assert status == 401
    assert refused["error"]["code"] == "InvalidAuthenticationToken"


def test_the_sweep_timer_sends_what_is_missing_and_the_other_forgets(app: Services):
    app.job_kinds.register(JobKind(name="talk", run_step=talks))
    app.jobs.start("talk", SCOPE)

    class Tick(func.TimerRequest):
        @property
        def past_due(self) -> bool:
            return False

    handler_of(job_functions.tick)(Tick())
    handler_of(job_functions.forget)(Tick())
    deliver(app)
    assert [job.status for job in app.jobs.list(SCOPE).jobs] == ["Succeeded"]


def test_poison_is_listed_and_replayed_by_an_operator(app: Services):
    app.storage.queue(f"{QUEUE}-poison").send("rubbish")
    operator = token(app, "Contributor")
    _, queues = ask(poison_functions.list_queues, operator)
    assert {"queue": QUEUE, "count": 1} in [
        {name: each[name] for name in ("queue", "count")} for each in queues["value"]
    ]
    _, messages = ask(poison_functions.peek, operator, route={"queue": QUEUE})
    assert messages["value"][0]["reason"] == "a job message is not JSON"
    status, refused = ask(poison_functions.replay, token(app, "Reader"), method="POST", body={"queue": QUEUE})
    assert (status, refused["error"]["code"]) == (403, "AuthorizationFailed")
    status, replayed = ask(poison_functions.replay, operator, method="POST", body={"queue": QUEUE})
    assert (status, replayed) == (200, {"replayed": 1})
    message = app.storage.queue(f"{QUEUE}-poison").send("more")
    route = {"queue": QUEUE, "id": message}
    assert ask(poison_functions.delete, operator, method="DELETE", route=route) == (200, None)
    status, gone = ask(poison_functions.delete, operator, method="DELETE", route=route)
    assert (status, gone["error"]["code"]) == (404, "MessageNotFound")
