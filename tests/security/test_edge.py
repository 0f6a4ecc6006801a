"""The HTTP edge: who gets an answer without credentials, what a browser may be made to do, and what answers give away."""

import gzip
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from functions.portal.session import local_path
from tests.security.bundle import VERSION, Two

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "functions.json").read_text())
HTTP = {each["name"]: each for each in GOLDEN if each["trigger"] == "httpTrigger"}

# What answers strangers, and what it says to them.
OPEN = {
    "management_metadata_endpoints": 200,  # what `az cloud register` reads before anybody has a token
    "management_token_discovery": 200,
    "management_token_discovery_v1": 200,
    "management_token_keys": 200,  # public keys
    "management_token_grant": 400,  # takes the client's secret in the form
    "management_token_grant_v1": 400,
    "operations_health_read": 200,  # the worst state and nothing more
    "portal_asset_get": 404,  # static files; this name is none
    "portal_session_ask": 200,  # the sign-in page
}
# Pages send strangers to the sign-in page, except the root of the site, which does so by way of its own choice.
SIGN_IN = {
    name for name in HTTP if name.startswith("portal_") and not HTTP[name]["route"].startswith("portal/api/")
} - {"portal_asset_get", "portal_session_ask", "portal_session_start", "portal_session_end"}
# Signed requests: the Data Collector's and the agents' own refusal is 403, and the collector first looks at its headers.
SIGNED = {"loganalytics_collector_post", "loganalytics_collector_post_by_path", "operations_agent_token"}
BEARER_OF_BODY = {"operations_agent_join"}  # whose credential is the invitation in the body
SPECIAL = {"portal_session_end"}  # without a session there is none to end

FILLED = {
    "{tenant}": "00000000-0000-0000-0000-000000000001",
    "{*rest}": "00000000-0000-0000-0000-000000000002/resourceGroups",
    "{*name}": "none.js",
    "{nothing:maxlength(0)?}": "",
    "{id}": "1",
}


def path_of(function: str, two: Two) -> str:
    route = "/" + str(HTTP[function]["route"])
    for name, value in {**FILLED, "{workspace}": two.mine.customer_id}.items():
        route = route.replace(name, value)
    return (
        route.replace("{rule}", "dcr-" + "0" * 32)
        .replace("{stream}", "Microsoft-Heartbeat")
        .replace("{queue}", "oms-jobs")
        .replace("{release}", "0")
    )


@pytest.mark.parametrize("function", sorted(HTTP))
def test_without_credentials_a_function_answers_nothing(function: str, two: Two) -> None:
    for method in HTTP[function]["methods"]:
        if method == "HEAD":
            continue
        headers = {"log-type": "App", "content-type": "application/json"} if function in SIGNED else {}
        body = {"token": "unknown"} if function in BEARER_OF_BODY else None
        got = two.ask(method, f"{path_of(function, two)}?api-version=2016-04-01", body, headers=headers)
        if function in OPEN:
            assert got.status == OPEN[function], got.text[:300]
        elif function in SIGN_IN:
            assert (got.status, got.headers["location"].startswith("/signin")) == (303, True)
            assert got.body == b""
        elif function in SIGNED:
            assert got.status == 403, got.text[:300]
        elif function in SPECIAL:
            assert (got.status, got.headers["location"]) == (303, "/signin")
        else:
            assert got.status == 401, (method, got.status, got.text[:300])


@pytest.mark.parametrize(
    "function", sorted(set(HTTP) - set(OPEN) - SIGN_IN - SIGNED - SPECIAL - BEARER_OF_BODY)
)
@pytest.mark.parametrize(
    "spoofed",
    [
        {"x-ms-client-principal": "eyJjbGFpbXMiOltdfQ=="},
        {"x-ms-client-principal-id": "operator", "x-ms-client-principal-name": "operator"},
        {"X-ARR-ClientCert": "MIIB"},
        {"authorization": "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoieCJ9.eyJvaWQiOiJ4In0."},
        {"authorization": "Basic b3BlcmF0b3I6"},
        {"cookie": "oms_session=eyJ2IjoxfQ.AAAA"},
    ],
    ids=["easy-auth", "easy-auth-id", "certificate", "unsigned-token", "basic", "cookie"],
)
def test_a_credential_that_is_made_up_is_none(function: str, spoofed: dict[str, str], two: Two) -> None:
    method = "POST" if "POST" in HTTP[function]["methods"] else HTTP[function]["methods"][0]
    got = two.ask(method, f"{path_of(function, two)}{VERSION}", headers=spoofed)
    assert got.status == 401, got.text[:300]


