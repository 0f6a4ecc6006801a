"""Secrets that were used do not turn up in logs, answers, records, jobs or stored rows."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.loganalytics.logstore.catalogue import SEGMENTS, STAGED
from tests.security.bundle import VERSION, Two

PLANTED_CLIENT = "canary-client-secret-81c2"


@pytest.fixture(scope="module")
def secrets(two: Two) -> dict[str, str]:
    """Everything secret that a day's work brings up, each used once rightly and once wrongly."""
    services = two.services
    keys = services.workspaces.keys(two.mine.customer_id)
    owner = two.person("Owner", "/")
    token = two.token(owner)
    link = services.identity.sign_ins.make_link(owner)
    invitation = services.agents.invite(two.mine.customer_id)
    tenant = services.settings.tenant_id
    registered = two.operator("POST", "/operations/clients", {"name": "canary", "roles": ["Reader"]}).json()
    assert services.settings.storage is not None
    account_key = services.settings.storage.get_secret_value().partition("AccountKey=")[2].partition(";")[0]
    cookie = two.post_form("/signin", {"token": link}).headers["set-cookie"].partition(";")[0]
    two.post_form("/signin", {"token": link})
    two.ask("POST", "/operations/agents/join", {"token": invitation})
    two.ask("POST", "/operations/agents/join", {"token": invitation})
    for secret in (registered["clientSecret"], PLANTED_CLIENT):
        two.post_form(
            f"/{tenant}/oauth2/v2.0/token",
            {
                "grant_type": "client_credentials",
                "client_id": registered["clientId"],
                "client_secret": secret,
                "scope": "https://monitor.azure.com/.default",
            },
        )
    for method, path in (
        ("POST", f"{two.mine.resource_id}/sharedKeys{VERSION}"),
        ("POST", f"{two.mine.resource_id}/regenerateSharedKey{VERSION}"),
        ("GET", two.mine.resource_id + VERSION),
        ("GET", "/operations/jobs"),
        ("POST", "/api/logs?api-version=2016-04-01"),
    ):
        two.ask(method, path, headers={"authorization": f"Bearer {token}"})
        two.ask(method, path, headers={"authorization": f"Bearer {token[:-6]}AAAAAA"})
        two.ask(method, path, headers={"authorization": f"SharedKey {two.mine.customer_id}:{keys.primary}"})
        two.ask(method, path, headers={"cookie": cookie})
    return {
        "primary key": keys.primary,
        "secondary key": keys.secondary,
        "bearer": token.rpartition(".")[2],
        "operator's bearer": two.bundle.facts["token"].rpartition(".")[2],
        "sign-in link": link,
        "session": cookie.partition(".")[2],
        "invitation": invitation,
        "client secret": registered["clientSecret"],
        "wrong client secret": PLANTED_CLIENT,
        "storage key": account_key,
    }


def found_in(secrets: dict[str, str], text: str) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def test_the_log_holds_no_secret(two: Two, secrets: dict[str, str]) -> None:
    text = two.log.read_text(errors="replace")
    assert {name for name, secret in secrets.items() if len(secret) < 8} == set()
    assert found_in(secrets, text) == []


def test_errors_repeat_no_credential(two: Two, secrets: dict[str, str]) -> None:
    texts: list[str] = []
    for secret in secrets.values():
        for headers in (
            {"authorization": f"Bearer {secret}"},
            {"authorization": f"SharedKey {two.mine.customer_id}:{secret}", "log-type": "App"},
            {"authorization": secret},
            {"cookie": f"oms_session={secret}"},
            {"x-oms-bootstrap": secret},
            {"x-functions-key": secret},
        ):
            for method, path in (
                ("GET", two.mine.resource_id + VERSION),
                ("POST", "/api/logs?api-version=2016-04-01"),
                ("POST", "/operations/agents/token"),
                ("POST", "/operations/bootstrap"),
                ("GET", "/admin/host/status"),
            ):
                got = two.ask(method, path, b"{}" if method == "POST" else None, headers=headers)
                assert got.status >= 400
                texts.append(got.text + str(got.headers))
        texts.append(two.post_form("/signin", {"token": secret}).text)
        texts.append(two.ask("POST", "/operations/agents/join", {"token": secret}).text)
    assert found_in(secrets, "\n".join(texts)) == []


def test_nothing_stored_holds_a_secret_in_the_clear(two: Two, secrets: dict[str, str]) -> None:
    storage = two.services.storage
    tables = (
        "omsworkspaces",
        "omsresources",
        "omsactivity",
        "omssignin",
        "omsissuer",
        "omsdatakeys",
        "omsjobs",
        "omsroleassignments",
        "omstables",
    )
    rows = "\n".join(str(row.values) for name in tables for row in storage.table(name).query())
    assert two.mine.customer_id in rows
    assert found_in(secrets, rows) == []
    for container in (STAGED, SEGMENTS):
        blobs = storage.blobs(container)
        for blob in blobs.list():
            assert found_in(secrets, blobs.get(blob.name).decode("latin-1")) == [], blob.name


def test_records_and_jobs_show_no_secret(two: Two, secrets: dict[str, str]) -> None:
    owner = two.person("Owner", "/")
    two.services.publish_activity()
    shown = [two.ask("GET", "/operations/jobs", principal=owner).text]
    for table in ("AzureActivity", "Operation", "Heartbeat", "AppTraces"):
        for workspace in two.services.workspaces.list():
            got = two.query(owner, workspace.customer_id, f"{table} | take 1000")
            assert got.status == 200, got.text[:300]
            shown.append(got.text)
    assert found_in(secrets, "\n".join(shown)) == []


def files_of(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "host-keys.json" and "keys" not in path.parts:
            data = path.read_bytes()
            yield str(path), (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("latin-1")


def test_no_file_of_the_host_holds_a_secret(two: Two, secrets: dict[str, str]) -> None:
    seen = 0
    for name, text in files_of(two.log.parent):
        seen += 1
        assert found_in(secrets, text) == [], name
    assert seen > 0


def test_key_files_are_for_their_owner_only(two: Two) -> None:
    folder = two.services.settings.data_dir
    keys = [path for path in folder.rglob("*") if path.is_file() and "keys" in path.parts]
    assert keys
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*keys, *(key.parent for key in keys)])
    host = two.log.parent / "host" / "host-keys.json"
    assert host.stat().st_mode & 0o077 == 0
