"""From a request to its principal, and from there to yes or no, in one line of a handler."""

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final, cast

import azure.functions as func

from shared.identity.model import AuthenticationFailed, CsrfTokenInvalid, Principal
from shared.identity.service import Identity
from shared.identity.sign_in import COOKIE, Session

CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def allow(req: func.HttpRequest, identity: Identity, action: str, scope: str = "/") -> Principal:
    """The caller, if it may do `action` at `scope`: AuthenticationFailed (401), AuthorizationFailed (403)."""
    principal = authenticate(req, identity)
    identity.authorize(principal, action, scope)
    return principal


def authenticate(req: func.HttpRequest, identity: Identity) -> Principal:
    """The caller: a bearer token, or a browser's session, which must repeat its CSRF token with every write."""
    if header := header_of(req, "Authorization"):
        return identity.of_authorization(header)
    session = session_of(req, identity)
    if session is None:
        raise AuthenticationFailed("Authentication failed. The 'Authorization' header is missing.")
    if (req.method or "GET").upper() not in _SAFE:
        check_csrf(session, header_of(req, CSRF_HEADER))
    return session.principal


def principal_of(req: func.HttpRequest, identity: Identity) -> Principal | None:
    """Who is signed in, for a page that is shown either way. It never allows a write: `authenticate` does."""
    session = session_of(req, identity)
    return None if session is None else session.principal


def session_of(req: func.HttpRequest, identity: Identity) -> Session | None:
    """The browser's session: our cookie, or App Service authentication where it is trusted."""
    try:
        cookie = SimpleCookie(header_of(req, "Cookie")).get(COOKIE)
    except CookieError:
        cookie = None
    if cookie is not None and (session := identity.session(cookie.value)) is not None:
        return session
    return identity.of_easy_auth(header_of(req, "X-MS-CLIENT-PRINCIPAL"))


def check_csrf(session: Session, token: str) -> None:
    """For a form, whose token comes in a field. CsrfTokenInvalid."""
    if not hmac.compare_digest(token.encode(), session.csrf.encode()):
        raise CsrfTokenInvalid(f"a write from a browser repeats its session's token in {CSRF_HEADER}")


def header_of(req: func.HttpRequest, name: str) -> str:
    """A header's value in any case of its name, '' where it is absent."""
    headers = cast("Mapping[str, str]", req.headers)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    return headers.get(name, "")
