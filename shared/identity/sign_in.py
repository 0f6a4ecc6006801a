"""Getting into the portal: one-time sign-in tokens, and the signed session they turn into."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from threading import Lock
from typing import Any, Final

from shared.identity.model import AuthenticationFailed, ObjectId, Principal
from shared.identity.secrets import SecretBox
from shared.kernel.clock import Clock
from shared.kernel.versions import check_version
from shared.storage.ports import RowChanged, RowNotFound, Storage, Table

TABLE: Final = "omssignin"
VERSION: Final = 1
LINK_LIFETIME: Final = timedelta(minutes=15)
SESSION_LIFETIME: Final = timedelta(hours=12)
COOKIE: Final = "oms_session"
_LINKS: Final = "links"


class SignInTokenInvalid(AuthenticationFailed):
    """Unknown, expired, or used before. Which of these is not said."""

    code = "SignInTokenInvalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser. `cookie` is the cookie's value; every write must repeat `csrf` in a header or form field."""

    id: str
    principal: Principal
    expires: datetime
    csrf: str
    cookie: str = field(repr=False)

    def set_cookie(self, *, secure: bool) -> str:
        """The `Set-Cookie` header."""
        seconds = int(SESSION_LIFETIME.total_seconds())
        return (
            f"{COOKIE}={self.cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}"
            f"{'; Secure' if secure else ''}"
        )


def clear_cookie() -> str:
    """The `Set-Cookie` header that signs the browser out."""
    return f"{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"


@dataclass(slots=True, kw_only=True)
class SignIns:
    storage: Storage
    box: SecretBox
    clock: Clock
    random: Callable[[int], bytes] = token_bytes
    _signing_key: bytes | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock)

    def make_link(self, principal: Principal, *, lifetime: timedelta = LINK_LIFETIME) -> str:
        """A token of 256 bits, good once. Only its hash is stored."""
        token = base64.urlsafe_b64encode(self.random(32)).decode().rstrip("=")
        self._table.insert(
            _LINKS,
            _hash(token),
            {
                "v": VERSION,
                "principal": json.dumps(_to_json(principal)),
                "expires": self.clock.now() + lifetime,
                "used": False,
            },
        )
        return token

    def sign_in(self, one_time: str) -> Session:
        """The session of a one-time token, which is used up. SignInTokenInvalid."""
        try:
            row = self._table.get(_LINKS, _hash(one_time))
        except RowNotFound:
            raise _invalid() from None
        check_version("a sign-in token", row.values.get("v"), current=VERSION)
        expires = row.values["expires"]
        if row.values["used"] or not isinstance(expires, datetime) or expires <= self.clock.now():
            raise _invalid()
        try:
            self._table.replace(row, {**row.values, "used": True})
        except (RowChanged, RowNotFound):  # of two browsers with one link, the second is refused
            raise _invalid() from None
        return self.start(_from_json(json.loads(str(row.values["principal"]))))

    def start(self, principal: Principal, *, session_id: str | None = None) -> Session:
        """A session for a principal whose credential was just checked. `session_id` where the platform keeps the session."""
        session_id = session_id or self.random(16).hex()
        expires = self.clock.now().replace(microsecond=0) + SESSION_LIFETIME
        payload = json.dumps(
            {
                "v": VERSION,
                "sid": session_id,
                "exp": int(expires.timestamp()),
                "principal": _to_json(principal),
            },
            separators=(",", ":"),
        )
        body = base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")
        return Session(
            id=session_id,
            principal=principal,
            expires=expires,
            csrf=self.csrf(session_id),
            cookie=f"{body}.{self._sign('session', body)}",
        )

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie's value; None where it is forged, expired or of another release."""
        body, _, signature = cookie.partition(".")
        if not hmac.compare_digest(self._sign("session", body).encode(), signature.encode()):
            return None
        try:
            payload = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (binascii.Error, ValueError):
            return None
        expires = datetime.fromtimestamp(payload["exp"], UTC)
        if payload["v"] not in (VERSION, VERSION - 1) or expires <= self.clock.now():
            return None
        return Session(
            id=payload["sid"],
            principal=_from_json(payload["principal"]),
            expires=expires,
            csrf=self.csrf(payload["sid"]),
            cookie=cookie,
        )

    def csrf(self, session_id: str) -> str:
        """The token that a page of this session carries and a foreign page cannot know."""
        return self._sign("csrf", session_id)

    def sweep(self) -> int:
        """Remove tokens that are used or expired; how many."""
        now, gone = self.clock.now(), 0
        for row in list(self._table.query(_LINKS)):
            check_version("a sign-in token", row.values.get("v"), current=VERSION)
            expires = row.values["expires"]
            if row.values["used"] or (isinstance(expires, datetime) and expires <= now):
                self._table.delete(_LINKS, row.key)
                gone += 1
        return gone

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)

    def _sign(self, what: str, text: str) -> str:
        digest = hmac.digest(self._key(), f"{what}\n{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _key(self) -> bytes:
        with self._lock:
            if self._signing_key is None:
                self._signing_key = self.box.shared_key("sessions")
            return self._signing_key


def _invalid() -> SignInTokenInvalid:
    return SignInTokenInvalid("this sign-in link was used, has expired, or never was one: ask for a new one")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _to_json(principal: Principal) -> dict[str, Any]:
    return {
        "oid": principal.object_id,
        "name": principal.name,
        "tid": principal.tenant,
        "roles": sorted(principal.roles),
        "app": principal.is_app,
        "azp": principal.client_id,
    }


def _from_json(data: dict[str, Any]) -> Principal:
    return Principal(
        object_id=ObjectId(data["oid"]),
        name=data["name"],
        tenant=data["tid"],
        roles=frozenset(data["roles"]),
        is_app=data["app"],
        client_id=data["azp"],
    )
