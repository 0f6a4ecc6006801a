# pyright: basic
"""Unpacking of gzip and deflate that never holds more than it is asked for."""

import zlib

GZIP = 31
ZLIB = 15
RAW = -15


class BodyTooLarge(Exception):
    """More bytes than the protocol takes. `size` is how many were seen; of a packed body there may be more."""

    def __init__(self, size: int) -> None:
        super().__init__(f"more than {size} bytes")
        self.size = size


class BodyUnreadable(Exception):
    """The body is not what its headers say, or not JSON. The message says where, and repeats nothing of it."""


def inflate(body: bytes, window: int, limit: int) -> bytes:
    """The bytes that `body` packs, up to `limit`. BodyTooLarge, BodyUnreadable. `window` as zlib's wbits."""
    from isal import isal_zlib

    parts: list[bytes] = []
    room = limit + 1
    rest = body
    try:
        # A gzip body may be several members, one after the other.
        while rest and room > 0:
            stream = isal_zlib.decompressobj(window)
            part = stream.decompress(rest, room)
            room -= len(part)
            parts.append(part)
            if room > 0 and not stream.eof:
                raise BodyUnreadable("the compressed body is cut short")
            rest = stream.unused_data if window == GZIP else b""
    except (isal_zlib.error, zlib.error, EOFError, ValueError) as bad:  # type: ignore[misc]  # isal names its error in C
        raise BodyUnreadable(f"the body does not unpack: {bad}") from None
    plain = b"".join(parts)
    if len(plain) > limit:
        raise BodyTooLarge(len(plain))
    if not parts:
        raise BodyUnreadable("the compressed body is empty")
    return plain
