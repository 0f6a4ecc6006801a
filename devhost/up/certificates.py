"""A certificate authority of this machine's own, and the certificate it gives the host."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_DAYS: Final = 3650
# What browsers and Apple's clients accept at most is 398 days.
_SERVER_DAYS: Final = 397
_RENEW_DAYS: Final = 30
_BACKDATED: Final = timedelta(hours=1)
_NAMES: Final = ("localhost", "*.ods.localhost", "*.oms.localhost")
_ADDRESSES: Final = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files in PEM. `ca` is what clients must trust; `cert` carries the chain."""

    ca: Path
    cert: Path
    key: Path


def ensure_certificates(folder: Path, *, now: datetime | None = None) -> Certificates:
    """The machine's certificates, made where they are missing or about to expire. The authority stays the same."""
    at = now or datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(ca=folder / "ca.pem", cert=folder / "server.pem", key=folder / "server-key.pem")
    ca_key_file = folder / "ca-key.pem"
    if not (files.ca.is_file() and ca_key_file.is_file() and _lasts(files.ca, at)):
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _authority(ca_key, at)
        _write(ca_key_file, _pem_of(ca_key))
        _write(files.ca, ca.public_bytes(serialization.Encoding.PEM))
        files.cert.unlink(missing_ok=True)
    if not (files.cert.is_file() and files.key.is_file() and _lasts(files.cert, at)):
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        ca_key = serialization.load_pem_private_key(ca_key_file.read_bytes(), None)
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{ca_key_file} is not a key of ours: remove {folder} to get new certificates")
        key = ec.generate_private_key(ec.SECP256R1())
        cert = _server(key, ca, ca_key, at)
        _write(files.key, _pem_of(key))
        _write(
            files.cert,
            cert.public_bytes(serialization.Encoding.PEM) + ca.public_bytes(serialization.Encoding.PEM),
        )
    return files


def _authority(key: ec.EllipticCurvePrivateKey, at: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"OMS local CA ({socket.gethostname()[:32]})")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, at: datetime
) -> x509.Certificate:
    names = [x509.DNSName(name) for name in (*_NAMES, socket.gethostname())]
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + timedelta(days=_SERVER_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _lasts(certificate: Path, at: datetime) -> bool:
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    return loaded.not_valid_after_utc - at > timedelta(days=_RENEW_DAYS)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    mode = 0o644 if path.name in ("ca.pem", "server.pem") else 0o600
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
