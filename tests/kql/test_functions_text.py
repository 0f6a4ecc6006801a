"""Functions over text: parts, patterns, grammars, hashes and addresses."""

import pytest

from shared.kql.functions.build import literal
from shared.kql.functions.registry import ArgumentRefused
from shared.kql.types import KqlType as T
from tests.kql.functions_harness import boolean, call, dynamic, instant, long, text


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(1, 3, "ell"), (-2, 2, "lo"), (2, 100, "llo"), (-100, 3, ""), (2, 0, ""), (-3, 2, "ll"), (9, 1, "")],
)
def test_substring_counts_from_the_end_below_zero(start: int, length: int, expected: str):
    assert call("substring", text("hello"), long(start), long(length), columns=True) == expected


def test_split_gives_all_parts_or_the_one_asked_for():
    assert call("split", text("a__b"), text("_")) == ["a", "", "b"]
    assert call("split", text(""), text("_")) == [""]
    assert call("split", text("aaa_bbb_ccc"), text("_"), long(1)) == ["bbb"]
    assert call("split", text("noequals"), text("="), long(1)) is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [((), 2), ((1, 4), 2), ((1, 2), 2), ((3, 4), -1), ((-5,), 2), ((2, -1), 2)],
)
def test_indexof_looks_where_it_is_told(more: tuple[int, ...], expected: int):
    assert call("indexof", text("abcdefg"), text("cde"), *map(long, more), columns=True) == expected


def test_indexof_counts_occurrences_and_knows_no_empty_lookup():
    assert call("indexof", text("abcdefgabcdefg"), text("cde"), long(1), long(10), long(2)) == 9
    assert call("indexof", text("abc"), text("")) is None


def test_occurrences_of_text_may_overlap_and_matches_may_not():
    assert call("countof", text("aaa"), text("aa")) == 2
    assert call("countof", text("aaa"), text("aa"), text("regex")) == 1


@pytest.mark.parametrize(
    ("pattern", "source", "expected"),
    [
        ("x", "xxabcxx", "xabcx"),
        (r"[^\w]+", "-  Te st1// $", "Te st1"),
        ("a*", "aaathis is a testaaaa", "this is a test"),
        (r"\s", "\xa0nbsp\xa0", "nbsp"),
    ],
)
def test_trim_takes_one_match_from_each_end(pattern: str, source: str, expected: str):
    assert call("trim", text(pattern), text(source)) == expected


def test_extract_answers_a_group_as_the_type_asked_for():
    assert call("extract", text(r"(\d+)-(\d+)"), long(2), text("12-34")) == "34"
    assert call("extract", text(r"(\d+)"), long(1), text("a12"), text("long")) == 12
    assert call("extract", text(r"(\d+)"), long(1), text("none")) == ""


def test_extract_all_holds_empty_text_for_a_group_that_took_no_part():
    assert call("extract_all", text(r"([a-z])(\d)?"), text("aXb2")) == [["a", ""], ["b", "2"]]
    assert call("extract_all", text(r"(\d+)"), text("none")) is None
    picked = call("extract_all", text(r"(?P<first>\w)(?P<rest>\w+)"), dynamic(["rest"]), text("abc de"))
    assert picked == ["bc", "e"]


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", r"(a)\1", "[z-a]"])
def test_a_pattern_that_re2_cannot_run_is_refused(pattern: str):
    with pytest.raises(ArgumentRefused, match="regular expression"):
        call("extract", text(pattern), long(0), text("aa"))


def test_extract_all_without_a_group_is_refused():
    with pytest.raises(ArgumentRefused, match="capture group"):
        call("extract_all", text("a"), text("aaa"))


def test_replacing():
    assert call("replace_regex", text("Number is 1"), text(r"is (\d+)"), text(r"was: \1")) == "Number was: 1"
    assert call("replace_string", text("abc"), text(""), text("_")) == "abc"
    assert call(
        "replace_strings", text("A cat dog"), dynamic(["cat", "dog"]), dynamic(["dog", "pigeon"])
    ) == ("A dog pigeon")
    assert call("translate", text("krasp"), text("otsku"), text("spark")) == "kusto"


def test_strings_are_never_null():
    assert call("strcat", text("a"), long(None), boolean(value=True)) == "aTrue"
    assert call("isnull", text("")) is False
    assert call("isempty", text("")) is True
    assert call("isempty", dynamic("")) is True
    assert call("coalesce", text(""), text("x")) == "x"
    assert call("strcat_array", dynamic(["a", None, "", "b"]), text("|")) == "a|||b"


def test_a_url_comes_apart():
    assert call("parse_url", text("https://user:pw@host:1234/a/b?k1=v1&k2=v2#frag"), columns=True) == {
        "Scheme": "https",
        "Host": "host",
        "Port": "1234",
        "Path": "/a/b",
        "Username": "user",
        "Password": "pw",
        "Query Parameters": {"k1": "v1", "k2": "v2"},
        "Fragment": "frag",
    }


