"""Functions over IPv4 and IPv6 addresses."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    DYNAMIC,
    LONG,
    STRING,
    TEXTS,
    WHOLES,
    by_native,
    convert,
    expand,
    literal,
    parameter,
    result,
    scalar,
    templated,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission, Emit

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

MACROS.define(
    "kql_is_ipv4(s)",
    rf"regexp_full_match(s, '\s*{_OCTET}(?:\.{_OCTET}){{3}}(?:/(?:3[0-2]|[12]?[0-9]))?\s*')",
)
MACROS.define(
    "kql_octets(parts)",
    "list_reduce(TRY_CAST(parts AS BIGINT[]), lambda sum, octet: sum * 256 + octet)",
)
MACROS.define(
    "kql_ipv4_address(s)",
    "CASE WHEN kql_is_ipv4(s) THEN kql_octets(string_split(split_part(trim(s), '/', 1), '.')) END",
)
MACROS.define(
    "kql_ipv4_prefix(s)",
    "CASE WHEN kql_is_ipv4(s) THEN coalesce(string_split(trim(s), '/')[2]::BIGINT, 32) END",
)
MACROS.define(
    "kql_ipv4_mask(n)", "CASE WHEN n BETWEEN 0 AND 32 THEN (4294967295 << (32 - n)) & 4294967295 END"
)
MACROS.define(
    "kql_ipv4(s)",
    """
    CASE
    WHEN contains(s, '/') THEN kql_ipv4_address(s) & kql_ipv4_mask(kql_ipv4_prefix(s))
    WHEN kql_is_ipv4(s) THEN kql_octets(string_split(s, '.'))
    END
    """,
)
MACROS.define(
    "kql_ipv4_text(n)",
    "(n >> 24)::VARCHAR || '.' || ((n >> 16) & 255)::VARCHAR || '.' || ((n >> 8) & 255)::VARCHAR || '.' || (n & 255)::VARCHAR",
)
MACROS.define(
    "kql_ipv4_shared_mask(a, b, n)", "kql_ipv4_mask(least(kql_ipv4_prefix(a), kql_ipv4_prefix(b), n))"
)
MACROS.define(
    "kql_ipv4_compare(a, b, n)",
    """
    CASE WHEN kql_is_ipv4(a) AND kql_is_ipv4(b) AND n BETWEEN 0 AND 32 THEN
        sign((kql_ipv4_address(a) & kql_ipv4_shared_mask(a, b, n)) - (kql_ipv4_address(b) & kql_ipv4_shared_mask(a, b, n)))::BIGINT
    END
    """,
)
MACROS.define(
    "kql_ipv4_in_range(ip, range)",
    """
    CASE WHEN kql_is_ipv4(ip) AND kql_is_ipv4(range) THEN
        (kql_ipv4_address(ip) & kql_ipv4_mask(kql_ipv4_prefix(range))) = kql_ipv4(range)
    END
    """,
)
MACROS.define(
    "kql_ipv4_is_private(n)",
    "(n BETWEEN 167772160 AND 184549375) OR (n BETWEEN 2886729728 AND 2887778303) OR (n BETWEEN 3232235520 AND 3232301055)",
)
_WHOLE_RIGHT: Final = r"(?:$|[^0-9A-Za-z.]|\.(?:$|[^0-9]))"
# has_ipv4() looks only at what follows the address, has_any_ipv4() also at what precedes it: so the engine measures.
for _name, _left in (("kql_has_ipv4", ""), ("kql_has_whole_ipv4", "(?:^|[^0-9A-Za-z.])")):
    MACROS.define(
        f"{_name}(s, ip)",
        f"CASE WHEN kql_is_ipv4(ip) AND contains(s, ip) THEN"
        f" regexp_matches(s, '{_left}' || regexp_escape(ip) || '{_WHOLE_RIGHT}') ELSE false END",
    )
for _name, _left, _whole in (
    ("kql_has_ipv4_prefix", "", "kql_has_ipv4"),
    ("kql_has_whole_ipv4_prefix", "(?:^|[^0-9A-Za-z.])", "kql_has_whole_ipv4"),
):
    MACROS.define(
        f"{_name}(s, p)",
        rf"""
        CASE
        WHEN kql_is_ipv4(p) THEN {_whole}(s, p)
        WHEN regexp_full_match(p, '(?:{_OCTET}\.){{1,3}}') AND contains(s, p) THEN
            regexp_matches(s, '{_left}' || regexp_escape(p) || '{_OCTET}(?:\.{_OCTET})*{_WHOLE_RIGHT}')
        ELSE false
        END
        """,
    )


def _any(macro: str) -> Emit:
    """Whether the test holds for any of the arguments, or of the elements of an array argument."""

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        text = convert(emission, args[0], STRING)
        tests: list[Bound] = []
        for index, arg in enumerate(args[1:], start=1):
            if arg.type is DYNAMIC:
                tests.append(
                    expand(
                        emission,
                        f"coalesce(list_bool_or(list_transform(kql_array_texts({{1}}), lambda each: {macro}({{0}}, each))), false)",
                        BOOL,
                        text,
                        arg,
                    )
                )
            else:
                tests.append(
                    expand(
                        emission,
                        f"{macro}({{0}}, {{1}})",
                        BOOL,
                        text,
                        convert(emission, arg, STRING, index=index),
                    )
                )
        return result(" OR ".join(test.sql for test in tests), BOOL, tests)

    return emit


def _compared(template: str, kind: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        one, other = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args[:2]))
        prefix = convert(emission, args[2], LONG, index=2) if len(args) > 2 else literal(32, LONG)
        return expand(emission, template, BOOL if kind == "bool" else LONG, one, other, prefix)

    return emit


def _ipv6_compared(template: str, kind: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        given = [*args[:2], args[2] if len(args) > 2 else literal(128, LONG)]
        found = by_native("kqln_ipv6_compare", LONG, STRING, STRING, LONG)(emission, given)
        return expand(emission, template, BOOL if kind == "bool" else LONG, found)

    return emit


def _ipv6_in_any_range(emission: Emission, args: Sequence[Bound]) -> Bound:
    emission.native("kqln_ipv6_in_range")
    return _any("kqln_ipv6_in_range")(emission, args)


def _format_ipv4(template: str) -> Emit:
    """An emitter over the address as a number and the shorter of its own prefix and the one asked for."""

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        mask = convert(emission, args[1], LONG, index=1) if len(args) > 1 else literal(32, LONG)
        if args[0].type in (STRING, DYNAMIC):
            text = convert(emission, args[0], STRING)
            address = expand(emission, "kql_ipv4_address({0})", LONG, text)
            prefix = expand(
                emission,
                "CASE WHEN {1} BETWEEN 0 AND 32 THEN least(kql_ipv4_prefix({0}), {1}) END",
                LONG,
                text,
                mask,
            )
        elif args[0].type.value in ("int", "long"):
            address = convert(emission, args[0], LONG)
            prefix = expand(emission, "CASE WHEN {0} BETWEEN 0 AND 32 THEN {0} END", LONG, mask)
        else:
            raise ArgumentRefused("an address is a text or a number")
        return expand(emission, f"coalesce({template}, '')", STRING, address, prefix)

    return emit


def _parse_ipv6(emission: Emission, args: Sequence[Bound]) -> Bound:
    given = [args[0], args[1] if len(args) > 1 else literal(128, LONG)]
    return by_native("kqln_parse_ipv6", STRING, STRING, LONG)(emission, given)


_IP = parameter("ip", TEXTS)
_IP1 = parameter("ip1", TEXTS)
_IP2 = parameter("ip2", TEXTS)
_RANGE = parameter("range", TEXTS)
_PREFIX = parameter("prefix", WHOLES, optional=True)
_SOURCE = parameter("source", TEXTS)

FUNCTIONS: Final = (
    scalar(
        "parse_ipv4",
        [_IP],
        "long",
        "The IPv4 address as a number, under its prefix if it has one.",
        templated("kql_ipv4({0})", LONG, STRING),
    ),
    scalar(
        "parse_ipv4_mask",
        [_IP, parameter("prefix", WHOLES)],
        "long",
        "The IPv4 address as a number, under the prefix.",
        templated(
            "kql_ipv4_address({0}) & kql_ipv4_mask(least(kql_ipv4_prefix({0}), {1}))", LONG, STRING, LONG
        ),
    ),
    scalar(
        "format_ipv4",
        [parameter("ip", ANY), _PREFIX],
        "string",
        "The IPv4 address as text, under the prefix.",
        _format_ipv4("kql_ipv4_text({0} & kql_ipv4_mask({1}))"),
    ),
    scalar(
        "format_ipv4_mask",
        [parameter("ip", ANY), _PREFIX],
        "string",
        "The IPv4 address as text with its prefix.",
        _format_ipv4("kql_ipv4_text({0} & kql_ipv4_mask({1})) || '/' || {1}::VARCHAR"),
    ),
    scalar(
        "ipv4_compare",
        [_IP1, _IP2, _PREFIX],
        "long",
        "-1, 0 or 1: how two IPv4 addresses compare under the shortest of the prefixes.",
        _compared("kql_ipv4_compare({0}, {1}, {2})", "long"),
    ),
    scalar(
        "ipv4_is_match",
        [_IP1, _IP2, _PREFIX],
        "bool",
        "Whether two IPv4 addresses are equal under the shortest of the prefixes.",
        _compared("kql_ipv4_compare({0}, {1}, {2}) = 0", "bool"),
    ),
    scalar(
        "ipv4_is_in_range",
        [_IP, _RANGE],
        "bool",
        "Whether the IPv4 address lies in the range.",
        templated("kql_ipv4_in_range({0}, {1})", BOOL, STRING, STRING),
    ),
    scalar(
        "ipv4_is_in_any_range",
        [_IP, parameter("ranges", ANY, variadic=True)],
        "bool",
        "Whether the IPv4 address lies in any of the ranges.",
        _any("kql_ipv4_in_range"),
    ),
    scalar(
        "ipv4_is_private",
        [_IP],
        "bool",
        "Whether the IPv4 address belongs to a private network.",
        templated("kql_ipv4_is_private(kql_ipv4({0}))", BOOL, STRING),
    ),
    scalar(
        "ipv4_netmask_suffix",
        [_IP],
        "long",
        "The length of the IPv4 address's prefix; 32 where it has none.",
        templated("kql_ipv4_prefix({0})", LONG, STRING),
    ),
    scalar(
        "ipv4_range_to_cidr_list",
        [parameter("start", TEXTS), parameter("end", TEXTS)],
        "dynamic",
        "The networks that together are the IPv4 addresses from start to end.",
        by_native("kqln_ipv4_cidrs", DYNAMIC, STRING, STRING),
    ),
    scalar(
        "has_ipv4",
        [_SOURCE, _IP],
        "bool",
        "Whether the text holds the IPv4 address.",
        templated("kql_has_ipv4({0}, {1})", BOOL, STRING, STRING),
    ),
    scalar(
        "has_ipv4_prefix",
        [_SOURCE, parameter("prefix", TEXTS)],
        "bool",
        "Whether the text holds an IPv4 address that begins like this.",
        templated("kql_has_ipv4_prefix({0}, {1})", BOOL, STRING, STRING),
    ),
    scalar(
        "has_any_ipv4",
        [_SOURCE, parameter("ips", ANY, variadic=True)],
        "bool",
        "Whether the text holds any of the IPv4 addresses.",
        _any("kql_has_whole_ipv4"),
    ),
    scalar(
        "has_any_ipv4_prefix",
        [_SOURCE, parameter("prefixes", ANY, variadic=True)],
        "bool",
        "Whether the text holds an IPv4 address that begins like any of these.",
        _any("kql_has_whole_ipv4_prefix"),
    ),
    scalar("parse_ipv6", [_IP], "string", "The IP address in canonical IPv6 form.", _parse_ipv6),
    scalar(
        "parse_ipv6_mask",
        [_IP, parameter("prefix", WHOLES)],
        "string",
        "The IP address in canonical IPv6 form, under the prefix.",
        _parse_ipv6,
    ),
    scalar(
        "ipv6_compare",
        [_IP1, _IP2, _PREFIX],
        "long",
        "-1, 0 or 1: how two IP addresses compare under the shortest of the prefixes.",
        _ipv6_compared("{0}", "long"),
    ),
    scalar(
        "ipv6_is_match",
        [_IP1, _IP2, _PREFIX],
        "bool",
        "Whether two IP addresses are equal under the shortest of the prefixes.",
        _ipv6_compared("{0} = 0", "bool"),
    ),
    scalar(
        "ipv6_is_in_range",
        [_IP, _RANGE],
        "bool",
        "Whether the IP address lies in the range.",
        by_native("kqln_ipv6_in_range", BOOL, STRING, STRING),
    ),
    scalar(
        "ipv6_is_in_any_range",
        [_IP, parameter("ranges", ANY, variadic=True)],
        "bool",
        "Whether the IP address lies in any of the ranges.",
        _ipv6_in_any_range,
    ),
)
