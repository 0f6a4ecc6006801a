"""Data keys wrapped by Key Vault, through the real client: versions, rotation, and a vault that says no."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from devhost.up.certificates import Certificates, ensure_certificates
from shared.cloud.keyvault import KeyVaultKey, KeyVaultUnavailable
from shared.identity.secrets import SecretBox
from shared.kernel.clock import ManualClock
from shared.storage.memory import MemoryStorage

NAME = "oms-data-keys"
OAEP_256 = OAEP(mgf=MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


@dataclass
class Vault:
    """As much of Key Vault's REST API as wrapping needs: the challenge, versions of a key, wrap and unwrap."""

    url: str = ""
    versions: dict[str, RSAPrivateKey] = field(default_factory=dict[str, RSAPrivateKey])
    allowed: bool = True

    def rotate(self) -> None:
        self.versions[f"{len(self.versions) + 1:032x}"] = generate_private_key(
            public_exponent=65537, key_size=2048
        )

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        _, _, name, *rest = path.partition("?")[0].rstrip("/").split("/")
        if not self.allowed:
            return 403, {"error": {"code": "Forbidden", "message": "no"}}
        if name != NAME or not self.versions:
            return 404, {"error": {"code": "KeyNotFound", "message": "no"}}
        version = rest[0] if rest else max(self.versions)
        key, kid = self.versions[version], f"{self.url}/keys/{NAME}/{version}"
        match rest[1:]:
            case ["unwrapkey"]:
                return 200, {"kid": kid, "value": _text(key.decrypt(_bytes(body["value"]), OAEP_256))}
            case ["wrapkey"]:
                return 200, {
                    "kid": kid,
                    "value": _text(key.public_key().encrypt(_bytes(body["value"]), OAEP_256)),
                }
            case _:
                numbers = key.public_key().public_numbers()
                shown = {
                    "kid": kid,
                    "kty": "RSA",
                    "key_ops": ["wrapKey", "unwrapKey"],
                    "n": _text(numbers.n.to_bytes(256)),
                    "e": _text(numbers.e.to_bytes(3)),
                }
                return 200, {"key": shown, "attributes": {"enabled": True}}


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Credential:
    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("token", 4_000_000_000)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("vault"))


@pytest.fixture
def vault(certificates: Certificates) -> Iterator[Vault]:
    made = Vault()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if "authorization" not in self.headers:
                status, answer = 401, dict[str, Any]()
            else:
                status, answer = made.answer(self.path, json.loads(body or b"{}"))
            data = json.dumps(answer).encode()
            self.send_response(status)
            if status == 401:
                tenant = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001"
                self.send_header(
                    "WWW-Authenticate", f'Bearer authorization="{tenant}", resource="https://vault.azure.net"'
                )
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = handle_any  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing: pytest shows what matters."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates.cert, certificates.key)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        made.url = f"https://localhost:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def key(vault: Vault, certificates: Certificates) -> KeyVaultKey:
    options = {
        "connection_verify": str(certificates.ca),
        "verify_challenge_resource": False,
        "retry_total": 0,
    }
    return KeyVaultKey(vault.url, Credential(), options=options)


def _box(storage: MemoryStorage, key: KeyVaultKey) -> SecretBox:
    return SecretBox(storage=storage, wrapper=key, clock=ManualClock(storage.clock.now()))


def test_secrets_sealed_under_the_vault_open_in_another_process(
    vault: Vault, key: KeyVaultKey, storage: MemoryStorage
):
    vault.rotate()
    sealed = _box(storage, key).seal(b"hunter2", path="p")
    assert _box(storage, key).open(sealed, path="p") == b"hunter2"


def test_secrets_open_after_the_vaults_key_was_rotated_and_data_keys_are_wrapped_anew(
    vault: Vault, key: KeyVaultKey, storage: MemoryStorage
):
    vault.rotate()
    sealed = _box(storage, key).seal(b"hunter2", path="p")
    vault.rotate()
    assert _box(storage, key).open(sealed, path="p") == b"hunter2"
    assert _box(storage, key).rewrap() == 1
    del vault.versions[min(vault.versions)]
    assert _box(storage, key).open(sealed, path="p") == b"hunter2"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_vault_without_the_key_or_that_forbids_it_is_named(
    allowed: bool, vault: Vault, key: KeyVaultKey, storage: MemoryStorage
):
    vault.allowed = allowed
    with pytest.raises(KeyVaultUnavailable, match=vault.url):
        _box(storage, key).seal(b"hunter2", path="p")


@pytest.mark.parametrize("key_id", ["file:000001", "kv:https://evil.example/keys/oms-data-keys/1"])
def test_a_key_of_somewhere_else_is_never_asked(key_id: str, key: KeyVaultKey):
    with pytest.raises(KeyVaultUnavailable):
        key.unwrap(key_id, b"x")
