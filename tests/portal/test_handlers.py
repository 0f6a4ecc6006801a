"""The portal's functions, called with what the worker hands them: who is let in, and what the editor is told."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import azure.functions as func
import pytest

from functions.portal import logs, pages, session
from shared.bootstrap import Services, services
from shared.http.portal import language
from shared.identity.model import ObjectId, Principal
from shared.identity.sign_in import Session


@pytest.fixture
def app(azurite_connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The bundle's services, built from the environment as the host builds them."""
    monkeypatch.setenv("OMS_STORAGE", azurite_connection)
    monkeypatch.setenv("OMS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OMS_ISSUER", "local")
    monkeypatch.delenv("OMS_HOST_NUDGE_URL", raising=False)
    services.cache_clear()
    made = services()
    yield made
    made.query_processes.close()
    made.log_store.close()
    services.cache_clear()


@pytest.fixture
def operator(app: Services) -> Session:
    """A browser of somebody who may do everything, with a workspace to look at."""
    app.first_start()
    return signed_in(app, "Owner")


def signed_in(app: Services, *roles: str) -> Session:
    person = Principal(
        object_id=ObjectId("ann"), name="Ann", tenant=app.settings.tenant_id, roles=frozenset(roles)
    )
    return app.identity.sign_in(app.identity.sign_ins.make_link(person))


def ask(
    function: Any,
    browser: Session | None = None,
    *,
    path: str = "/",
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    body: object = None,
    csrf: str | None = None,
) -> tuple[int, Mapping[str, str], str]:
    headers = {} if browser is None else {"Cookie": f"oms_session={browser.cookie}"}
    if csrf is not None:
        headers["x-csrf-token"] = csrf
    data = urlencode(form).encode() if form is not None else json.dumps(body).encode() if body else b""
    handler: Callable[..., func.HttpResponse] = function.build()._func
    answer = handler(
        func.HttpRequest(
            method="POST" if data else "GET",
            url=f"http://localhost:7071{path}",
            headers=headers,
            params=dict(params or {}),
            body=data,
        )
    )
    found: Mapping[str, str] = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, found, answer.get_body().decode()


PAGES = [pages.overview, pages.get_started, pages.agents, pages.jobs, pages.poison, logs.show]


@pytest.mark.parametrize("function", PAGES)
def test_nobody_without_a_session_sees_a_page_but_is_led_back_to_it_after_signing_in(
    app: Services, function: Any
) -> None:
    status, headers, body = ask(function, path="/logs?q=Heartbeat&run=1")
    assert status == 303
    assert body == ""
    assert parse_qs(urlsplit(headers["location"]).query)["to"] == ["/logs?q=Heartbeat&run=1"]


@pytest.mark.parametrize(
    "function", [logs.schema, logs.describe, logs.complete, logs.diagnose, pages.follow_ticks]
)
def test_a_script_without_a_session_is_told_so_and_not_led_elsewhere(app: Services, function: Any) -> None:
    status, _, body = ask(function)
    assert status == 401
    assert json.loads(body)["error"]["code"] == "AuthenticationFailed"


@pytest.mark.parametrize("function", [logs.complete, logs.diagnose])
@pytest.mark.parametrize("csrf", [None, "", "another session's"])
def test_a_post_that_does_not_repeat_the_sessions_token_is_refused(
    operator: Session, function: Any, csrf: str | None
) -> None:
    status, _, body = ask(function, operator, body={"text": "Heartbeat", "offset": 9}, csrf=csrf)
    assert status == 403
    assert json.loads(body)["error"]["code"] == "CsrfTokenInvalid"


@pytest.mark.parametrize("function", [pages.get_started, pages.poison])
def test_a_form_that_does_not_repeat_the_sessions_token_is_refused(operator: Session, function: Any) -> None:
    status, _, _ = ask(function, operator, form={"csrf": "another session's", "queue": "jobs-poison"})
    assert status == 403


def test_somebody_who_may_read_nothing_is_shown_nothing(app: Services, operator: Session) -> None:
    stranger = signed_in(app)
    for function in PAGES:
        status, _, body = ask(function, stranger)
        assert status == 404
        assert "default" not in body


def test_a_workspace_that_one_may_not_read_is_not_found(app: Services, operator: Session) -> None:
    workspace = app.first_start()["workspaceId"]
    status, _, _ = ask(logs.schema, signed_in(app), params={"workspace": workspace})
    assert status in (403, 404)


