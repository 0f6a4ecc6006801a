"""A request's body on its way in: unpacked within a bound, parsed once, and kept as it came where that is safe."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import orjson

from shared.loganalytics.ingestion.inflate import GZIP, RAW, ZLIB, BodyTooLarge, BodyUnreadable, inflate

Json = Mapping[str, Any]
"""One record, as orjson parsed it."""

_BOM: Final = b"\xef\xbb\xbf"
_SPACED_COLONS: Final = (b" :", b"\t:", b"\n:", b"\r:")


class EncodingUnknown(Exception):
    """A Content-Encoding that is none of gzip, deflate, identity."""


def unpack(body: bytes, encoding: str, *, limit: int) -> bytes:
    """The body without its Content-Encoding, never holding more than `limit` bytes of it. BodyTooLarge, BodyUnreadable, EncodingUnknown."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        plain = body
    elif name in ("gzip", "x-gzip"):
        plain = inflate(body, GZIP, limit)
    elif name == "deflate":
        # RFC 9110 says zlib; some clients send the bare deflate stream. A zlib header is a multiple of 31.
        zlib_wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
        plain = inflate(body, ZLIB if zlib_wrapped else RAW, limit)
    else:
        raise EncodingUnknown(name[:40])
    if len(plain) > limit:
        raise BodyTooLarge(len(plain))
    return plain


def parse(body: bytes) -> Any:
    """The JSON value. BodyUnreadable."""
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except (orjson.JSONDecodeError, RecursionError) as bad:
        # orjson's message holds a position, and nothing of the text.
        raise BodyUnreadable(f"the body is not JSON: {str(bad)[:200]}") from None


def objects(value: Any, *, single: bool) -> list[dict[str, Any]]:
    """The records of a parsed body: an array of objects or, where `single`, one object. BodyUnreadable."""
    if single and isinstance(value, dict):
        return [cast("dict[str, Any]", value)]
    if not isinstance(value, list):
        raise BodyUnreadable(
            "the body is neither a JSON object nor an array of objects"
            if single
            else "the body is not a JSON array of objects"
        )
    records = cast("list[dict[str, Any]]", value)
    if any(kind is not dict for kind in set(map(type, records))):
        place = next(index for index, each in enumerate(records) if type(each) is not dict)
        raise BodyUnreadable(f"element {place} of the array is not a JSON object")
    return records


def reads_the_same(body: bytes, keys: int) -> bool:
    """Whether any JSON reader finds in `body` what ours found: no key twice in an object, no blank before a colon, no BOM.

    `keys` is how many keys our reader found, at all depths. Each stands before a `":`, and so does a key that is there
    twice; where the counts agree there is none. Text with `":` in it makes this False too, which costs a copy and no more.
    """
    return (
        body[:1] == b"[" and body.count(b'":') == keys and not any(blank in body for blank in _SPACED_COLONS)
    )


def write(records: Sequence[Json]) -> bytes:
    return orjson.dumps(records)


def count_keys(containers: Iterable[Any]) -> int:
    """Keys in the values of a column, at all depths, or more where texts look like keys."""
    return orjson.dumps(list(containers)).count(b'":')
