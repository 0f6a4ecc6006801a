"""Key Vault as the key that wraps data keys: it never leaves the vault, and each of its versions stays usable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

from shared.kernel.errors import Category, OmsError

_PREFIX: Final = "kv:"


class KeyVaultUnavailable(OmsError):
    """The vault did not answer, or does not let the bundle's identity use the key."""

    category = Category.UNAVAILABLE
    code = "KeyVaultUnavailable"


@dataclass
class KeyVaultKey:
    """Wraps with the newest version of the key `name` and unwraps with the version that wrapped."""

    vault_url: str
    credential: TokenCredential
    name: str = "oms-data-keys"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the SDK's clients

    def wrap(self, key: bytes) -> tuple[str, bytes]:
        def call() -> tuple[str, bytes]:
            newest = self._keys.get_key(self.name).id
            return _PREFIX + newest, self._crypto(newest).wrap_key(
                KeyWrapAlgorithm.rsa_oaep_256, key
            ).encrypted_key

        return self._named(call)

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        if not key_id.startswith(_PREFIX):
            raise KeyVaultUnavailable(
                f"the data key was wrapped by {key_id}, which is not a Key Vault key",
                target="OMS_KEY_VAULT_URL",
            )
        version = key_id.removeprefix(_PREFIX)
        # The id comes out of a row: only a key of the configured vault is asked, never another host.
        if not version.startswith(self.vault_url.rstrip("/") + "/keys/"):
            raise KeyVaultUnavailable("the data key was wrapped in another vault", target=version)
        return self._named(
            lambda: self._crypto(version).unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key
        )

    @cached_property
    def _keys(self) -> KeyClient:
        return KeyClient(self.vault_url, self.credential, **self.options)

    def _crypto(self, key_id: str) -> CryptographyClient:
        return CryptographyClient(key_id, self.credential, **self.options)

    def _named[T](self, call: Callable[[], T]) -> T:
        try:
            return call()
        except ResourceNotFoundError:
            raise KeyVaultUnavailable(
                f"the vault {self.vault_url} has no key {self.name}", target=self.name
            ) from None
        except AzureError as failed:
            raise KeyVaultUnavailable(
                f"the vault {self.vault_url} failed: {type(failed).__name__}", target=self.name, retry_after=5
            ) from failed
