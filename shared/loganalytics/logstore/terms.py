"""The term index beside a segment: per row group a Bloom filter of the terms in its text, so that `has` and `==` skip.

A term is a maximal run of ASCII letters and digits, lower-cased. A needle is cut the same way; a row that holds the
needle (as a term or as the whole value, in whatever column) holds all of its runs, so a group without one of them
cannot match. That is sound for any finer rule of what a term is, and for text in any script.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Final, Self

from shared.kernel.versions import check_version
from shared.kql.translation import Needle
from shared.kql.types import KqlType
from shared.loganalytics.logstore.errors import StagedBlobUnreadable

MAGIC: Final = b"OMST"
VERSION: Final = 1
BITS_PER_TERM: Final = 10
HASHES: Final = 7
INDEXED: Final = frozenset({KqlType.STRING, KqlType.GUID, KqlType.DYNAMIC})
_RUN: Final = re.compile(r"[a-z0-9]+")


def terms_name(segment: str) -> str:
    return f"{segment}.terms"


def runs(text: str) -> list[str]:
    # The two letters outside ASCII that case-insensitive matching takes for ASCII ones.
    return _RUN.findall(text.replace("\u212a", "k").replace("\u017f", "s").lower())


@dataclass(frozen=True, slots=True)
class TermIndex:
    """Filters of a segment's row groups, in order."""

    filters: Sequence[bytes]

    @classmethod
    def read(cls, path: Path) -> Self:
        data = path.read_bytes()
        if data[:4] != MAGIC:
            raise StagedBlobUnreadable(f"{path.name} is no term index", target=path.name)
        check_version("term index", int.from_bytes(data[4:6], "big"), current=VERSION)
        count = int.from_bytes(data[6:10], "big")
        filters: list[bytes] = []
        at = 10 + 4 * count
        for index in range(count):
            size = int.from_bytes(data[10 + 4 * index : 14 + 4 * index], "big")
            filters.append(data[at : at + size])
            at += size
        return cls(filters)

    def encode(self) -> bytes:
        sizes = b"".join(len(one).to_bytes(4, "big") for one in self.filters)
        head = MAGIC + VERSION.to_bytes(2, "big") + len(self.filters).to_bytes(4, "big")
        return b"".join([head, sizes, *self.filters])

    def matching(self, needles: Sequence[Needle], columns: Mapping[str, KqlType]) -> list[bool]:
        """Per row group, whether all needles may be in it. Needles of columns without an index say nothing."""
        kinds = {name.lower(): kind for name, kind in columns.items()}
        wanted: set[str] = set()
        for needle in needles:
            kind = kinds.get((needle.column or "").lower(), KqlType.STRING)
            if kind in INDEXED:
                wanted.update(runs(needle.text))
        hashes = [hash_pair(term) for term in sorted(wanted)]
        return [all(_holds(one, pair) for pair in hashes) for one in self.filters]


def hash_pair(term: str) -> tuple[int, int]:
    """Two 64-bit numbers of a term, as DuckDB's md5_number_lower and _upper give them."""
    digest = md5(term.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little"), int.from_bytes(digest[:8], "little")


def _holds(bits: bytes, pair: tuple[int, int]) -> bool:
    size = len(bits) * 8
    if not size:
        return False
    low, high = pair[0] % size, pair[1] % size
    return all(
        bits[at >> 3] & (0x80 >> (at & 7)) for at in ((low + step * high) % size for step in range(HASHES))
    )
