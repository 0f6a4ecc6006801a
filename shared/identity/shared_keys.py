"""HMAC signatures by a workspace's shared keys: the Data Collector's form, the OMS agent's, and the hybrid worker's."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from shared.kernel.errors import Category, OmsError

CLOCK_SKEW: Final = timedelta(minutes=15)
KEY_BYTES: Final = 64

# 2026-11-22T19:41:31.166990296+00:00 (OMS agent), 2026-11-22T20:27:23.4424255Z (DSC): more digits than Python reads.
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)


class InvalidSignature(OmsError):
    """The signature is none of the workspace's keys', or its date is too far from now. The collector answers 403."""

    category = Category.FORBIDDEN
    code = "InvalidAuthorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A workspace's two keys, base64 of 64 bytes each. Either is good, so that one can be replaced at a time."""

    primary: str
    secondary: str

    def __repr__(self) -> str:
        return "KeyPair(…)"


def new_key(random: bytes) -> str:
    if len(random) != KEY_BYTES:
        raise ValueError(f"a shared key is made of {KEY_BYTES} random bytes")
    return base64.b64encode(random).decode()


def data_collector_signature(
    key: str, *, length: int, content_type: str, date: str, method: str = "POST", resource: str = "/api/logs"
) -> str:
    """What follows the colon in `SharedKey {workspaceId}:…`. The signature covers the body's length, not the body."""
    return _sign(base64.b64decode(key), f"{method}\n{length}\n{content_type}\nx-ms-date:{date}\n{resource}")


def parse_shared_key(authorization: str) -> tuple[str, str]:
    """The workspace id (lower case) and the signature of `SharedKey {workspaceId}:{signature}`."""
    scheme, _, rest = authorization.strip().partition(" ")
    workspace, colon, signature = rest.strip().partition(":")
    if scheme.lower() != "sharedkey" or not colon or not workspace or not signature:
        raise InvalidSignature("the Authorization header is not of the form SharedKey workspaceId:signature")
    return workspace.strip().lower(), signature.strip()


def check_data_collector(
    keys: KeyPair,
    signature: str,
    *,
    length: int,
    content_type: str,
    date: str,
    now: datetime,
    method: str = "POST",
    resource: str = "/api/logs",
) -> None:
    """InvalidSignature, unless either key made the signature and the date is within 15 minutes of now.

    Some clients sign the media type alone and send it with a charset, so both spellings are tried.
    """
    check_date(date, now=now)
    types = {content_type, content_type.split(";")[0].strip(), "application/json"}
    _check(
        signature,
        (
            data_collector_signature(
                key, length=length, content_type=each, date=date, method=method, resource=resource
            )
            for key in (keys.primary, keys.secondary)
            for each in sorted(types)
        ),
    )


def content_hash(body: bytes) -> str:
    """The base64 SHA-256 that agents send as `x-ms-SHA256_Content`."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def agent_signature(key: str, *, date: str, body_hash: str) -> str:
    """What follows the semicolon in the OMS agent's `{workspaceId}; …`."""
    return _sign(base64.b64decode(key), f"{date}\n{body_hash}\n")


def parse_agent_authorization(authorization: str) -> tuple[str, str]:
    """The workspace id (lower case) and the signature of `{workspaceId}; {signature}`."""
    workspace, semicolon, signature = authorization.partition(";")
    if not semicolon or not workspace.strip() or not signature.strip():
        raise InvalidSignature("the Authorization header is not of the form workspaceId; signature")
    return workspace.strip().lower(), signature.strip()


def check_agent(
    keys: KeyPair, signature: str, *, body: bytes, sent_hash: str, date: str, now: datetime
) -> None:
    """InvalidSignature, unless the hash is the body's, either key signed it, and the date is within 15 minutes of now."""
    check_date(date, now=now)
    if not hmac.compare_digest(content_hash(body).encode(), sent_hash.encode()):
        raise InvalidSignature("x-ms-SHA256_Content is not the hash of the body")
    _check(
        signature,
        (agent_signature(key, date=date, body_hash=sent_hash) for key in (keys.primary, keys.secondary)),
    )


def registration_signature(key: str, *, body: bytes, date: str) -> str:
    """What follows `Shared ` from hybrid workers and DSC nodes. Their key is used as text, not decoded."""
    return _sign(key.encode(), f"{content_hash(body)}\n{date}")


def check_registration(
    keys: Sequence[str], authorization: str, *, body: bytes, date: str, now: datetime
) -> None:
    """InvalidSignature, unless one of the keys signed this body and the date is within 15 minutes of now."""
    check_date(date, now=now)
    scheme, _, signature = authorization.strip().partition(" ")
    if scheme.lower() != "shared" or not signature:
        raise InvalidSignature("the Authorization header is not of the form Shared signature")
    _check(signature.strip(), (registration_signature(key, body=body, date=date) for key in keys))


def check_date(date: str, *, now: datetime) -> datetime:
    """The instant that `x-ms-date` names (RFC 1123 or ISO 8601), if it is within 15 minutes of now."""
    at = _parse_date(date)
    if at is None:
        raise InvalidSignature("x-ms-date is neither an RFC 1123 nor an ISO 8601 date", target="x-ms-date")
    if abs(now - at) > CLOCK_SKEW:
        raise InvalidSignature(
            f"x-ms-date is {abs(now - at).total_seconds():.0f} s from the server's time; "
            f"at most {CLOCK_SKEW.total_seconds():.0f} s are accepted",
            target="x-ms-date",
        )
    return at


def _parse_date(date: str) -> datetime | None:
    if match := _ISO.fullmatch(date.strip()):
        zone = match[2]
        try:
            return datetime.fromisoformat(match[1] + ("+00:00" if zone is None or zone in "Zz" else zone))
        except ValueError:
            return None
    try:
        at = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _sign(key: bytes, text: str) -> str:
    return base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()


def _check(signature: str, good: Iterable[str]) -> None:
    try:
        found = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSignature("the signature is not base64") from None
    # Every candidate is compared, and each in constant time: how long it takes tells nothing of which one matched.
    matched = [hmac.compare_digest(found, base64.b64decode(each)) for each in good]
    if not any(matched):
        raise InvalidSignature("the signature is not one of this workspace's keys'")
