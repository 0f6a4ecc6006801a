"""xxHash64 with seed 0, as Kusto's hash() computes it."""

import struct
from typing import Final

_MASK: Final = 2**64 - 1
_P1: Final = 11400714785074694791
_P2: Final = 14029467366897019727
_P3: Final = 1609587929392839161
_P4: Final = 9650029242287828579
_P5: Final = 2870177450012600261


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _round(accumulator: int, lane: int) -> int:
    return _rotate((accumulator + lane * _P2) & _MASK, 31) * _P1 & _MASK


def _stripes(data: bytes) -> tuple[int, int]:
    """The hash of all whole 32-byte stripes, and how many bytes they are."""
    lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
    at = 0
    while at <= len(data) - 32:
        for index, lane in enumerate(struct.unpack_from("<4Q", data, at)):
            lanes[index] = _round(lanes[index], lane)
        at += 32
    found = sum(_rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
    for lane in lanes:
        found = ((found ^ _round(0, lane)) * _P1 + _P4) & _MASK
    return found, at


def xxhash(data: bytes) -> int:
    """The signed 64-bit hash."""
    found, at = _stripes(data) if len(data) >= 32 else (_P5, 0)
    found = (found + len(data)) & _MASK
    while at + 8 <= len(data):
        lane = struct.unpack_from("<Q", data, at)[0]
        found = (_rotate(found ^ _round(0, lane), 27) * _P1 + _P4) & _MASK
        at += 8
    if at + 4 <= len(data):
        found = (
            _rotate(found ^ (struct.unpack_from("<I", data, at)[0] * _P1 & _MASK), 23) * _P2 + _P3
        ) & _MASK
        at += 4
    for byte in data[at:]:
        found = _rotate(found ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    found = (found ^ (found >> 33)) * _P2 & _MASK
    found = (found ^ (found >> 29)) * _P3 & _MASK
    found ^= found >> 32
    return found - 2**64 if found >= 2**63 else found


def xxhash_text(text: str) -> int:
    return xxhash(text.encode())


def xxhash_long(value: int) -> int:
    return xxhash(struct.pack("<q", value))


def xxhash_real(value: float) -> int:
    return xxhash(struct.pack("<d", value))
