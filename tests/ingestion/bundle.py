"""The whole bundle in a process of its own, plain or over TLS, and the network as its clients know it."""

import http.client
import ipaddress
import json
import os
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parent.parent.parent
SECRET = "only-for-this-test"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A host that answers, with its default workspace. `proxy` leads every host name of Azure's to it."""

    url: str
    ca: Path | None
    facts: Mapping[str, str]
    proxy: str

    def run(self, script: str, *arguments: str, **values: Any) -> Any:
        """What a client's script prints as JSON; it finds `values` and `facts` as `given`."""
        given = {"url": self.url, "facts": dict(self.facts), **values}
        environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        environment |= {"GIVEN": json.dumps(given), "NO_PROXY": "127.0.0.1"}
        if self.ca is not None:
            environment |= {
                "HTTPS_PROXY": self.proxy,
                "REQUESTS_CA_BUNDLE": str(self.ca),
                "SSL_CERT_FILE": str(self.ca),
            }
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import json, os\ngiven = json.loads(os.environ['GIVEN'])\n{script}",
                *arguments,
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request with nothing between it and the wire."""
        host, port = self.url.split("//")[1].split(":")
        connection = (
            http.client.HTTPConnection(host, int(port), timeout=60)
            if self.ca is None
            else http.client.HTTPSConnection(
                host, int(port), timeout=60, context=ssl.create_default_context(cafile=str(self.ca))
            )
        )
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def query(self, kql: str) -> list[dict[str, Any]]:
        """The answer's rows, by the query API."""
        status, _, body = self.request(
            "POST",
            f"/v1/workspaces/{self.facts['workspaceId']}/query",
            json.dumps({"query": kql}).encode(),
            {"authorization": f"Bearer {self.facts['token']}", "content-type": "application/json"},
        )
        assert status == 200, body[:1000]
        table = json.loads(body)["tables"][0]
        names = [column["name"] for column in table["columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["rows"]]


@contextmanager
def running(folder: Path, connection: str, *, tls: bool) -> Generator[Bundle]:
    """The bundle on a free port, with its state in `connection`."""
    files = make_certificates(folder) if tls else None
    port_file, log_file = folder / "port", folder / "host.log"
    command = [sys.executable, "-m", "devhost", "host", "--app-root", str(ROOT), "--port", "0"]
    command += [
        "--port-file",
        str(port_file),
        "--data-dir",
        str(folder / "host"),
        "--no-listeners",
        "--lifeline",
    ]
    if files is not None:
        command += ["--tls-cert", str(files[1]), "--tls-key", str(files[2])]
    environment = os.environ | {
        "OMS_STORAGE": connection,
        "AzureWebJobsStorage": connection,
        "OMS_ISSUER": "local",
        "OMS_BOOTSTRAP_SECRET": SECRET,
        "OMS_DATA_DIR": str(folder / "data"),
    }
    with log_file.open("wb") as log:
        host = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    proxy: socketserver.ThreadingTCPServer | None = None
    try:
        port = _port(host, port_file, log_file)
        proxy = _Proxy(("127.0.0.1", 0), port)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        bundle = Bundle(
            url=f"{'https' if tls else 'http'}://127.0.0.1:{port}",
            ca=None if files is None else files[0],
            facts={},
            proxy=f"http://127.0.0.1:{proxy.server_address[1]}",
        )
        status, _, body = bundle.request("POST", "/operations/bootstrap", headers={"x-oms-bootstrap": SECRET})
        assert status == 200, body + log_file.read_bytes()[-3000:]
        yield Bundle(url=bundle.url, ca=bundle.ca, facts=json.loads(body), proxy=bundle.proxy)
    finally:
        if proxy is not None:
            proxy.shutdown()
            proxy.server_close()
        host.terminate()
        host.communicate(timeout=60)


def _port(host: subprocess.Popen[bytes], port_file: Path, log_file: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if host.poll() is not None:
            break
        if port_file.is_file() and (text := port_file.read_text().strip()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError(f"the host does not answer: {log_file.read_text()[-5000:]}")


class _Proxy(socketserver.ThreadingTCPServer):
    """Takes CONNECT to any name and tunnels to the bundle: what DNS does for clients that know Azure's names only."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], port: int) -> None:
        super().__init__(address, _Tunnel)
        self.port = port


class _Tunnel(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        client: socket.socket = self.request
        assert isinstance(self.server, _Proxy)
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(4096)
            if not part:
                return
            head += part
        with socket.create_connection(("127.0.0.1", self.server.port)) as host:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {client: host, host: client}
            while True:
                for ready in select.select(list(ends), [], [], 60)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    ends[ready].sendall(data)


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority, and a certificate of it for Azure's host names: the files of authority, certificate, key."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def builder(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )

    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [
        x509.DNSName("*.ods.opinsights.azure.com"),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    cert = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oms")]), key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    files = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    files[2].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files