def test_a_sign_in_token_is_good_once_and_sets_a_cookie_that_no_script_reads(app: Services) -> None:
    token = app.identity.sign_ins.make_link(
        Principal(object_id=ObjectId("ann"), name="Ann", tenant=app.settings.tenant_id)
    )
    status, headers, _ = ask(session.start, form={"token": token, "to": "/logs"})
    assert (status, headers["location"]) == (303, "/logs")
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    status, headers, _ = ask(session.start, form={"token": token})
    assert status == 401
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    "to", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", ""]
)
def test_signing_in_leads_to_a_path_of_this_site_only(to: str) -> None:
    assert session.local_path(to) == "/get-started"


def diagnose(browser: Session, text: str) -> list[dict[str, Any]]:
    status, _, body = ask(logs.diagnose, browser, body={"text": text}, csrf=browser.csrf)
    assert status == 200
    return json.loads(body)["diagnostics"]


def complete(browser: Session, text: str) -> dict[str, Any]:
    units = len(text.encode("utf-16-le")) // 2
    status, _, body = ask(logs.complete, browser, body={"text": text, "offset": units}, csrf=browser.csrf)
    assert status == 200
    return json.loads(body)


def test_an_error_is_placed_in_the_units_that_browsers_count(operator: Session) -> None:
    text = "Heartbeat | where Computer has '\U0001f4be' and Nope == 1"
    [found] = diagnose(operator, text)
    units = text.encode("utf-16-le")
    assert units[2 * found["from"] : 2 * found["to"]].decode("utf-16-le") == "Nope"


def test_a_right_query_and_an_empty_one_are_not_complained_of(operator: Session) -> None:
    assert diagnose(operator, "Heartbeat | take 5") == []
    assert diagnose(operator, "  \n") == []


def test_a_completion_says_from_where_it_replaces(operator: Session) -> None:
    text = "Heartbeat | where Computer has '\U0001f4be' and Comp"
    answer = complete(operator, text)
    assert answer["from"] == len(text.encode("utf-16-le")) // 2 - len("Comp")
    assert answer["items"][0]["label"] == "Computer"
    assert answer["items"][0]["detail"] == "string"


def test_columns_after_a_join_are_those_of_both_sides(operator: Session) -> None:
    answer = complete(operator, "Heartbeat | join (Perf) on Computer | where ")
    labels = {item["label"] for item in answer["items"] if item["kind"] == "column"}
    assert {"OSName", "CounterName", "Computer1"} <= labels


def test_a_query_longer_than_the_editor_takes_is_refused_by_name(operator: Session) -> None:
    status, _, body = ask(logs.diagnose, operator, body={"text": "x" * 200_000}, csrf=operator.csrf)
    assert status == 400
    assert "text" in json.loads(body)["error"]["message"]


def test_help_is_there_for_functions_and_operators(operator: Session) -> None:
    for name in ("substring", "summarize"):
        _, _, body = ask(logs.describe, operator, params={"name": name})
        assert json.loads(body)["summary"]
    assert json.loads(ask(logs.describe, operator, params={"name": "nothing"})[2]) == {}


def test_what_a_query_says_is_shown_as_text_and_never_as_markup(operator: Session) -> None:
    query = 'print X = "</script><script>alert(1)</script>"'
    status, _, body = ask(logs.show, operator, params={"q": query, "span": "PT1H", "run": "1"})
    assert status == 200
    assert "<script>alert" not in body
    assert "alert(1)" in body


@pytest.mark.parametrize(
    ("text", "before", "place"),
    [
        ("let n = 1; T | where a == 1 | extend B = Bag.", "let n = 1; T | where a == 1 ", "Bag"),
        ("T | join (U | where Bag.inner.x", "U ", "Bag.inner"),
        ("T | extend B = f(g(Bag.", "T ", "Bag"),
    ],
)
def test_a_dynamic_path_belongs_to_the_pipeline_it_stands_in(text: str, before: str, place: str) -> None:
    found = language.path_at(text, len(text))
    assert found is not None
    assert (found.before, ".".join((found.column, *found.names))) == (before, place)


@pytest.mark.parametrize("text", ["T | where a == 1.", "T | where a == 'x.", "Bag.", "T | where x[0]."])
def test_what_is_no_path_is_not_taken_for_one(text: str) -> None:
    assert language.path_at(text, len(text)) is None
