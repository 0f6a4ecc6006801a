"""The bundle as its own token issuer, for `oms up`: one RSA key, its clients, and tokens that Azure's SDKs accept."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_bytes
from threading import Lock
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from shared.identity.model import InvalidAuthenticationToken, ObjectId, Principal
from shared.identity.secrets import SecretBox
from shared.identity.tokens import ALGORITHM, AZURE_AUDIENCES, TokenValidator
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, derived_id, random_id
from shared.kernel.versions import check_version
from shared.storage.ports import RowExists, RowNotFound, Storage

TABLE: Final = "omsissuer"
VERSION: Final = 1
LIFETIME: Final = timedelta(hours=1)
_KEY_PATH: Final = "identity/issuer-key"
_KEY: Final = "key"
_CLIENTS: Final = "clients"


class InvalidClient(OmsError):
    """The token endpoint's refusal, in OAuth's words (`error`, `error_description`)."""

    category = Category.UNAUTHENTICATED
    code = "invalid_client"


class NoLocalIssuer(OmsError):
    """This bundle's tokens come from Microsoft Entra."""

    category = Category.NOT_FOUND
    code = "NotFound"


class UnknownRole(OmsError):
    code = "RoleDefinitionDoesNotExist"


class InvalidScope(OmsError):
    code = "invalid_scope"


class UnsupportedGrant(OmsError):
    code = "unsupported_grant_type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application that may ask for tokens. Its secret is kept as a hash only."""

    client_id: str
    name: str
    roles: Sequence[str]

    @property
    def object_id(self) -> ObjectId:
        return ObjectId(derived_id("service principal", self.client_id))


