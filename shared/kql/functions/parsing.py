"""Functions that take a text with a grammar apart, and encode or hash text."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    DECIMAL,
    DYNAMIC,
    DYNAMICS,
    GUID,
    LONG,
    REAL,
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
from shared.kql.functions.regexes import pattern_of
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission, Emit, Function

# A version of up to four parts is one number, so that versions compare.
MACROS.define(
    "kql_parse_version(parts)",
    """
    CASE WHEN len(parts) BETWEEN 1 AND 4 AND len(list_filter(parts, lambda p: NOT regexp_full_match(p, '[0-9]{1,8}'))) = 0
    THEN (coalesce(parts[1], '0')::DECIMAL(38,0) * 1000000000000000000000000
        + coalesce(parts[2], '0')::DECIMAL(38,0) * 10000000000000000
        + coalesce(parts[3], '0')::DECIMAL(38,0) * 100000000 + coalesce(parts[4], '0')::DECIMAL(38,0)) END
    """,
)
MACROS.define(
    "kql_is_base64(s)",
    "regexp_full_match(s, '(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?')",
)
MACROS.define("kql_from_base64(s)", "CASE WHEN kql_is_base64(s) THEN TRY(decode(from_base64(s))) END")
MACROS.define(
    "kql_hex_bytes(h)",
    "list_transform(range(1, length(h) + 1, 2), lambda i: ('0x' || substr(h, i, 2))::BIGINT)",
)
MACROS.define(
    "kql_guid_hex(h)",
    """
    substr(h, 7, 2) || substr(h, 5, 2) || substr(h, 3, 2) || substr(h, 1, 2) || substr(h, 11, 2) || substr(h, 9, 2)
    || substr(h, 15, 2) || substr(h, 13, 2) || substr(h, 17)
    """,
)
MACROS.define("kql_byte_hex(b)", "lpad(to_hex(b), 2, '0')")
MACROS.define(
    "kql_array_base64(d)",
    "coalesce(to_base64(from_hex(array_to_string("
    "list_transform(TRY_CAST(d AS BIGINT[]), lambda b: kql_byte_hex(b & 255)), ''))), '')",
)
MACROS.define("kql_url_decode(s)", "TRY(url_decode(replace(s, '+', ' ')))")
# .NET writes escapes in small letters, and a space as + in the one and %20 in the other.
MACROS.define(
    "kql_url_encode(s)",
    """
    array_to_string(list_transform(string_split(s, ''), lambda c:
        CASE WHEN c = ' ' THEN '+' WHEN regexp_full_match(c, '[A-Za-z0-9\\-_.!*()]') THEN c
        ELSE lower(url_encode(c)) END), '')
    """,
)
MACROS.define("kql_url_encode_or_empty(s)", "CASE WHEN s = '' THEN '' ELSE kql_url_encode(s) END")
MACROS.define("kql_modulo(h, m)", "CASE WHEN m IS NULL OR m = 0 THEN NULL ELSE ((h % m) + m) % m END")
MACROS.define(
    "kql_has_any_index(s, terms)",
    "coalesce(list_position(list_transform(terms, lambda t: kql_has_term(lower(s), lower(t))), true) - 1, -1)",
)
# A term is found whole: nothing alphanumeric on either side of it.
MACROS.define(
    "kql_has_term(s, t)",
    r"CASE WHEN t = '' THEN true WHEN NOT contains(s, t) THEN false"
    r" ELSE regexp_matches(s, '(?:^|[^\pL\pN])' || regexp_escape(t) || '(?:$|[^\pL\pN])') END",
)


def _hash(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = args[0]
    if value.type in (STRING, DYNAMIC, GUID, DECIMAL):
        found = by_native("kqln_xxhash_text", LONG, STRING)(emission, [value])
    elif value.type is REAL:
        found = by_native("kqln_xxhash_real", LONG, REAL)(emission, [value])
    else:
        found = by_native("kqln_xxhash_long", LONG, LONG)(emission, [value])
    if len(args) == 1:
        return found
    return expand(emission, "kql_modulo({0}, {1})", LONG, found, convert(emission, args[1], LONG, index=1))


def _digest(function: str) -> Emit:
    return templated(f"{function}({{0}})", STRING, STRING)


def _indexof_regex(emission: Emission, args: Sequence[Bound]) -> Bound:
    text, pattern = (convert(emission, arg, STRING, index=index) for index, arg in enumerate(args[:2]))
    if pattern_of(pattern, index=1) is None:
        raise ArgumentRefused("the regular expression of indexof_regex() must be constant", index=1)
    rest = [convert(emission, arg, LONG, index=index) for index, arg in enumerate(args[2:], start=2)]
    rest += [literal(0, LONG), literal(-1, LONG), literal(1, LONG)][len(rest) :]
    emission.native("kqln_indexof_regex")
    inputs = ", ".join(arg.sql for arg in (text, pattern, *rest))
    return result(f"kqln_indexof_regex({inputs})", LONG, [text, pattern, *rest])


def _parse_csv(emission: Emission, args: Sequence[Bound]) -> Bound:
    return by_native("kqln_parse_csv", DYNAMIC, STRING)(emission, args)


def _parse_command_line(emission: Emission, args: Sequence[Bound]) -> Bound:
    if not args[1].constant or str(args[1].value).lower() != "windows":
        raise ArgumentRefused("the parser type must be 'windows'", index=1)
    return by_native("kqln_parse_command_line", DYNAMIC, STRING)(emission, args[:1])


def _text(name: str, what: str, native: str, returns: str = "string") -> Function:
    kind = STRING if returns == "string" else DYNAMIC
    return scalar(name, [_TEXT], returns, what, by_native(native, kind, STRING))


_TEXT = parameter("text", TEXTS)
_VALUE = parameter("source", ANY)

FUNCTIONS: Final = (
    scalar(
        "parse_url",
        [_TEXT],
        "dynamic",
        "The parts of a URL, in a bag.",
        by_native("kqln_parse_url", DYNAMIC, STRING),
        aliases=("parseurl",),
    ),
    _text("parse_urlquery", "The parameters of a URL's query, in a bag.", "kqln_parse_urlquery", "dynamic"),
    _text("parse_path", "The parts of a file path, in a bag.", "kqln_parse_path", "dynamic"),
    _text("parse_xml", "The XML document as a bag.", "kqln_parse_xml", "dynamic"),
    scalar("parse_csv", [_TEXT], "dynamic", "The values of the first CSV record, in an array.", _parse_csv),
    scalar(
        "parse_command_line",
        [_TEXT, parameter("parser_type", TEXTS, constant=True)],
        "dynamic",
        "The arguments of a Windows command line, in an array.",
        _parse_command_line,
    ),
    scalar(
        "parse_version",
        [_TEXT],
        "decimal",
        "The version as a number that compares as versions do.",
        templated("kql_parse_version(string_split({0}, '.'))::DECIMAL(38,0)", DECIMAL, STRING),
    ),
    scalar(
        "treepath",
        [parameter("object", DYNAMICS)],
        "dynamic",
        "All paths inside the value that lead to another.",
        by_native("kqln_treepath", DYNAMIC, DYNAMIC),
    ),
    scalar(
        "indexof_regex",
        [
            _VALUE,
            parameter("lookup_regex", TEXTS),
            parameter("start", WHOLES, optional=True),
            parameter("length", WHOLES, optional=True),
            parameter("occurrence", WHOLES, optional=True),
        ],
        "long",
        "Where the expression first matches, counted from 0; -1 where it does not.",
        _indexof_regex,
    ),
    scalar(
        "has_any_index",
        [_TEXT, parameter("terms", DYNAMICS)],
        "long",
        "Which of the terms the text has first, counted from 0; -1 for none.",
        templated("kql_has_any_index({0}, kql_array_texts({1}))::BIGINT", LONG, STRING, DYNAMIC),
    ),
    scalar(
        "base64_encode_tostring",
        [_TEXT],
        "string",
        "The text in base64.",
        templated("to_base64(encode({0}))", STRING, STRING),
        aliases=("base64_encodestring",),
    ),
    scalar(
        "base64_decode_tostring",
        [_TEXT],
        "string",
        "The text that the base64 stands for; '' where it is none.",
        templated("coalesce(kql_from_base64({0}), '')", STRING, STRING),
        aliases=("base64_decodestring",),
    ),
    scalar(
        "base64_decode_toarray",
        [_TEXT],
        "dynamic",
        "The bytes that the base64 stands for, as an array.",
        templated(
            "CASE WHEN kql_is_base64({0}) THEN to_json(kql_hex_bytes(hex(from_base64({0})))) END",
            DYNAMIC,
            STRING,
        ),
    ),
    scalar(
        "base64_encode_fromarray",
        [parameter("bytes", DYNAMICS)],
        "string",
        "The bytes of an array in base64.",
        templated("kql_array_base64({0})", STRING, DYNAMIC),
    ),
    scalar(
        "base64_encode_fromguid",
        [parameter("guid", frozenset({GUID, STRING}))],
        "string",
        "The GUID's sixteen bytes in base64.",
        templated(
            "coalesce(to_base64(from_hex(kql_guid_hex(replace({0}::VARCHAR, '-', '')))), '')", STRING, GUID
        ),
    ),
    scalar(
        "base64_decode_toguid",
        [_TEXT],
        "guid",
        "The GUID whose sixteen bytes the base64 stands for.",
        templated(
            "CASE WHEN length({0}) = 24 AND kql_is_base64({0})"
            " THEN TRY_CAST(kql_guid_hex(hex(from_base64({0}))) AS UUID) END",
            GUID,
            STRING,
        ),
    ),
    scalar(
        "url_encode",
        [_TEXT],
        "string",
        "The text as it may stand in a URL; spaces become +.",
        templated("kql_url_encode_or_empty({0})", STRING, STRING),
    ),
    scalar(
        "url_encode_component",
        [_TEXT],
        "string",
        "The text as it may stand in a part of a URL; spaces become %20.",
        templated("replace(kql_url_encode_or_empty({0}), '+', '%20')", STRING, STRING),
    ),
    scalar(
        "url_decode",
        [_TEXT],
        "string",
        "The text that the URL stands for.",
        templated("coalesce(kql_url_decode({0}), {0})", STRING, STRING),
    ),
    scalar(
        "hash",
        [_VALUE, parameter("mod", WHOLES, optional=True)],
        "long",
        "A hash of the value (xxHash64).",
        _hash,
        aliases=("hash_xxhash64",),
    ),
    scalar("hash_md5", [_VALUE], "string", "The MD5 hash, in hexadecimal digits.", _digest("md5")),
    scalar("hash_sha1", [_VALUE], "string", "The SHA-1 hash, in hexadecimal digits.", _digest("sha1")),
    scalar("hash_sha256", [_VALUE], "string", "The SHA-256 hash, in hexadecimal digits.", _digest("sha256")),
    _text("gzip_compress_to_base64_string", "The text, gzipped, in base64.", "kqln_gzip"),
    _text("gzip_decompress_from_base64_string", "The text that was gzipped.", "kqln_gunzip"),
    _text("zlib_compress_to_base64_string", "The text, deflated, in base64.", "kqln_zlib"),
    _text("zlib_decompress_from_base64_string", "The text that was deflated.", "kqln_unzlib"),
    _text("punycode_from_string", "The text in Punycode.", "kqln_to_punycode"),
    _text("punycode_to_string", "The text that the Punycode stands for.", "kqln_from_punycode"),
    _text(
        "punycode_domain_from_string", "The domain name, decoded from Punycode.", "kqln_domain_from_punycode"
    ),
    _text("punycode_domain_to_string", "The domain name, encoded in Punycode.", "kqln_domain_to_punycode"),
)
