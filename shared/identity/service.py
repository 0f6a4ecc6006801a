"""Identity as the edge sees it: a credential in, a principal out, and the decision whether it may."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shared.identity.access import Access
from shared.identity.local_issuer import LocalIssuer
from shared.identity.model import (
    AuthenticationFailed,
    InvalidAuthenticationToken,
    ObjectId,
    Principal,
)
from shared.identity.sign_in import Session, SignIns

# The claim types under which App Service authentication passes on what Entra said.
_OBJECT_ID: Final = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_TENANT: Final = "http://schemas.microsoft.com/identity/claims/tenantid"
_ROLE: Final = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


class Validator(Protocol):
    def principal(self, token: str) -> Principal: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTokens:
    """Stands in where no audience is configured: every token is refused, and the setting is named."""

    def principal(self, token: str) -> Principal:  # noqa: ARG002 - the port's signature
        raise AuthenticationFailed(
            "bearer tokens are refused until OMS_AUDIENCE names the app registration", target="OMS_AUDIENCE"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`issuer` is there only where the bundle signs its own tokens."""

    tokens: Validator
    access: Access
    sign_ins: SignIns
    tenant: str
    issuer: LocalIssuer | None = None
    trust_easy_auth: bool = False
    secure_cookies: bool = False

    def of_authorization(self, header: str) -> Principal:
        """The principal of an `Authorization: Bearer …` header. AuthenticationFailed."""
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise InvalidAuthenticationToken("the Authorization header is not of the form Bearer token")
        return self.tokens.principal(token.strip())

    def of_easy_auth(self, header: str) -> Session | None:
        """The session that App Service authentication vouches for; None where the platform's header is not trusted."""
        if not self.trust_easy_auth or not header:
            return None
        try:
            passed: dict[str, Any] = json.loads(base64.b64decode(header))
            claims = [(str(each["typ"]), str(each["val"])) for each in passed["claims"]]
        except (binascii.Error, ValueError, KeyError, TypeError):
            raise InvalidAuthenticationToken("X-MS-CLIENT-PRINCIPAL does not parse") from None
        first = dict(reversed(claims))
        subject = first.get(_OBJECT_ID) or first.get("oid")
        tenant = first.get(_TENANT) or first.get("tid", "")
        if not subject or tenant.lower() != self.tenant.lower():
            raise InvalidAuthenticationToken("the signed-in user is of another tenant", target="tid")
        role_type = str(passed.get("role_typ") or _ROLE)
        principal = Principal(
            object_id=ObjectId(subject),
            name=first.get("name") or first.get("preferred_username") or subject,
            tenant=tenant,
            roles=frozenset(value for kind, value in claims if kind in (role_type, _ROLE, "roles")),
        )
        return self.sign_ins.start(principal, session_id=subject)

    def sign_in(self, one_time: str) -> Session:
        """SignInTokenInvalid."""
        return self.sign_ins.sign_in(one_time)

    def session(self, cookie: str) -> Session | None:
        return self.sign_ins.session(cookie)

    def authorize(self, principal: Principal, action: str, scope: str = "/") -> None:
        """AuthorizationFailed."""
        self.access.authorize(principal, action, scope)
