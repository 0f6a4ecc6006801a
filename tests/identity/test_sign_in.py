"""One-time sign-in links and the sessions behind the cookie."""

from datetime import timedelta
from http.cookies import SimpleCookie

import azure.functions as func
import pytest

from shared.http.authorize import allow, authenticate, principal_of
from shared.identity.access import Access, RoleAssignments
from shared.identity.local_issuer import LocalIssuer
from shared.identity.model import AuthenticationFailed, AuthorizationFailed, CsrfTokenInvalid, Principal
from shared.identity.service import Identity
from shared.identity.sign_in import COOKIE, SignIns, SignInTokenInvalid
from shared.kernel.clock import ManualClock
from tests.identity.conftest import BASE_URL, TENANT


@pytest.fixture
def identity(issuer: LocalIssuer, sign_ins: SignIns) -> Identity:
    return Identity(
        tokens=issuer.validator(),
        access=Access(assignments=RoleAssignments(storage=issuer.storage, clock=issuer.clock)),
        sign_ins=sign_ins,
        tenant=TENANT,
        issuer=issuer,
    )


def _request(method: str = "GET", **headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest(method=method, url=f"{BASE_URL}/x", headers=named, body=b"")


def test_a_link_signs_in_once(sign_ins: SignIns, ada: Principal):
    link = sign_ins.make_link(ada)
    assert sign_ins.sign_in(link).principal == ada
    with pytest.raises(SignInTokenInvalid):
        sign_ins.sign_in(link)


def test_a_link_expires(sign_ins: SignIns, ada: Principal, clock: ManualClock):
    link = sign_ins.make_link(ada, lifetime=timedelta(minutes=5))
    clock.advance(301)
    with pytest.raises(SignInTokenInvalid):
        sign_ins.sign_in(link)
    assert sign_ins.sweep() == 1


def test_an_invented_link_is_refused(sign_ins: SignIns):
    with pytest.raises(SignInTokenInvalid):
        sign_ins.sign_in("../../etc/passwd")


def test_only_the_hash_of_a_link_is_stored(sign_ins: SignIns, ada: Principal):
    link = sign_ins.make_link(ada)
    rows = list(sign_ins.storage.table("omssignin").query())
    assert all(link not in str((row.key, row.values)) for row in rows)


def test_a_session_cookie_is_for_this_site_and_not_for_scripts(sign_ins: SignIns, ada: Principal):
    header = sign_ins.start(ada).set_cookie(secure=True)
    morsel = SimpleCookie(header)[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["secure"]) == (True, "Strict", True)


def test_a_session_is_known_again_until_it_expires(sign_ins: SignIns, ada: Principal, clock: ManualClock):
    session = sign_ins.start(ada)
    clock.advance(12 * 3600 - 60)
    assert sign_ins.session(session.cookie) == session
    clock.advance(120)
    assert sign_ins.session(session.cookie) is None


@pytest.mark.parametrize("cookie", ["", ".", "e30.x", "é.é"])
def test_a_forged_cookie_is_no_session(cookie: str, sign_ins: SignIns):
    assert sign_ins.session(cookie) is None


def test_a_cookie_with_a_changed_payload_is_no_session(sign_ins: SignIns, ada: Principal):
    body, _, signature = sign_ins.start(ada).cookie.partition(".")
    assert sign_ins.session(f"{body[:-4]}AAAA.{signature}") is None


def test_a_browser_reads_with_its_cookie_and_writes_with_its_csrf_token(
    identity: Identity, sign_ins: SignIns, ada: Principal
):
    session = sign_ins.start(ada)
    cookie = f"{COOKIE}={session.cookie}"
    assert authenticate(_request(Cookie=cookie), identity) == ada
    assert authenticate(_request("POST", Cookie=cookie, X_CSRF_Token=session.csrf), identity) == ada
    with pytest.raises(CsrfTokenInvalid):
        authenticate(_request("POST", Cookie=cookie), identity)


def test_a_bearer_token_needs_no_csrf_token(identity: Identity, issuer: LocalIssuer, ada: Principal):
    bearer = f"Bearer {issuer.issue(ada, audience=BASE_URL)}"
    assert authenticate(_request("POST", Authorization=bearer), identity) == ada


def test_without_a_credential_nobody_is_let_in(identity: Identity):
    assert principal_of(_request(), identity) is None
    with pytest.raises(AuthenticationFailed):
        authenticate(_request(), identity)


def test_an_easy_auth_header_is_ignored_unless_the_platform_is_trusted(identity: Identity):
    import base64
    import json
    from dataclasses import replace

    claims = [
        {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "oid-1"},
        {"typ": "http://schemas.microsoft.com/identity/claims/tenantid", "val": TENANT},
        {"typ": "name", "val": "Eve"},
        {"typ": "roles", "val": "Owner"},
    ]
    header = base64.b64encode(json.dumps({"auth_typ": "aad", "claims": claims}).encode()).decode()
    request = _request(X_MS_CLIENT_PRINCIPAL=header)
    assert principal_of(request, identity) is None
    trusted = principal_of(request, replace(identity, trust_easy_auth=True))
    assert trusted is not None
    assert (trusted.name, trusted.roles) == ("Eve", {"Owner"})


def test_a_reader_reads_and_is_refused_a_write(identity: Identity, sign_ins: SignIns, ada: Principal):
    session = sign_ins.start(ada)
    request = _request(Cookie=f"{COOKIE}={session.cookie}")
    assert (
        allow(request, identity, "Microsoft.OperationalInsights/workspaces/read", "/subscriptions/s") == ada
    )
    with pytest.raises(AuthorizationFailed, match="does not have authorization"):
        allow(request, identity, "Microsoft.OperationalInsights/workspaces/write", "/subscriptions/s")
