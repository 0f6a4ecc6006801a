"""The management API's edge over real HTTP: tokens, discovery, headers, errors."""

import json

import pytest
from azure.identity import ClientSecretCredential

from tests.devhost.running import ask
from tests.management.suite import SUBSCRIPTION, TENANT, Suite


def test_without_a_token_nothing_is_shown(suite: Suite):
    answer = suite.ask("GET", f"/subscriptions/{SUBSCRIPTION}?api-version=2022-09-01", token="")
    assert (answer.status, answer.json()["error"]["code"]) == (401, "AuthenticationFailed")
    assert answer.header("www-authenticate") == "Bearer"


def test_a_token_that_was_changed_is_refused(suite: Suite):
    answer = suite.ask(
        "GET", f"/subscriptions/{SUBSCRIPTION}?api-version=2022-09-01", token=suite.token[:-4] + "AAAA"
    )
    assert (answer.status, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_the_api_version_is_needed_and_may_be_escaped(suite: Suite):
    missing = suite.ask("GET", f"/subscriptions/{SUBSCRIPTION}")
    assert (missing.status, missing.json()["error"]["code"]) == (400, "MissingApiVersionParameter")
    assert suite.ask("GET", f"/subscriptions/{SUBSCRIPTION}?api%2Dversion=2022-09-01").status == 200
    assert suite.ask("GET", f"/subscriptions/{SUBSCRIPTION}?API-Version=2022-09-01").status == 200


def test_the_cli_reads_this_cloud_as_one_object(suite: Suite):
    answer = suite.ask("GET", "/metadata/endpoints?api-version=2022-09-01", token="")
    body = answer.json()
    assert body["resourceManager"] == body["authentication"]["loginEndpoint"]
    assert body["resourceManager"] == f"https://127.0.0.1:{suite.port}/"
    assert body["logAnalyticsResourceId"] == "https://api.loganalytics.io"


def test_discovery_names_the_issuer_and_its_keys(suite: Suite):
    known = suite.ask("GET", f"/{TENANT}/v2.0/.well-known/openid-configuration", token="").json()
    assert known["issuer"] == f"{suite.url}/{TENANT}/v2.0"
    keys = suite.ask("GET", known["jwks_uri"].removeprefix(suite.url), token="").json()["keys"]
    assert [(each["kty"], "d" in each) for each in keys] == [("RSA", False)]


def test_the_token_endpoint_answers_in_oauths_words(suite: Suite):
    answer = ask(
        suite.port,
        "POST",
        f"/{TENANT}/oauth2/v2.0/token",
        body=b"grant_type=client_credentials&client_id=nobody&client_secret=x&scope=https%3A%2F%2Fmonitor.azure.com%2F.default",
        headers=[("content-type", "application/x-www-form-urlencoded")],
        tls=suite.tls,
    )
    assert (answer.status, answer.json()["error"]) == (401, "invalid_client")


def test_azure_identity_signs_in_as_a_registered_client_with_its_roles_and_no_more(suite: Suite):
    made = suite.ask("POST", "/operations/clients", {"name": "ci", "roles": ["Reader"]})
    assert made.status == 201
    client = made.json()
    credential = ClientSecretCredential(
        client["tenant"],
        client["clientId"],
        client["clientSecret"],
        authority=suite.url,
        disable_instance_discovery=True,
        connection_verify=str(suite.ca),
    )
    token = credential.get_token("https://management.azure.com/.default").token
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/oms?api-version=2022-09-01"
    assert suite.ask("GET", group, token=token).status == 200
    refused = suite.ask("PUT", group, {"location": "local"}, token=token)
    assert (refused.status, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert (
        suite.ask("POST", "/operations/clients", {"name": "x", "roles": ["Owner"]}, token=token).status == 403
    )


def test_a_client_with_a_role_that_is_none_is_refused(suite: Suite):
    answer = suite.ask("POST", "/operations/clients", {"name": "ci", "roles": ["Emperor"]})
    assert (answer.status, answer.json()["error"]["code"]) == (400, "RoleDefinitionDoesNotExist")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'"text"'])
def test_a_malformed_body_is_a_named_400(body: bytes, suite: Suite):
    answer = ask(
        suite.port,
        "PUT",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/x?api-version=2022-09-01",
        body=body,
        headers=[("authorization", f"Bearer {suite.token}"), ("content-type", "application/json")],
        tls=suite.tls,
    )
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "InvalidRequestContent")
