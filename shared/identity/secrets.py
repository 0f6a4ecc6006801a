"""Secrets at rest: AES-256-GCM under data keys, and the data keys wrapped by a key that storage never sees."""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.versions import check_version
from shared.storage.ports import Row, RowChanged, RowExists, RowNotFound, Storage, Table

TABLE: Final = "omsdatakeys"
VERSION: Final = 1
_SEALED: Final = "oms1"
_CURRENT: Final = "current"
_KEYS: Final = "keys"
_NAMED: Final = "named"


class SecretUnreadable(OmsError):
    """A sealed secret that does not open: moved to another asset, changed, or sealed under a key that is gone."""

    category = Category.INTERNAL
    code = "SecretUnreadable"


class KeyWrapper(Protocol):
    """What wraps data keys: a key file on a laptop, Key Vault on Azure."""

    def wrap(self, key: bytes) -> tuple[str, bytes]:
        """The name and version of the wrapping key, and the wrapped key."""
        ...

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """SecretUnreadable where the wrapping key is not to be had."""
        ...


@dataclass(slots=True, kw_only=True)
class SecretBox:
    """Seals and opens. What is sealed is text, safe to store in a row, that names its data key."""

    storage: Storage
    wrapper: KeyWrapper
    clock: Clock
    random: Callable[[int], bytes] = secrets.token_bytes
    _opened: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    _lock: Lock = field(default_factory=Lock)

    def seal(self, secret: bytes, *, path: str, version: int = 1) -> str:
        """`path` and `version` are authenticated: the text opens for just that asset and version."""
        key_id, key = self._current()
        nonce = self.random(12)
        data = AESGCM(key).encrypt(nonce, secret, _bound(path, version, key_id))
        return f"{_SEALED}.{key_id}.{base64.urlsafe_b64encode(nonce + data).decode()}"

    def open(self, sealed: str, *, path: str, version: int = 1) -> bytes:
        """SecretUnreadable, naming the path and never the content."""
        form, _, rest = sealed.partition(".")
        key_id, _, text = rest.partition(".")
        if form != _SEALED or not key_id:
            raise SecretUnreadable(f"{path} is not sealed in a form this release reads", target=path)
        try:
            data = base64.urlsafe_b64decode(text)
            return AESGCM(self._data_key(key_id)).decrypt(data[:12], data[12:], _bound(path, version, key_id))
        except (InvalidTag, InvalidUnwrap, binascii.Error, ValueError):
            raise SecretUnreadable(f"{path} (version {version}) does not open", target=path) from None

    def shared_key(self, name: str) -> bytes:
        """32 random bytes under a name, made once for all processes: for signatures that any of them may check."""
        path = f"keys/{name}"
        try:
            row = self._table.get(_NAMED, name)
        except RowNotFound:
            sealed = self.seal(self.random(32), path=path)
            try:
                row = self._table.insert(_NAMED, name, {"v": VERSION, "key": sealed})
            except RowExists:  # another process was first
                row = self._table.get(_NAMED, name)
        check_version(f"the key {name}", row.values.get("v"), current=VERSION)
        return self.open(str(row.values["key"]), path=path)

    def rotate(self) -> str:
        """Seal from now on under a new data key; its id. What was sealed before opens as ever."""
        key_id, _ = self._make()
        values = {"v": VERSION, "keyId": key_id}
        while True:
            try:
                row = self._table.get(_CURRENT, _CURRENT)
                check_version("the current data key", row.values.get("v"), current=VERSION)
                self._table.replace(row, values)
            except RowNotFound:
                try:
                    self._table.insert(_CURRENT, _CURRENT, values)
                except RowExists:
                    continue
            except RowChanged:
                continue
            return key_id

    def rewrap(self) -> int:
        """Wrap every data key anew, after the wrapping key was rotated; how many. May be done again at any time."""
        count = 0
        for row in list(self._table.query(_KEYS)):
            wrapped_by, wrapped = self.wrapper.wrap(self._unwrap(row))
            try:
                self._table.replace(row, {**row.values, "wrappedBy": wrapped_by, "key": wrapped})
            except RowChanged:  # another process is at it too, and either result is good
                continue
            count += 1
        return count

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)

    def _current(self) -> tuple[str, bytes]:
        try:
            row = self._table.get(_CURRENT, _CURRENT)
        except RowNotFound:
            key_id, _ = self._make()
            try:
                row = self._table.insert(_CURRENT, _CURRENT, {"v": VERSION, "keyId": key_id})
            except RowExists:
                row = self._table.get(_CURRENT, _CURRENT)
        check_version("the current data key", row.values.get("v"), current=VERSION)
        key_id = str(row.values["keyId"])
        return key_id, self._data_key(key_id)

    def _make(self) -> tuple[str, bytes]:
        key_id, key = self.random(8).hex(), self.random(32)
        wrapped_by, wrapped = self.wrapper.wrap(key)
        self._table.insert(
            _KEYS,
            key_id,
            {"v": VERSION, "wrappedBy": wrapped_by, "key": wrapped, "created": self.clock.now()},
        )
        return key_id, key

    def _data_key(self, key_id: str) -> bytes:
        with self._lock:
            if (known := self._opened.get(key_id)) is not None:
                return known
        try:
            row = self._table.get(_KEYS, key_id)
        except RowNotFound:
            raise SecretUnreadable(f"the data key {key_id} is gone", target=key_id) from None
        key = self._unwrap(row)
        with self._lock:
            self._opened[key_id] = key
        return key

    def _unwrap(self, row: Row) -> bytes:
        check_version(f"data key {row.key}", row.values.get("v"), current=VERSION)
        data = row.values["key"]
        if not isinstance(data, bytes):
            raise SecretUnreadable(f"the data key {row.key} is not stored as bytes", target=row.key)
        return self.wrapper.unwrap(str(row.values["wrappedBy"]), data)


def _bound(path: str, version: int, key_id: str) -> bytes:
    return f"{path}\n{version}\n{key_id}".encode()
