"""The portal's static files: hashed when first asked for, served under immutable URLs, compressed ahead."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from shared.kernel.errors import Category, OmsError

_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_IMPORT: Final = re.compile(rb'(from|import)\s*"(/assets/)([^"]+)"')


class AssetNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "AssetNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    data: bytes
    compressed: bytes
    mimetype: str


@dataclass(frozen=True)
class Assets:
    """The files below `folder`, by name. `/assets/<hash>/name` never changes its content: the hash is of all files together,
    so that modules which import one another always come from the same release."""

    folder: Path
    _loaded: dict[str, Asset] = field(default_factory=dict[str, Asset])

    @cached_property
    def release(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(self.folder)).encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def url(self, name: str) -> str:
        """AssetNotFound, so that a page with a broken link fails in its test."""
        self.load(name)
        return f"/assets/{self.release}/{name}"

    def load(self, name: str) -> Asset:
        """The asset, its imports of `/assets/name` pointing at this release."""
        if (known := self._loaded.get(name)) is not None:
            return known
        if "\0" in name:  # no file system takes it
            raise AssetNotFound("there is no such asset")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            raise AssetNotFound(f"there is no asset {name!r}", target=name)
        data = path.read_bytes()
        if path.suffix == ".js":
            data = _IMPORT.sub(rb'\1 "/assets/' + self.release.encode() + rb'/\3"', data)
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        asset = Asset(data=data, compressed=gzip.compress(data, 9, mtime=0), mimetype=kind)
        self._loaded[name] = asset
        return asset
