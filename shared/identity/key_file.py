"""The local key that wraps data keys: a file that only its owner may read. On Azure, Key Vault takes its place."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from shared.identity.secrets import SecretUnreadable

_PREFIX: Final = "file:"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Wraps with the newest key in the folder `keys`, unwraps with any: a rotation adds a file and removes none."""

    folder: Path

    def wrap(self, key: bytes) -> tuple[str, bytes]:
        name = self._newest() or self.rotate()
        return _PREFIX + name, aes_key_wrap(self._read(name), key)

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        if not key_id.startswith(_PREFIX):
            raise SecretUnreadable(
                f"the data key was wrapped by {key_id}, and this bundle has a key file",
                target="OMS_KEY_VAULT_URL",
            )
        return aes_key_unwrap(self._read(key_id.removeprefix(_PREFIX)), wrapped)

    def rotate(self) -> str:
        """Make the next key. Two processes that start together agree on the file that came first."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = self._newest()
        name = f"{int(newest) + 1:06}" if newest else "000001"
        path = self.folder / name
        draft = self.folder / f".{name}.{secrets.token_hex(8)}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails where the name is taken, so nobody ever reads half a key or replaces one in use.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return name

    def _newest(self) -> str | None:
        if not self.folder.is_dir():
            return None
        return max((path.name for path in self.folder.iterdir() if path.name.isdigit()), default=None)

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise SecretUnreadable(
                f"the key file {self.folder / name} is gone; secrets sealed under it cannot be read",
                target=name,
            ) from None
