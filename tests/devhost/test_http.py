"""HTTP as a function sees it behind the host, and as a client sees the host."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devhost.up.certificates import ensure_certificates
from tests.devhost.running import REPO, SAMPLE_APP, RunningHost, ask


def test_a_function_gets_method_url_headers_query_route_and_body_as_they_were_sent(web: RunningHost) -> None:
    answer = web.ask(
        "POST",
        "/echo/a/b%20c?x=1&y=%C3%A9+z&x=2&empty=&X=3",
        body=b"\x00\xff bytes",
        headers=[
            ("Host", "ws.ods.localhost:9"),
            ("X-Ms-Date", "Mon, 02 Mar 2026"),
            ("x-twice", "a"),
            ("X-Twice", "b"),
        ],
    )
    told = answer.json()
    assert told["method"] == "POST"
    assert told["url"] == "http://ws.ods.localhost:9/echo/a/b%20c?x=1&y=%C3%A9+z&x=2&empty=&X=3"
    assert told["params"] == {"x": "1,2,3", "y": "é z"}
    assert told["route"] == {"rest": "a/b c"}
    assert told["body"] == "\x00\xff bytes"
    assert told["headers"]["x-ms-date"] == "Mon, 02 Mar 2026"
    assert told["headers"]["x-twice"] == "a,b"
    assert told["headers"]["x-forwarded-for"].startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("method", "target", "function"),
    [
        ("GET", "/items/7", "item_number"),
        ("GET", "/items/seven", "item_name"),
        ("GET", "/items/special", "item_special"),
        ("GET", "/ITEMS/Special/", "item_special"),
        ("PUT", "/items/7", "item_put"),
        ("POST", "/api/logs", "logs"),
        ("POST", "//api/logs", "logs"),
        ("POST", "http://example.org/api/logs", "logs"),
        ("GET", "/echo", "echo"),
        ("PATCH", "/echo/x", "echo"),
        ("GET", "/asynchronous", "asynchronous"),
    ],
)
def test_a_request_reaches_the_function_whose_route_fits_best(
    web: RunningHost, method: str, target: str, function: str
) -> None:
    answer = web.ask(method, target)
    assert (answer.status, answer.header("x-function")) == (200, function)


def test_an_encoded_query_name_is_decoded(web: RunningHost) -> None:
    assert web.ask("POST", "/api/logs?api%2Dversion=2016-04-01").json()["params"] == {
        "api-version": "2016-04-01"
    }


def test_an_absolute_target_keeps_its_query(web: RunningHost) -> None:
    told = web.ask("POST", f"http://127.0.0.1:{web.port}/api/logs?api-version=2021-11-01-preview").json()
    assert told["params"] == {"api-version": "2021-11-01-preview"}
    assert told["url"].endswith("/api/logs?api-version=2021-11-01-preview")


def test_an_unknown_path_is_404_and_a_known_one_with_another_method_405_naming_the_right_ones(
    web: RunningHost,
) -> None:
    assert web.ask("GET", "/nowhere").status == 404
    refused = web.ask("DELETE", "/items/seven")
    assert (refused.status, refused.header("allow")) == (405, "GET, PUT")


def test_head_is_answered_like_get_without_the_body(web: RunningHost) -> None:
    answer = web.ask("HEAD", "/items/7")
    assert (answer.status, answer.header("x-function"), answer.body) == (200, "item_number", b"")


def test_what_only_app_service_may_say_is_taken_off_requests_from_outside(web: RunningHost) -> None:
    told = web.ask(
        "GET",
        "/echo",
        headers=[
            ("X-MS-CLIENT-PRINCIPAL", "e30="),
            ("X-MS-CLIENT-PRINCIPAL-ID", "admin"),
            ("X-MS-TOKEN-AAD-ID-TOKEN", "t"),
            ("X-ARR-ClientCert", "MII"),
        ],
    ).json()
    assert not [name for name in told["headers"] if name.startswith(("x-ms-", "x-arr-"))]


def test_status_bytes_and_every_cookie_of_an_answer_come_through(web: RunningHost) -> None:
    answer = web.ask("GET", "/cookies")
    assert answer.status == 201
    assert answer.body == b"GET bytes \xff"
    cookies = [value for name, value in answer.headers if name == "set-cookie"]
    assert cookies == ["a=1; HttpOnly; Path=/", "b=2; SameSite=Strict"]


def test_a_function_that_raises_answers_500_without_its_reason_and_the_log_has_it(web: RunningHost) -> None:
    answer = web.ask("GET", "/breaks")
    assert (answer.status, answer.body) == (500, b"")
    assert "secret reason of GET" in web.output()


def test_a_key_opens_what_its_level_says(web: RunningHost) -> None:
    function, master = web.keys["function"], web.keys["master"]
    assert web.ask("GET", "/keyed").status == 401
    assert web.ask("GET", "/keyed?code=wrong").status == 401
    assert web.ask("GET", f"/keyed?code={function}").status == 200
    assert web.ask("GET", "/keyed", headers=[("x-functions-key", function)]).status == 200
    assert web.ask("GET", "/keyed", headers=[("x-functions-key", master)]).status == 200
    assert web.ask("GET", f"/administered?code={function}").status == 401
    assert web.ask("GET", f"/administered?code={master}").status == 200


def test_a_body_over_the_limit_is_refused_whether_its_length_is_declared_or_not(web: RunningHost) -> None:
    assert web.ask("POST", "/echo", headers=[("content-length", "100001")]).status == 413
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    try:
        connection.request("POST", "/echo", body=iter([b"x" * 60_000, b"x" * 60_000]), encode_chunked=True)
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_a_body_at_the_limit_is_taken(web: RunningHost) -> None:
    assert len(web.ask("POST", "/echo", body=b"x" * 100_000).json()["body"]) == 100_000


def test_requests_run_side_by_side_on_the_workers_threads(web: RunningHost) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(web.ask, ["GET"] * 8, ["/slow?seconds=0.3"] * 8))
    assert [answer.status for answer in answers] == [200] * 8
    began = web.events("slow begins")
    assert len({event["thread"] for event in began}) > 1


def test_an_invocation_over_the_function_timeout_is_named_in_the_log(web: RunningHost) -> None:
    assert web.ask("GET", "/slow?seconds=1.3").status == 200
    assert "slow runs longer than the functionTimeout of 1 s" in web.output()


def test_what_is_no_http_gets_400_and_the_host_goes_on(web: RunningHost) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=30) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    assert web.ask("GET", "/items/7").status == 200


def test_the_hosts_own_pages_want_the_master_key_but_for_the_ping(web: RunningHost) -> None:
    assert web.ask("GET", "/admin/host/ping").status == 200
    assert web.ask("GET", "/admin/host/status").status == 401
    assert web.ask("GET", f"/admin/host/status?code={web.keys['function']}").status == 401
    assert web.admin("GET", "/admin/host/status").json()["state"] == "Running"


def test_the_host_lists_its_functions(web: RunningHost) -> None:
    listed = {each["name"]: each for each in web.admin("GET", "/admin/functions").json()}
    assert listed["item_number"]["route"] == "items/{id:int}"
    assert listed["work"]["queueName"] == "%SAMPLE_QUEUE%"
    assert listed["each_second"]["schedule"] == "* * * * * *"
    assert web.admin("GET", "/admin/functions/Work").json()["trigger"] == "queueTrigger"
    assert web.admin("GET", "/admin/functions/none").status == 404


def test_a_queue_function_can_be_run_by_hand(web: RunningHost) -> None:
    order = json.dumps({"input": '{"by": "hand"}'}).encode()
    assert web.admin("POST", "/admin/functions/work", order).status == 202
    assert web.await_events("work done")[0]["body"] == '{"by": "hand"}'
    assert web.admin("POST", "/admin/functions/echo", order).status == 404


def test_keys_survive_a_restart_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    first = RunningHost.start(tmp_path)
    assert first.terminate() == 0
    second = RunningHost.start(tmp_path)
    try:
        assert second.keys == first.keys
        assert (tmp_path / "data" / "host-keys.json").stat().st_mode & 0o777 == 0o600
    finally:
        second.kill()


def test_sigterm_lets_a_running_request_finish(tmp_path: Path) -> None:
    host = RunningHost.start(tmp_path)
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(host.ask, "GET", "/slow?seconds=2")
            host.await_events("slow begins")
            assert host.terminate() == 0
            assert answer.result().body == b"slow"
    finally:
        host.kill()


def test_over_tls_the_url_is_https_and_a_clients_certificate_is_handed_on(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path / "tls")
    arguments = ["--tls-cert", str(files.cert), "--tls-key", str(files.key), "--tls-client-ca", str(files.ca)]
    host = RunningHost.start(tmp_path, arguments=arguments)
    try:
        context = ssl.create_default_context(cafile=str(files.ca))
        told = ask(host.port, "GET", "/echo", tls=context).json()
        assert told["url"] == f"https://127.0.0.1:{host.port}/echo"
        assert "x-arr-clientcert" not in told["headers"]
        # The server's own certificate is for servers only, so a client must bring another: the authority's.
        context.load_cert_chain(_client_certificate(tmp_path, files.ca, tmp_path / "tls" / "ca-key.pem"))
        told = ask(host.port, "GET", "/echo", headers=[("x-arr-clientcert", "forged")], tls=context).json()
        assert told["headers"]["x-arr-clientcert"].startswith("MII")
    finally:
        host.kill()


def test_an_app_that_cannot_be_imported_ends_the_host_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("import no_such_module_anywhere\n")
    ended = _run_host(tmp_path)
    assert ended.returncode == 1
    assert "no_such_module_anywhere" in ended.stderr


def test_two_functions_on_one_route_end_the_host_by_name(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.route('same')\n"
        "def first(req: func.HttpRequest) -> func.HttpResponse: ...\n"
        "@app.route('Same')\n"
        "def second(req: func.HttpRequest) -> func.HttpResponse: ...\n"
    )
    ended = _run_host(tmp_path)
    assert ended.returncode == 1
    assert "first and second both take" in ended.stderr


def test_a_port_that_is_taken_ends_the_host_with_that_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = _run_host(SAMPLE_APP, "--no-listeners", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert "Address already in use" in ended.stderr


def test_queues_without_a_storage_connection_end_the_host_by_name(tmp_path: Path) -> None:
    ended = _run_host(SAMPLE_APP, settings={"SAMPLE_QUEUE": "q", "SAMPLE_LOG": str(tmp_path / "log")})
    assert ended.returncode == 1
    assert "the queue trigger of work wants the setting OMS_STORAGE" in ended.stderr


def _run_host(
    app_root: Path, *arguments: str, settings: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "devhost",
        "host",
        "--app-root",
        str(app_root),
        "--port",
        "0",
        *arguments,
    ]
    environment = {"PYTHONPATH": str(REPO), "PATH": "/usr/bin", **(settings or {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def _client_certificate(folder: Path, ca: Path, ca_key: Path) -> Path:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(ca_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an agent")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.load_pem_x509_certificate(ca.read_bytes()).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    path = folder / "client.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path
