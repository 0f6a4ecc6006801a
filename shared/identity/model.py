"""Who is calling: a principal, and the errors of not being one or not being allowed."""

from dataclasses import dataclass
from typing import Final, NewType

from shared.kernel.errors import Category, OmsError

ObjectId = NewType("ObjectId", str)
"""The directory object id of a user or a service principal."""

ROOT: Final = "/"
"""The scope above all subscriptions: roles that arrive in a token hold here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose credential was checked. `roles` hold everywhere; assignments at a scope come on top."""

    object_id: ObjectId
    name: str
    tenant: str
    roles: frozenset[str] = frozenset()
    is_app: bool = False
    client_id: str = ""


class AuthenticationFailed(OmsError):
    """No credential, or one that does not hold. The message never repeats the credential."""

    category = Category.UNAUTHENTICATED
    code = "AuthenticationFailed"


class InvalidAuthenticationToken(AuthenticationFailed):
    code = "InvalidAuthenticationToken"


class ExpiredAuthenticationToken(AuthenticationFailed):
    code = "ExpiredAuthenticationToken"


class AuthorizationFailed(OmsError):
    """The caller is known and may not do this here."""

    category = Category.FORBIDDEN
    code = "AuthorizationFailed"


class CsrfTokenInvalid(OmsError):
    """A write under a session cookie came without the session's own token."""

    category = Category.FORBIDDEN
    code = "CsrfTokenInvalid"