def test_the_address_in_the_activity_log_is_the_one_the_host_saw(two: Two) -> None:
    group = f"/subscriptions/{two.mine.subscription}/resourceGroups/spoofed{VERSION}"
    owner = two.person("Owner", "/")
    sent = {"x-forwarded-for": "6.6.6.6, 7.7.7.7"}
    assert two.ask("PUT", group, {"location": "local"}, principal=owner, headers=sent).status == 201
    stored = " ".join(str(row.values) for row in two.services.storage.table("omsactivity").query())
    assert "6.6.6.6" not in stored
    assert "7.7.7.7" not in stored


# Browsers.


@pytest.mark.parametrize(
    "path",
    ["/get-started", "/poison", "/signout", "/portal/api/logs/complete", "/portal/api/logs/diagnose"],
)
def test_a_post_of_a_signed_in_browser_needs_its_sessions_token(path: str, two: Two) -> None:
    owner = two.person("Owner", "/")
    other = two.services.identity.sign_ins.start(two.person("Owner", "/"))
    for token in ("", "x", "é", other.csrf):
        headers = {**two.cookie(owner), "x-csrf-token": token.encode("ascii", "ignore").decode()}
        got = two.post_form(path, {"csrf": token, "queue": "oms-jobs"}, headers)
        assert (got.status, got.code) == (403, "CsrfTokenInvalid")


def test_apis_too_want_the_sessions_token_with_a_write_by_cookie(two: Two) -> None:
    cookie = two.cookie(two.person("Owner", "/"))
    writes = (
        ("PUT", f"/subscriptions/{two.mine.subscription}/resourceGroups/forged{VERSION}"),
        ("POST", f"{two.mine.resource_id}/sharedKeys{VERSION}"),
        ("POST", "/operations/clients"),
        ("POST", "/operations/poison/replay"),
        ("DELETE", "/operations/poison/oms-jobs/1"),
        ("POST", f"/v1/workspaces/{two.mine.customer_id}/query"),
    )
    for method, path in writes:
        got = two.ask(method, path, {"location": "local"}, headers=cookie)
        assert (got.status, got.code) == (403, "CsrfTokenInvalid"), path


def test_the_sessions_cookie_is_for_this_site_and_no_script(two: Two) -> None:
    cookie = two.sign_in(two.person("Owner", "/")).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_a_changed_cookie_is_no_session(two: Two) -> None:
    cookie = two.cookie(two.person("Owner", "/"))["cookie"]
    body, _, signature = cookie.partition("=")[2].partition(".")
    other = two.services.identity.sign_ins.start(two.person("Owner", "/")).cookie
    for forged in (
        body,
        f"{body}.",
        f"{body}.{signature[:-2]}AA",
        f"{other.partition('.')[0]}.{signature}",
        "é",
    ):
        headers = {"cookie": f"oms_session={quote(forged)}"}
        assert two.ask("GET", "/overview", headers=headers).headers["location"].startswith("/signin")


def test_a_sign_in_link_is_good_once_and_opening_it_spends_nothing(two: Two) -> None:
    token = two.services.identity.sign_ins.make_link(two.person("Owner", "/"))
    assert two.ask("GET", f"/signin?token={token}").status == 200
    first = two.post_form("/signin", {"token": token})
    again = two.post_form("/signin", {"token": token})
    assert (first.status, again.status) == (303, 401)
    assert "set-cookie" not in again.headers
    assert token not in again.text


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: x=y",
        "\\\\evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "/\u2028/evil.example",
        "",
    ],
)
def test_after_signing_in_one_stays_here(to: str, two: Two) -> None:
    assert local_path(to) == "/get-started"
    got = two.sign_in(two.person("Owner", "/"), to)
    assert (got.status, got.headers["location"]) == (303, "/get-started")


def test_after_signing_in_one_goes_where_one_wanted(two: Two) -> None:
    to = "/logs?q=Heartbeat%20%7C%20count&run=1"
    assert two.sign_in(two.person("Owner", "/"), to).headers["location"] == to


