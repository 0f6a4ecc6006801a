"""IP addresses beyond what 64-bit arithmetic holds."""

import json
from ipaddress import AddressValueError, IPv4Address, IPv6Address, summarize_address_range


def _split(text: str) -> tuple[int, int] | None:
    """Address and prefix as 128 bits; IPv4 is mapped into ::ffff:0:0/96."""
    address, slash, suffix = text.strip().partition("/")
    try:
        if ":" in address:
            value, widest, offset = int(IPv6Address(address)), 128, 0
            if "." in address:
                # A prefix behind dotted notation counts the bits of the IPv4 part.
                widest, offset = 32, 96
        else:
            value, widest, offset = int(IPv4Address(address)) | 0xFFFF_0000_0000, 32, 96
    except AddressValueError:
        return None
    if not slash:
        return value, 128
    if not suffix.isdecimal() or int(suffix) > 128:
        return None
    prefix = int(suffix)
    return value, prefix + offset if prefix <= widest and offset else min(prefix, 128)


def _compared(text: str) -> tuple[int, int] | None:
    """As _split, with `::1.2.3.4` taken for the IPv4 address it spells."""
    found = _split(text)
    if found is not None and "." in text and not found[0] >> 32:
        return found[0] | 0xFFFF_0000_0000, found[1]
    return found


def _mask(prefix: int) -> int:
    return ((1 << prefix) - 1) << (128 - prefix)


def parse_ipv6(text: str, prefix: int) -> str:
    """The canonical long form of the address under its own prefix and this one; '' where it is none."""
    found = _split(text)
    if found is None or not 0 <= prefix <= 128:
        return ""
    value, own = found
    digits = f"{value & _mask(min(own, prefix)):032x}"
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


def _comparable(prefix: int, one: str, other: str) -> int:
    """A prefix given as an argument counts IPv4 bits where both sides are IPv4."""
    both_v4 = ":" not in one and ":" not in other
    return prefix + 96 if both_v4 and prefix <= 32 else prefix


def ipv6_compare(one: str, other: str, prefix: int) -> int | None:
    """-1, 0 or 1 under the shortest of the prefixes; None where either is no address."""
    left, right = _compared(one), _compared(other)
    if left is None or right is None or not 0 <= prefix <= 128:
        return None
    mask = _mask(min(left[1], right[1], _comparable(prefix, one, other)))
    a, b = left[0] & mask, right[0] & mask
    return (a > b) - (a < b)


def ipv6_in_range(address: str, network: str) -> bool | None:
    """Whether the address lies in the network; None where either cannot be read."""
    left, right = _compared(address), _compared(network)
    if left is None or right is None:
        return None
    mask = _mask(right[1])
    return left[0] & mask == right[0] & mask


def ipv4_range_to_cidrs(start: str, end: str) -> str | None:
    """The networks that together are the addresses from start to end, as a JSON array."""
    try:
        networks = summarize_address_range(IPv4Address(start.strip()), IPv4Address(end.strip()))
        return json.dumps([str(network) for network in networks])
    except ValueError:
        return None
