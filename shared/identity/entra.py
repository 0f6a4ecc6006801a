"""Microsoft Entra's signing keys: fetched once, kept, and fetched again when a token names one we have not seen."""

import json
import logging
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import jwt

from shared.identity.model import InvalidAuthenticationToken
from shared.identity.tokens import TokenValidator
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError

log = logging.getLogger(__name__)

AUTHORITY: Final = "https://login.microsoftonline.com"
KEEP_SECONDS: Final = 24 * 3600.0
# Anybody can send a token with an invented kid; it must not make us call Entra each time.
REFETCH_SECONDS: Final = 60.0

Fetch = Callable[[str], Mapping[str, Any]]


class SigningKeysUnavailable(OmsError):
    """The issuer's keys cannot be fetched right now; the token may be good."""

    category = Category.UNAVAILABLE
    code = "SigningKeysUnavailable"


@dataclass(slots=True, kw_only=True)
class FetchedKeys:
    """An issuer's JWKS. A kid we do not know makes it fetch again, at most once a minute; keys stay good when that fails."""

    url: str
    fetch: Fetch
    clock: Clock
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict[str, jwt.PyJWK])
    _fetched: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def key(self, kid: str) -> jwt.PyJWK:
        with self._lock:
            now = self.clock.monotonic()
            age = None if self._fetched is None else now - self._fetched
            known = self._keys.get(kid)
            stale = age is None or age > KEEP_SECONDS
            if stale or (known is None and age is not None and age > REFETCH_SECONDS):
                self._refetch(now, must=known is None)
                known = self._keys.get(kid)
        if known is None:
            raise InvalidAuthenticationToken(
                "the token was signed with a key that its issuer does not list", target="kid"
            )
        return known

    def _refetch(self, now: float, *, must: bool) -> None:
        try:
            listed = self.fetch(self.url)["keys"]
        except (OSError, ValueError, KeyError) as failed:
            if must and not self._keys:
                raise SigningKeysUnavailable(
                    f"the signing keys cannot be fetched: {type(failed).__name__}",
                    target=self.url,
                    retry_after=5,
                ) from None
            log.warning("signing keys not fetched", extra={"url": self.url, "cause": type(failed).__name__})
            self._fetched = now - KEEP_SECONDS + REFETCH_SECONDS if self._fetched is not None else None
            return
        self._keys = {
            each["kid"]: jwt.PyJWK(each, algorithm="RS256")
            for each in listed
            if each.get("kty") == "RSA" and each.get("use", "sig") == "sig" and "kid" in each
        }
        self._fetched = now


def fetch_json(url: str) -> Mapping[str, Any]:
    """GET over https only, ten seconds at most."""
    if not url.startswith("https://"):
        raise ValueError("keys are fetched over https")
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the scheme was checked above
        return json.loads(answer.read(1 << 20))


def entra_validator(*, tenant: str, audience: str, clock: Clock, fetch: Fetch = fetch_json) -> TokenValidator:
    """Checks Entra tokens (v1 and v2) of `tenant` for `audience`, an App ID URI or a client id (then api://… too)."""
    return TokenValidator(
        keys=FetchedKeys(url=f"{AUTHORITY}/{tenant}/discovery/v2.0/keys", fetch=fetch, clock=clock),
        issuers=(f"{AUTHORITY}/{tenant}/v2.0", f"https://sts.windows.net/{tenant}/"),
        audiences=(audience,) if "://" in audience else (audience, f"api://{audience}"),
        tenant=tenant,
    )