@pytest.mark.parametrize(
    "path", ["/signin", "/overview", "/logs", "/agents", "/jobs", "/poison", "/get-started"]
)
def test_pages_carry_a_strict_policy(path: str, two: Two) -> None:
    got = two.ask("GET", path, headers=two.cookie(two.person("Owner", "/")))
    assert got.status == 200
    policy = got.headers["content-security-policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self';",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "same-origin"
    assert " onclick=" not in got.text
    assert "javascript:" not in got.text


def test_what_a_person_typed_comes_back_as_text(two: Two) -> None:
    cookie = two.cookie(two.person("Owner", "/"))
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    for path in (
        f"/logs?run=1&q={quote(evil)}",
        f"/logs?run=1&q={quote(f'print x = "{evil}"')}",
        f"/signin?token={quote(evil)}",
    ):
        got = two.ask("GET", path, headers=cookie)
        assert got.status == 200
        assert "<script>alert" not in got.text
        assert "<img src=x" not in got.text


@pytest.mark.parametrize(
    "name",
    [
        "../templates/logs.html",
        "..%2f..%2ftemplates%2flogs.html",
        "%2e%2e/%2e%2e/templates/logs.html",
        "....//templates/logs.html",
        "..%5c..%5ctemplates%5clogs.html",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "logs%00.js",
        "..%252f..%252ftemplates",
        "",
        "logs",
    ],
)
def test_assets_are_those_below_their_folder(name: str, two: Two) -> None:
    got = two.ask("GET", f"/assets/0/{name}")
    assert got.status in (404, 405, 303), (got.status, got.text[:200])
    assert "root:" not in got.text
    assert "<html" not in got.text


# Bodies.


def test_a_gzip_bomb_is_refused_before_it_grows(two: Two) -> None:
    bomb = gzip.compress(b"[" + b" " * 300_000_000, 9)
    owner = two.person("Monitoring Metrics Publisher", "/")
    rule = two.services.data_collection_rules.create_default(two.mine).immutable_id
    path = f"/dataCollectionRules/{rule}/streams/Microsoft-Heartbeat?api-version=2023-01-01"
    got = two.ask("POST", path, bomb, principal=owner, headers={"content-encoding": "gzip"})
    assert got.status == 413, got.text[:300]


def test_a_body_that_says_it_is_too_long_is_not_read(two: Two) -> None:
    got = two.ask("POST", "/operations/agents/join", headers={"content-length": str(300 * 1024 * 1024)})
    assert got.status == 413


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"query":' + b"[" * 100_000, b"\xff\xfe\x00", b'{"query": 1e400}', b"null"]
)
def test_a_body_of_any_kind_gets_a_named_error(body: bytes, two: Two) -> None:
    owner = two.person("Owner", "/")
    for method, path in (
        ("POST", f"/v1/workspaces/{two.mine.customer_id}/query"),
        ("POST", "/v1/$batch"),
        ("PUT", f"/subscriptions/{two.mine.subscription}/resourceGroups/x{VERSION}"),
        ("POST", "/operations/agents/join"),
        ("POST", "/operations/poison/replay"),
    ):
        got = two.ask(method, path, body, principal=owner)
        assert (400 <= got.status < 500, bool(got.code)) == (True, True), (path, got.status)
        assert "Traceback" not in got.text


@pytest.mark.parametrize(
    "text",
    ["(" * 20_000, "print " + "-" * 20_000 + "1", "print " + "not(" * 5_000, "let f = () { f() }; f()"],
)
def test_a_query_of_endless_depth_is_refused_by_name(text: str, two: Two) -> None:
    got = two.query(two.person("Owner", "/"), two.mine.customer_id, text)
    assert (got.status, got.code) == (400, "BadArgumentError"), got.text[:300]


def test_answers_to_errors_tell_nothing_of_the_host(two: Two) -> None:
    owner = two.person("Owner", "/")
    asked = [
        two.query(owner, two.mine.customer_id, "print todynamic('{') | where x == 1"),
        two.query(owner, "../../etc/passwd", "print 1"),
        two.query(owner, "é".encode().hex(), "print 1"),
        two.ask("GET", f"/subscriptions/%00/resourceGroups{VERSION}", principal=owner),
        two.ask("GET", "/operations/jobs/a%2fb", principal=owner),
        two.ask("GET", "/operations/poison/%00", principal=owner),
        two.ask("GET", "/operations/jobs?top=x", principal=owner),
    ]
    for got in asked:
        assert 400 <= got.status < 500, (got.status, got.text[:300])
        for tell in ("Traceback", ".py", str(Path.cwd()), str(two.services.settings.data_dir), "127.0.0.1:1"):
            assert tell not in got.text
