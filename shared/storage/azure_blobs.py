"""A container of blobs in Azure Storage or Azurite."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    BlobClient,
    BlobLeaseClient,
    BlobProperties,
    BlobServiceClient,
    BlobType,
    ContainerClient,
)

from shared.kernel.ids import random_id
from shared.storage import limits
from shared.storage.azure_calls import Caller, code_of, is_homeless, utc
from shared.storage.ports import BlobChanged, BlobExists, BlobInfo, BlobNotFound, LeaseHeld, LeaseLost

MAX_SINGLE_PUT: Final = 32 * 1024 * 1024
BLOCK_SIZE: Final = 8 * 1024 * 1024
MAX_SINGLE_GET: Final = 32 * 1024 * 1024
CHUNK_SIZE: Final = 8 * 1024 * 1024
SDK_OPTIONS: Final[dict[str, Any]] = {
    "max_single_put_size": MAX_SINGLE_PUT,
    "max_block_size": BLOCK_SIZE,
    "max_single_get_size": MAX_SINGLE_GET,
    "max_chunk_get_size": CHUNK_SIZE,
}
_WRITE_ID: Final = "writeid_"
"""Hidden metadata of a write with an etag: a repetition that is refused finds here whether it was itself that wrote."""
_SIZES_KEPT: Final = 1000
_LEASED: Final = frozenset({"LeaseIdMissing", "LeaseAlreadyPresent", "LeaseIdMismatchWithBlobOperation"})
_REFUSALS: Final = (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError)
_CHANGED: Final = frozenset({"ConditionNotMet", "TargetConditionNotMet", "AppendPositionConditionNotMet"})


@dataclass(slots=True, kw_only=True)
class AzureBlobs:
    container: str
    service: BlobServiceClient
    caller: Caller
    _client: ContainerClient = field(init=False, repr=False)
    _sizes: dict[str, int] = field(default_factory=dict[str, int], repr=False)
    """What append blobs measured when last seen; wrong costs one more request, never a wrong append."""

    def __post_init__(self) -> None:
        self._client = self.service.get_container_client(self.container)

    def put(
        self,
        name: str,
        data: bytes,
        *,
        if_absent: bool = False,
        etag: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> BlobInfo:
        blob = self._blob(name)
        limits.check_metadata(metadata or {})
        limits.check_conditions(name, etag, if_absent=if_absent)
        written = dict(metadata or {})
        conditions: dict[str, Any] = {}
        if etag is not None:
            written[_WRITE_ID] = uuid.uuid4().hex
            conditions = {"etag": etag, "match_condition": MatchConditions.IfNotModified}

        def attempt(_: bool) -> BlobInfo:
            try:
                answer = blob.upload_blob(
                    data, overwrite=not if_absent, metadata=written, length=len(data), **conditions
                )
            except HttpResponseError as error:
                refused = isinstance(error, _REFUSALS) or code_of(error) in _LEASED
                if not refused or (is_homeless(error) and etag is None):
                    raise
                return self._own(name, data, error, written.get(_WRITE_ID))
            return BlobInfo(
                name=name,
                size=len(data),
                etag=str(answer["etag"]),
                modified=utc(answer["last_modified"]),
                metadata=_visible(written),
            )

        return self.caller.call(self._what("put", name), attempt, create=self._create)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        limits.check_range(start, length)
        blob = self._blob(name)
        if length == 0:
            self.info(name)
            return b""

        def attempt(_: bool) -> bytes:
            try:
                if start == 0 and length is None:
                    return blob.download_blob().readall()
                return blob.download_blob(offset=start, length=length).readall()
            except HttpResponseError as error:
                if error.status_code == 416:  # the range begins beyond the end
                    return b""
                raise

        return self._reading(name, "get", attempt)

    def read(self, name: str) -> tuple[bytes, BlobInfo]:
        blob = self._blob(name)

        def attempt(_: bool) -> tuple[bytes, BlobInfo]:
            stream = blob.download_blob()  # its later chunks are asked for with the etag of the first
            return stream.readall(), _info(name, stream.properties)

        return self._reading(name, "read", attempt)

    def info(self, name: str) -> BlobInfo:
        blob = self._blob(name)

        def attempt(_: bool) -> BlobInfo:
            return _info(name, blob.get_blob_properties())

        return self._reading(name, "info", attempt)

    def append(self, name: str, data: bytes, *, at: int | None = None) -> int:
        limits.check_append(name, data)
        size = self._append_size(name) if at is None else at
        while True:
            try:
                size = self._append_at(name, data, size)
            except BlobChanged:
                self._sizes.pop(name, None)
                if at is not None:
                    raise
                size = self._append_size(name)
            else:
                if len(self._sizes) >= _SIZES_KEPT:
                    self._sizes.clear()
                self._sizes[name] = size
                return size

    def _append_at(self, name: str, data: bytes, at: int) -> int:
        """Always at a known place: then a repetition finds out whether the bytes there are its own."""
        blob = self._blob(name)

        def attempt(again: bool) -> int:
            try:
                if at == 0:
                    self._start_append(blob)
                if data:
                    blob.append_block(data, appendpos_condition=at, length=len(data))
                    return at + len(data)
                size, kind = _size_and_type(blob.get_blob_properties())
            except HttpResponseError as error:
                if code_of(error) == "InvalidBlobType":
                    raise BlobExists(f"blob {self._full(name)} is not an append blob", target=name) from error
                if code_of(error) in _LEASED:
                    raise LeaseHeld(f"blob {self._full(name)} is leased", target=name) from error
                if code_of(error) not in _CHANGED and code_of(error) != "BlobNotFound":
                    raise
                if again and data and self.get(name, start=at, length=len(data)) == data:
                    return at + len(data)
                raise BlobChanged(f"blob {self._full(name)} does not have {at} bytes", target=name) from error
            if kind != BlobType.APPENDBLOB:
                raise BlobExists(f"blob {self._full(name)} is not an append blob", target=name)
            if size != at:
                raise BlobChanged(f"blob {self._full(name)} has {size} bytes, not {at}", target=name)
            return size

        return self.caller.call(self._what("append", name), attempt, create=self._create)

    def _start_append(self, blob: BlobClient) -> None:
        with suppress(ResourceExistsError):
            blob.create_append_blob(match_condition=MatchConditions.IfMissing)

    def _append_size(self, name: str) -> int:
        if (known := self._sizes.get(name)) is not None:
            return known
        try:
            return self.info(name).size
        except BlobNotFound:
            return 0

    def delete(self, name: str) -> None:
        blob = self._blob(name)

        def attempt(_: bool) -> None:
            try:
                blob.delete_blob()
            except ResourceNotFoundError:
                return
            except HttpResponseError as error:
                if code_of(error) in _LEASED:
                    raise LeaseHeld(f"blob {self._full(name)} is leased", target=name) from error
                raise

        self.caller.call(self._what("delete", name), attempt)
        self._sizes.pop(name, None)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        token: str | None = ""
        while token is not None:
            found, token = self._list_page(prefix, token)
            yield from found

    def _list_page(self, prefix: str, token: str) -> tuple[Sequence[BlobInfo], str | None]:
        def attempt(_: bool) -> tuple[Sequence[BlobInfo], str | None]:
            listing = self._client.list_blobs(name_starts_with=prefix or None, include=["metadata"])
            pages: Any = listing.by_page(token or None)  # typed as a plain iterator, without its token
            try:
                page = next(pages, None)
            except ResourceNotFoundError:
                return [], None
            following: str | None = pages.continuation_token
            return [_info(str(found.name), found) for found in page or ()], following or None

        return self.caller.call(self._what("list", prefix), attempt)

    def acquire_lease(self, name: str, *, seconds: int, lease_id: str | None = None) -> str:
        limits.check_lease(seconds, lease_id)
        blob = self._blob(name)
        # Proposed by us always: a repetition that meets its own lease renews it.
        lease = BlobLeaseClient(blob, lease_id=lease_id or random_id())

        def attempt(_: bool) -> str:
            try:
                lease.acquire(lease_duration=seconds)
            except ResourceExistsError as error:
                raise LeaseHeld(f"blob {self._full(name)} is leased", target=name) from error
            return str(lease.id)

        try:
            return self.caller.call(self._what("lease", name), attempt)
        except ResourceNotFoundError:
            with suppress(BlobExists, LeaseHeld):
                self.put(name, b"", if_absent=True)
            return self.caller.call(self._what("lease", name), attempt)

    def renew_lease(self, name: str, lease_id: str) -> None:
        limits.check_lease_id(lease_id)
        lease = BlobLeaseClient(self._blob(name), lease_id=lease_id)

        def attempt(_: bool) -> None:
            try:
                lease.renew()
            except (ResourceExistsError, ResourceNotFoundError, ResourceModifiedError) as error:
                raise LeaseLost(
                    f"lease {lease_id} of blob {self._full(name)} is not in force", target=name
                ) from error

        self.caller.call(self._what("renew", name), attempt)

    def release_lease(self, name: str, lease_id: str) -> None:
        limits.check_lease_id(lease_id)
        lease = BlobLeaseClient(self._blob(name), lease_id=lease_id)

        def attempt(_: bool) -> None:
            with suppress(ResourceExistsError, ResourceNotFoundError, ResourceModifiedError):
                lease.release()

        self.caller.call(self._what("release", name), attempt)

    def _own(
        self,
        name: str,
        data: bytes,
        error: AzureError,
        write_id: str | None,
    ) -> BlobInfo:
        """The blob as it is, if the write that was refused is the one that is there; else the error by name."""
        if code_of(error) in _LEASED:
            raise LeaseHeld(f"blob {self._full(name)} is leased", target=name) from error
        if write_id is None:
            with suppress(BlobNotFound):
                found, info = self.read(name)
                if found == data:
                    return info
            raise BlobExists(f"blob {self._full(name)} exists with other content", target=name) from error
        with suppress(ResourceNotFoundError):
            properties = self._blob(name).get_blob_properties()
            if (properties.metadata or {}).get(_WRITE_ID) == write_id:
                return _info(name, properties)
        raise BlobChanged(f"blob {self._full(name)} is not at the etag given", target=name) from error

    def _reading[T](self, name: str, verb: str, attempt: Callable[[bool], T]) -> T:
        try:
            return self.caller.call(self._what(verb, name), attempt)
        except ResourceNotFoundError as error:
            raise BlobNotFound(f"there is no blob {self._full(name)}", target=name) from error

    def _create(self) -> None:
        with suppress(ResourceExistsError):
            self._client.create_container()

    def _blob(self, name: str) -> BlobClient:
        return self._client.get_blob_client(limits.check_blob_name(name))

    def _full(self, name: str) -> str:
        return f"{self.container}/{name}"

    def _what(self, verb: str, name: str) -> str:
        return f"{verb} blob {self._full(name)}"


def _info(name: str, properties: BlobProperties) -> BlobInfo:
    return BlobInfo(
        name=name,
        size=_size_and_type(properties)[0],
        etag=_quoted(str(properties.etag)),
        modified=utc(properties.last_modified),
        metadata=_visible(properties.metadata or {}),
    )


def _quoted(etag: str) -> str:
    """Headers carry the etag in quotes, listings without."""
    return etag if etag.startswith('"') else f'"{etag}"'


def _size_and_type(properties: BlobProperties) -> tuple[int, object]:
    return int(properties.size or 0), properties.blob_type


def _visible(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in metadata.items() if name.lower() != _WRITE_ID}
