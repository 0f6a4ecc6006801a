"""Storage reached with a bearer token over TLS, as on Azure with a managed identity."""

import ipaddress
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devhost.azurite import ACCOUNT, Azurite
from shared.storage.azure import AzureStorage
from shared.storage.ports import Insert, RowExists


class Identity:
    """Tokens as Entra writes them; Azurite reads their claims and leaves the signature unchecked."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, ...]] = set()

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked.add(scopes)
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
        }
        return AccessToken(jwt.encode(claims, "not checked, but long enough for HS256", "HS256"), now + 3600)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return public, private


@pytest.fixture(scope="module")
def secure_azurite(certificate: tuple[Path, Path]) -> Iterator[Azurite]:
    with Azurite.start(log_file=certificate[0].with_name("azurite.log"), tls=certificate) as running:
        yield running


def test_an_identity_reads_and_writes_all_three_services(
    secure_azurite: Azurite, certificate: tuple[Path, Path]
):
    identity = Identity()
    blob, queue, table = (
        f"{secure_azurite.endpoints[name]}/{ACCOUNT}" for name in ("blob", "queue", "table")
    )
    with AzureStorage.from_identity(
        blob=blob, queue=queue, table=table, credential=identity, ca_file=str(certificate[0])
    ) as account:
        account.ping()
        account.blobs("box").put("a", b"1", if_absent=True)
        assert account.blobs("box").get("a") == b"1"
        account.table("rows").transact("p", [Insert(key="k", values={"n": 1})])
        with pytest.raises(RowExists):
            account.table("rows").insert("p", "k", {"n": 2})
        account.queue("work").send("x")
        assert [message.body for message in account.queue("work").receive()] == ["x"]
    assert identity.asked == {("https://storage.azure.com/.default",)}
