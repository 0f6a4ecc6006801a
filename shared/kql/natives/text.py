"""Texts with a grammar: URLs, paths, CSV, command lines, XML; and encodings that SQL does not have."""

import base64
import binascii
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qsl
from xml.etree import ElementTree

_URL = re.compile(
    r"(?:(?P<scheme>[^:/?#]*):)?(?://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[^\]]*\]|[^:/?#]*)(?::(?P<port>\d*))?)?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
MAX_INFLATED = 16 * 1024 * 1024
"""What a compressed text may grow to at most: beyond it the answer is '', as for text that is not compressed at all."""


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))


def parse_url(text: str) -> str:
    found = _URL.fullmatch(text)
    part = found.groupdict(default="") if found else {}
    return _dump(
        {
            "Scheme": part.get("scheme", ""),
            "Host": part.get("host", ""),
            "Port": part.get("port", ""),
            "Path": part.get("path", ""),
            "Username": part.get("user", ""),
            "Password": part.get("password", ""),
            "Query Parameters": _query(part.get("query", "")),
            "Fragment": part.get("fragment", ""),
        }
    )


def parse_urlquery(text: str) -> str:
    return _dump({"Query Parameters": _query(text.removeprefix("?"))})


def parse_path(text: str) -> str:
    scheme, rest = "", text
    if found := re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text):
        scheme, rest = found[1], text[found.end() :]
    stream = ""
    if found := re.search(r"(?<!^[A-Za-z]):([^:/\\]*)$", rest):
        stream, rest = found[1], rest[: found.start()]
    root = ""
    if found := re.match(r"[A-Za-z]:[\\/]?", rest):
        root = found[0]
    directory, separator, filename = _cut(rest)
    name = re.split(r"[\\/]", directory)[-1] if directory else ""
    return _dump(
        {
            "Scheme": scheme,
            "RootPath": root,
            "DirectoryPath": directory,
            "DirectoryName": name,
            "Filename": filename if separator or filename else "",
            "Extension": filename.rpartition(".")[2] if "." in filename else "",
            "AlternateDataStreamName": stream,
        }
    )


def _cut(path: str) -> tuple[str, str, str]:
    at = max(path.rfind("/"), path.rfind("\\"))
    return ("", "", path) if at < 0 else (path[:at], path[at], path[at + 1 :])


def parse_csv(text: str) -> str | None:
    """The first record's values."""
    for record in csv.reader(io.StringIO(text)):
        return _dump(record)
    return _dump([""])