@dataclass(slots=True, kw_only=True)
class LocalIssuer:
    """Signs for one tenant. The key is made once, sealed, and shared by all processes on the same storage."""

    storage: Storage
    box: SecretBox
    clock: Clock
    tenant: str
    base_url: str
    new_id: NewId = random_id
    random: Callable[[int], bytes] = token_bytes
    _private: RSAPrivateKey | None = field(default=None, repr=False)
    _public: jwt.PyJWK | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def issuer(self) -> str:
        return f"{self.base_url}/{self.tenant}/v2.0"

    def issue(self, principal: Principal, *, audience: str, lifetime: timedelta = LIFETIME) -> str:
        """A bearer token that says who `principal` is. `audience` as an Azure client would spell it."""
        now = int(self.clock.now().timestamp())
        claims: dict[str, Any] = {
            "aud": audience.rstrip("/"),
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "tid": self.tenant,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "name": principal.name,
            "roles": sorted(principal.roles),
            "ver": "2.0",
        }
        if principal.client_id:
            claims |= {"azp": principal.client_id, "appid": principal.client_id}
        if principal.is_app:
            claims["idtyp"] = "app"
        key = self._key()
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _kid(key)})

    def register(
        self, name: str, *, roles: Sequence[str], client_id: str | None = None
    ) -> tuple[Client, str]:
        """A client and its secret, which is shown this once. Registering an id again gives it a new secret."""
        client = Client(client_id=client_id or self.new_id(), name=name, roles=tuple(roles))
        secret = base64.urlsafe_b64encode(self.random(32)).decode().rstrip("=")
        table = self.storage.table(TABLE)
        with suppress(RowNotFound):
            known = table.get(_CLIENTS, client.client_id.lower())
            check_version(f"client {client.client_id}", known.values.get("v"), current=VERSION)
        table.upsert(
            _CLIENTS,
            client.client_id.lower(),
            {
                "v": VERSION,
                "clientId": client.client_id,
                "name": name,
                "roles": json.dumps(list(roles)),
                "secretHash": _hash(secret),
                "created": self.clock.now(),
            },
        )
        return client, secret

    def grant(self, *, tenant: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The token endpoint's answer to a client-credentials request (`scope` of v2, or `resource` of v1)."""
        if tenant.lower() != self.tenant.lower():
            raise InvalidClient(f"this issuer serves the tenant {self.tenant}", target="tenant")
        if form.get("grant_type") != "client_credentials":
            raise UnsupportedGrant("this issuer grants client_credentials", target="grant_type")
        client = self._client(form.get("client_id", ""), form.get("client_secret", ""))
        audience = self._audience(form.get("scope") or form.get("resource") or "")
        principal = Principal(
            object_id=client.object_id,
            name=client.name,
            tenant=self.tenant,
            roles=frozenset(client.roles),
            is_app=True,
            client_id=client.client_id,
        )
        seconds = int(LIFETIME.total_seconds())
        return {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "expires_on": str(int(self.clock.now().timestamp()) + seconds),
            "resource": audience,
            "access_token": self.issue(principal, audience=audience),
        }

    def jwks(self) -> Mapping[str, Any]:
        """The public key, as `/{tenant}/discovery/v2.0/keys` answers."""
        return {"keys": [self._jwk()]}

    def openid_configuration(self) -> Mapping[str, Any]:
        """What MSAL reads at `/{tenant}/v2.0/.well-known/openid-configuration`."""
        root = f"{self.base_url}/{self.tenant}"
        return {
            "issuer": self.issuer,
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "scopes_supported": ["openid"],
            "tenant_region_scope": None,
            "cloud_instance_name": "oms",
        }

    def validator(self) -> TokenValidator:
        return TokenValidator(
            keys=self, issuers=(self.issuer,), audiences=(self.base_url, *AZURE_AUDIENCES), tenant=self.tenant
        )

    def key(self, kid: str) -> jwt.PyJWK:
        if self._public is None:
            self._public = jwt.PyJWK(self._jwk(), algorithm=ALGORITHM)
        if self._public.key_id == kid:
            return self._public
        raise InvalidAuthenticationToken(
            "the token was signed with a key that its issuer does not list", target="kid"
        )

    def _jwk(self) -> dict[str, Any]:
        key = self._key()
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": _kid(key),
            "issuer": self.issuer,
            "n": public["n"],
            "e": public["e"],
        }

    def _audience(self, scope: str) -> str:
        """`https://management.azure.com/.default`, or with two slashes where the resource itself ends in one."""
        wanted = scope.split()[0] if scope.split() else ""
        audience = wanted.removesuffix("/.default").rstrip("/")
        known = {each.lower() for each in (self.base_url, *AZURE_AUDIENCES)}
        if audience.lower() not in known:
            raise InvalidScope(f"no resource is known as {audience or '(none)'}", target="scope")
        return audience

    def _client(self, client_id: str, secret: str) -> Client:
        try:
            row = self.storage.table(TABLE).get(_CLIENTS, client_id.lower())
        except OmsError as refused:
            if refused.category not in (Category.NOT_FOUND, Category.INVALID):
                raise
            raise InvalidClient("the client id or its secret is wrong", target="client_id") from None
        check_version(f"client {client_id}", row.values.get("v"), current=VERSION)
        if not hmac.compare_digest(str(row.values["secretHash"]), _hash(secret)):
            raise InvalidClient("the client id or its secret is wrong", target="client_id")
        return Client(
            client_id=str(row.values["clientId"]),
            name=str(row.values["name"]),
            roles=json.loads(str(row.values["roles"])),
        )

    def _key(self) -> RSAPrivateKey:
        with self._lock:
            if self._private is None:
                self._private = self._stored_key()
            return self._private

    def _stored_key(self) -> RSAPrivateKey:
        table = self.storage.table(TABLE)
        try:
            row = table.get(_KEY, _KEY)
        except RowNotFound:
            made = generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            values = {"v": VERSION, "key": self.box.seal(made, path=_KEY_PATH)}
            try:
                row = table.insert(_KEY, _KEY, values)
            except RowExists:  # another process was first: both sign with its key
                row = table.get(_KEY, _KEY)
        check_version("the issuer's key", row.values.get("v"), current=VERSION)
        data = self.box.open(str(row.values["key"]), path=_KEY_PATH)
        key = serialization.load_der_private_key(data, password=None)
        if not isinstance(key, RSAPrivateKey):
            raise InvalidAuthenticationToken("the issuer's key is not an RSA key")
        return key


def _kid(key: RSAPrivateKey) -> str:
    """Derived from the public key, so that a new key can never be taken for the old one."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.urlsafe_b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
