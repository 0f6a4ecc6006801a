"""Bearer tokens: what every JWT must carry, and the principal that its claims describe."""

import hashlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

import jwt

from shared.identity.model import (
    ExpiredAuthenticationToken,
    InvalidAuthenticationToken,
    ObjectId,
    Principal,
)

# RS256 and nothing else: an algorithm taken from the token's own header is the classic hole.
ALGORITHM: Final = "RS256"
REQUIRED_CLAIMS: Final = ("exp", "iat", "nbf", "aud", "iss", "tid")
KEEP_SECONDS: Final = 60.0
MAX_CHECKED: Final = 2048
LEEWAY_SECONDS: Final = 300  # Entra's own libraries allow five minutes of skew

AZURE_AUDIENCES: Final = frozenset(
    {
        "https://management.azure.com",
        "https://management.core.windows.net",
        "https://monitor.azure.com",
        "https://api.loganalytics.io",
        "https://api.loganalytics.azure.com",
        "https://graph.microsoft.com",
        "https://vault.azure.net",
        "https://storage.azure.com",
    }
)
"""What unmodified Azure clients ask a token for. The local issuer gives and takes these beside the bundle's own URL."""


class SigningKeys(Protocol):
    """Where the public keys of an issuer come from."""

    def key(self, kid: str) -> jwt.PyJWK:
        """InvalidAuthenticationToken where the issuer has no such key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenValidator:
    """Checks tokens of one tenant. `audiences` are compared without the slash at their end."""

    keys: SigningKeys
    issuers: Collection[str]
    audiences: Collection[str]
    tenant: str
    _checked: dict[bytes, tuple[float, Principal]] = field(
        default_factory=dict[bytes, tuple[float, Principal]], repr=False
    )

    def principal(self, token: str) -> Principal:
        """InvalidAuthenticationToken or ExpiredAuthenticationToken, which say what is wrong and never show the token.

        A token that was found good is taken again for a minute (never beyond its end) without checking the signature.
        """
        digest, now = hashlib.sha256(token.encode()).digest(), time.time()
        known = self._checked.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        principal, ends = self._check(token)
        if len(self._checked) >= MAX_CHECKED:
            self._checked.clear()
        self._checked[digest] = (min(now + KEEP_SECONDS, ends), principal)
        return principal

    def _check(self, token: str) -> tuple[Principal, float]:
        claims = self._claims(token)
        if str(claims["tid"]).lower() != self.tenant.lower():
            raise InvalidAuthenticationToken("the token is of another tenant", target="tid")
        if str(claims["iss"]) not in self.issuers:
            raise InvalidAuthenticationToken("the token is of another issuer", target="iss")
        given: Any = claims["aud"]
        audiences = cast("list[Any]", given if isinstance(given, list) else [given])
        known = {audience.rstrip("/").lower() for audience in self.audiences}
        if not any(str(audience).rstrip("/").lower() in known for audience in audiences):
            raise InvalidAuthenticationToken("the token is for another audience", target="aud")
        return principal_of_claims(claims), float(claims["exp"])

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != ALGORITHM:
                raise InvalidAuthenticationToken(f"tokens are signed with {ALGORITHM}", target="alg")
            kid = header.get("kid")
            if not isinstance(kid, str):
                raise InvalidAuthenticationToken("the token names no key", target="kid")
            return jwt.decode(
                token,
                self.keys.key(kid),
                algorithms=[ALGORITHM],
                leeway=LEEWAY_SECONDS,
                options={"require": list(REQUIRED_CLAIMS), "verify_aud": False, "verify_iss": False},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredAuthenticationToken("the token has expired", target="exp") from None
        except jwt.MissingRequiredClaimError as missing:
            raise InvalidAuthenticationToken(
                f"the token has no claim {missing.claim}", target=missing.claim
            ) from None
        except jwt.PyJWTError as wrong:
            raise InvalidAuthenticationToken(f"the token does not hold: {type(wrong).__name__}") from None


class Validator(Protocol):
    def principal(self, token: str) -> Principal: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ByIssuer:
    """Agents carry tokens that the bundle signed itself; people and programs those of `others`."""

    own_issuer: str
    own: Validator
    others: Validator

    def principal(self, token: str) -> Principal:
        """Whoever claims to have signed it is asked to check it."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return self.others.principal(token)
        validator = self.own if claims.get("iss") == self.own_issuer else self.others
        return validator.principal(token)


def principal_of_claims(claims: Mapping[str, Any]) -> Principal:
    """Entra's claims, of both token versions: `oid`, `name`, `roles`, `appid` or `azp`, `idtyp`."""
    client = str(claims.get("azp") or claims.get("appid") or "")
    subject = str(claims.get("oid") or claims.get("sub") or "")
    if not subject:
        raise InvalidAuthenticationToken("the token names no object id", target="oid")
    name = claims.get("name") or claims.get("preferred_username") or claims.get("upn")
    roles: object = claims.get("roles") or ()
    listed = [str(role) for role in roles] if isinstance(roles, list | tuple) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return Principal(
        object_id=ObjectId(subject),
        name=str(name or claims.get("app_displayname") or client or subject),
        tenant=str(claims.get("tid", "")),
        roles=frozenset(listed),
        is_app=claims.get("idtyp") == "app" or (not name and bool(client)),
        client_id=client,
    )