def test_paths_records_command_lines_and_versions_come_apart():
    path = call("parse_path", text(r"C:\temp\file.txt"), columns=True)
    assert (path["RootPath"], path["DirectoryName"], path["Extension"]) == ("C:\\", "temp", "txt")
    assert call("parse_csv", text('aa,"b,b","c ""d"""')) == ["aa", "b,b", 'c "d"']
    assert call("parse_command_line", text(r'echo "hello world!" \\x\"y'), text("windows")) == [
        "echo",
        "hello world!",
        '\\\\x"y',
    ]
    assert call("parse_version", text("1.10")) > call("parse_version", text("1.9.9.9"))
    assert call("parse_version", text("x")) is None


def test_xml_with_a_document_type_is_not_read():
    assert call("parse_xml", text("<a x='1'><b>2</b><b>3</b></a>")) == {"a": {"@x": "1", "b": ["2", "3"]}}
    assert call("parse_xml", text("<!DOCTYPE a [<!ENTITY e 'ee'>]><a>&e;</a>")) is None


def test_hashes_are_the_engines_own():
    assert call("hash", text("World"), columns=True) == 1846988464401551951
    assert call("hash", text("World"), long(100)) == 51
    assert call("hash", instant("2015-01-01")) == 1380966698541616202
    assert call("hash_sha256", instant("2020-01-01")) == (
        "ba666752dc1a20eb750b0eb64e780cc4c968bc9fb8813461c1d7e750f302d71d"
    )


def test_base64_that_is_none_answers_nothing():
    assert call("base64_encode_tostring", text("Kusto")) == "S3VzdG8="
    assert call("base64_decode_tostring", text("S3VzdG8="), columns=True) == "Kusto"
    assert call("base64_decode_tostring", text("U3RyaW5n0KHR0tGA0L7Rh9C60LA="), columns=True) == ""
    assert call("base64_decode_toarray", text("S3VzdG8=")) == [75, 117, 115, 116, 111]
    guid = literal("ae3133f2-6e22-49ae-b06a-16e6a9b212eb", T.GUID)
    assert call("base64_encode_fromguid", guid) == "8jMxriJurkmwahbmqbIS6w=="
    assert call("base64_decode_toguid", text("abcd1231")) is None


def test_url_encoding_writes_small_letters():
    source = "https://www.bing.com/hello world"
    assert call("url_encode", text(source)) == "https%3a%2f%2fwww.bing.com%2fhello+world"
    assert call("url_encode_component", text(source)) == "https%3a%2f%2fwww.bing.com%2fhello%20world"
    assert call("url_decode", text("hello%20world"), columns=True) == "hello world"


def test_compressed_text_comes_back_and_other_text_does_not():
    packed = call("gzip_compress_to_base64_string", text("some text"))
    assert call("gzip_decompress_from_base64_string", text(packed), columns=True) == "some text"
    assert call("gzip_decompress_from_base64_string", text("x0x0x0"), columns=True) == ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("192.168.1.1", 3232235777),
        ("192.168.1.1/24", 3232235776),
        ("1.2.3", None),
        ("1.2.3.256", None),
        ("", None),
    ],
)
def test_parse_ipv4_applies_the_prefix(source: str, expected: int | None):
    assert call("parse_ipv4", text(source), columns=True) == expected


def test_ipv4_addresses_compare_under_the_shortest_prefix():
    assert call("ipv4_is_private", text("172.16.0.1"), columns=True) is True
    assert call("ipv4_is_private", text("127.0.0.1"), columns=True) is False
    assert call("ipv4_is_in_range", text("192.168.1.1"), text("192.168.1.255/24"), columns=True) is True
    assert call("ipv4_is_match", text("192.168.1.1"), text("192.168.1.0"), long(31)) is True
    assert call("ipv4_compare", text("1.1.1.1"), text("1.1.1.2")) == -1
    assert call("ipv4_is_in_any_range", text("127.0.0.1"), dynamic(["127.0.0.1", "10.0.0.0/8"])) is True
    assert call("format_ipv4_mask", text("192.168.1.1/24"), long(32)) == "192.168.1.0/24"
    assert call("ipv4_range_to_cidr_list", text("1.1.128.0"), text("1.1.140.255")) == [
        "1.1.128.0/21",
        "1.1.136.0/22",
        "1.1.140.0/24",
    ]


def test_an_address_is_found_whole_in_text():
    line = "05:04:54 127.0.0.1 GET"
    assert call("has_ipv4", text(line), text("127.0.0.1"), columns=True) is True
    assert call("has_any_ipv4_prefix", text(line), text("127.0."), columns=True) is True
    assert call("has_any_ipv4_prefix", text(line), text("127.0"), columns=True) is False
    assert call("has_any_ipv4", text("05:04:54127.0.0.1 GET"), text("127.0.0.1"), columns=True) is False


def test_ipv6_takes_ipv4_addresses_too():
    assert call("parse_ipv6", text("192.168.255.255/24")) == "0000:0000:0000:0000:0000:ffff:c0a8:ff00"
    assert call("ipv6_is_match", text("192.168.1.1/24"), text("192.168.1.255"), columns=True) is True
    assert call("ipv6_is_in_range", text("fe80::1"), text("fe80::/64"), columns=True) is True
    assert call("ipv6_is_in_range", text("no address"), text("fe80::/64"), columns=True) is None