def parse_command_line(text: str) -> str:
    """The arguments, split by the rules of Windows' CommandLineToArgvW."""
    arguments: list[str] = []
    current, quoted, begun, slashes = "", False, False, 0
    for character in text:
        if character == "\\":
            slashes += 1
            continue
        if character == '"':
            current += "\\" * (slashes // 2)
            if slashes % 2:
                current += '"'
            else:
                quoted = not quoted
            begun, slashes = True, 0
            continue
        current, slashes = current + "\\" * slashes, 0
        if character in " \t" and not quoted:
            if current or begun:
                arguments.append(current)
            current, begun = "", False
        else:
            current, begun = current + character, True
    current += "\\" * slashes
    if current or begun:
        arguments.append(current)
    return _dump(arguments)


def parse_xml(text: str) -> str | None:
    """Elements as bags, attributes under `@name`, repeated elements as arrays."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        # Entities could expand without bound.
        return None
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no DTD reaches the parser, see above
    except ElementTree.ParseError:
        return None
    return _dump({_local(root.tag): _element(root)})


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _element(element: ElementTree.Element) -> Any:
    found: dict[str, Any] = {f"@{_local(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name, value = _local(child.tag), _element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    text = (element.text or "").strip()
    if not found:
        return text or None
    if text:
        found["#text"] = text
    return found


def treepath(text: str) -> str:
    """All paths that lead to a value, outermost first."""
    paths: list[str] = []

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
                deeper = f"{path}['{key}']"
                paths.append(deeper)
                walk(inner, deeper)
        elif isinstance(value, list):
            deeper = f"{path}[0]"
            paths.append(deeper)
            for inner in value:  # pyright: ignore[reportUnknownVariableType]
                walk(inner, deeper)

    walk(json.loads(text), "")
    return _dump(list(dict.fromkeys(paths)))


def sorted_json(text: str) -> str:
    """The JSON with the keys of every bag in order, so that equal values read equal."""
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def bag_remove_keys(bag: str, keys: str) -> str | None:
    """The bag without some keys; a key that begins with `$.` is a path into inner bags."""
    found, unwanted = json.loads(bag), json.loads(keys)
    if not isinstance(found, dict) or not isinstance(unwanted, list):
        return None
    for key in unwanted:  # pyright: ignore[reportUnknownVariableType]
        _remove(found, str(key).removeprefix("$.").split(".") if str(key).startswith("$.") else [str(key)])  # pyright: ignore[reportUnknownArgumentType]
    return _dump(found)


def _remove(bag: dict[str, Any], path: list[str]) -> None:
    for step in path[:-1]:
        inner = bag.get(step.strip("'[]"))
        if not isinstance(inner, dict):
            return
        bag = cast("dict[str, Any]", inner)
    bag.pop(path[-1].strip("'[]"), None)


def replace_strings(text: str, lookups: str, rewrites: str) -> str:
    """Lookup after lookup is replaced, but never inside what a replacement wrote."""
    olds, news = json.loads(lookups), json.loads(rewrites)
    if not isinstance(olds, list):
        return text
    pieces: list[tuple[str, bool]] = [(text, False)]  # and whether it is written already
    for at, old in enumerate(olds):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        new: Any = (news[at] if at < len(news) else None) if isinstance(news, list) else news  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if isinstance(old, str) and old:
            pieces = list(_rewritten(pieces, old, new if isinstance(new, str) else old))
    return "".join(piece for piece, _ in pieces)


def _rewritten(pieces: list[tuple[str, bool]], old: str, new: str) -> Iterator[tuple[str, bool]]:
    for piece, written in pieces:
        if written:
            yield piece, True
            continue
        first, *others = piece.split(old)
        yield first, False
        for other in others:
            yield new, True
            yield other, False


def indexof_regex(text: str, pattern: str, start: int, length: int, occurrence: int) -> int | None:
    if start < 0 or length < -1 or occurrence < 1:
        return None
    end = len(text) if length < 0 else min(len(text), start + length)
    for count, found in enumerate(re.compile(pattern).finditer(text, start, end), start=1):
        if count == occurrence:
            return found.start()
    return -1


def gzip_compress(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def zlib_compress(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


def gzip_decompress(text: str) -> str:
    return _inflate(text, wbits=31)


def zlib_decompress(text: str) -> str:
    return _inflate(text, wbits=15)


def _inflate(text: str, *, wbits: int) -> str:
    try:
        data = zlib.decompressobj(wbits).decompress(base64.b64decode(text, validate=True), MAX_INFLATED + 1)
        return "" if len(data) > MAX_INFLATED else data.decode()
    except (zlib.error, binascii.Error, ValueError):
        return ""


def to_punycode(text: str) -> str:
    return text.encode("punycode").decode()


def from_punycode(text: str) -> str:
    try:
        return text.encode().decode("punycode")
    except UnicodeError:
        return ""


def domain_from_punycode(text: str) -> str:
    return ".".join(
        from_punycode(label[4:]) if label.lower().startswith("xn--") else label for label in text.split(".")
    )


def domain_to_punycode(text: str) -> str:
    # IDNA knows three more full stops.
    labels = re.split(r"[.\u3002\uff0e\uff61]", text)
    return ".".join(label if label.isascii() else "xn--" + to_punycode(label) for label in labels)
