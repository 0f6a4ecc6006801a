"""Bearer tokens: what is accepted, and every way in which one does not hold."""

import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from shared.identity.entra import SigningKeysUnavailable, entra_validator
from shared.identity.local_issuer import InvalidClient, InvalidScope, LocalIssuer, UnsupportedGrant
from shared.identity.model import ExpiredAuthenticationToken, InvalidAuthenticationToken, Principal
from shared.identity.secrets import SecretBox
from shared.kernel.clock import ManualClock
from tests.identity.conftest import BASE_URL, TENANT

KEY = generate_private_key(public_exponent=65537, key_size=2048)
OTHER = generate_private_key(public_exponent=65537, key_size=2048)
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"


def _jwk(key: RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {"kid": kid, "use": "sig", "kty": "RSA"} | json.loads(RSAAlgorithm.to_jwk(key.public_key()))


def _claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": "api://oms",
        "iss": ENTRA,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "tid": TENANT,
        "oid": "22222222-0000-0000-0000-000000000000",
        "name": "Bob",
        "roles": ["LogAnalyticsReader"],
    } | changed
    return {name: value for name, value in claims.items() if value is not None}


class Entra:
    """Answers with the keys it has now, and counts how often it was asked."""

    def __init__(self) -> None:
        self.keys = [_jwk(KEY, "k1")]
        self.asked = 0
        self.down = False

    def __call__(self, url: str) -> Mapping[str, Any]:
        assert url == f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys"
        self.asked += 1
        if self.down:
            raise OSError("unreachable")
        return {"keys": self.keys}


def _sign(claims: dict[str, Any], *, key: RSAPrivateKey = KEY, kid: str = "k1") -> str:
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def test_an_entra_token_becomes_a_principal(clock: ManualClock):
    principal = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=Entra()).principal(
        _sign(_claims())
    )
    assert (principal.name, principal.roles, principal.is_app) == ("Bob", {"LogAnalyticsReader"}, False)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "api://other"},
        {"iss": "https://evil.example/v2.0"},
        {"tid": "99999999-0000-0000-0000-000000000000"},
        {"nbf": int(time.time()) + 3600},
        *({name: None} for name in ("exp", "iat", "nbf", "aud", "iss", "tid")),
    ],
    ids=lambda changed: ",".join(changed),
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(changed: dict[str, Any], clock: ManualClock):
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=Entra())
    with pytest.raises(InvalidAuthenticationToken):
        validator.principal(_sign(_claims(**changed)))


def test_an_expired_token_is_named_so(clock: ManualClock):
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=Entra())
    with pytest.raises(ExpiredAuthenticationToken):
        validator.principal(_sign(_claims(exp=int(time.time()) - 3600)))


def test_a_token_signed_by_another_key_under_a_known_kid_is_refused(clock: ManualClock):
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=Entra())
    with pytest.raises(InvalidAuthenticationToken):
        validator.principal(_sign(_claims(), key=OTHER))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_names_another_algorithm_is_refused(algorithm: str, clock: ManualClock):
    secret = "" if algorithm == "none" else "a-secret-that-is-long-enough-for-hs256"
    token = jwt.encode(_claims(), secret, algorithm=algorithm, headers={"kid": "k1"})
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=Entra())
    with pytest.raises(InvalidAuthenticationToken, match="RS256"):
        validator.principal(token)


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 5000, "ey.ey.ey"])
def test_what_is_no_token_is_refused(token: str, clock: ManualClock):
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=Entra())
    with pytest.raises(InvalidAuthenticationToken):
        validator.principal(token)


def test_a_rotated_key_is_fetched_and_invented_kids_do_not_make_us_ask_again_and_again(clock: ManualClock):
    entra = Entra()
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=entra)
    validator.principal(_sign(_claims()))
    for number in range(20):
        with pytest.raises(InvalidAuthenticationToken):
            validator.principal(_sign(_claims(), key=OTHER, kid=f"invented{number}"))
    assert entra.asked == 1
    clock.advance(61)
    entra.keys = [_jwk(OTHER, "k2")]
    assert validator.principal(_sign(_claims(), key=OTHER, kid="k2")).name == "Bob"
    assert entra.asked == 2


def test_known_keys_stay_good_while_entra_is_down(clock: ManualClock):
    entra = Entra()
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=entra)
    validator.principal(_sign(_claims()))
    entra.down = True
    clock.advance(25 * 3600)
    assert validator.principal(_sign(_claims())).name == "Bob"


def test_without_any_keys_the_caller_is_told_to_come_again(clock: ManualClock):
    entra = Entra()
    entra.down = True
    validator = entra_validator(tenant=TENANT, audience="api://oms", clock=clock, fetch=entra)
    with pytest.raises(SigningKeysUnavailable):
        validator.principal(_sign(_claims()))


@pytest.mark.parametrize(
    "audience",
    [BASE_URL, "https://monitor.azure.com", "https://management.azure.com/", "https://api.loganalytics.io"],
)
def test_the_local_issuers_tokens_are_good_for_what_azure_clients_ask(
    audience: str, issuer: LocalIssuer, ada: Principal
):
    assert issuer.validator().principal(issuer.issue(ada, audience=audience)) == ada


def test_the_local_issuers_key_is_made_once_for_all_processes(
    issuer: LocalIssuer, box: SecretBox, ada: Principal
):
    other = LocalIssuer(storage=issuer.storage, box=box, clock=issuer.clock, tenant=TENANT, base_url=BASE_URL)
    assert other.validator().principal(issuer.issue(ada, audience=BASE_URL)) == ada
    assert other.jwks() == issuer.jwks()


@pytest.mark.parametrize(
    "scope", ["https://management.azure.com/.default", "https://management.core.windows.net//.default"]
)
def test_a_registered_client_gets_a_token_for_its_roles(scope: str, issuer: LocalIssuer):
    client, secret = issuer.register("ci", roles=["Contributor"])
    granted = issuer.grant(
        tenant=TENANT,
        form={
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": secret,
            "scope": scope,
        },
    )
    principal = issuer.validator().principal(granted["access_token"])
    assert (principal.name, principal.is_app, principal.roles) == ("ci", True, {"Contributor"})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_secret": "wrong"}, InvalidClient),
        ({"client_id": "nobody"}, InvalidClient),
        ({"client_id": "a/b?"}, InvalidClient),
        ({"grant_type": "password"}, UnsupportedGrant),
        ({"scope": "https://evil.example/.default"}, InvalidScope),
        ({"scope": ""}, InvalidScope),
    ],
)
def test_the_token_endpoint_refuses_by_name(
    change: dict[str, str], error: type[Exception], issuer: LocalIssuer
):
    client, secret = issuer.register("ci", roles=["Contributor"])
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": secret,
        "scope": "https://monitor.azure.com/.default",
    }
    with pytest.raises(error):
        issuer.grant(tenant=TENANT, form=form | change)


def test_a_client_secret_is_stored_as_a_hash_only(issuer: LocalIssuer):
    _, secret = issuer.register("ci", roles=["Contributor"])
    assert all(
        secret not in str(value)
        for row in issuer.storage.table("omsissuer").query()
        for value in row.values.values()
    )
