"""Text to tokens. Knows the traps of real queries: names that start with a digit, `1000.`, raw literals, odd spaces."""

import re
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

from shared.kql.errors import KqlSyntaxError
from shared.kql.syntax.literals import UNIT_PATTERN


class TokenKind(IntEnum):
    NAME = 1
    QUOTED_NAME = 2  # ['a name'] or ["a name"]: `value` is the name
    LONG = 3
    REAL = 4
    TIMESPAN = 5
    STRING = 6  # `value` is what it says
    RAW = 7  # datetime(…), guid(…), real(nan), …: `value` is the type's name, `text` what stands in the parentheses
    PUNCTUATION = 8
    END = 9


class Token(NamedTuple):
    kind: TokenKind
    text: str
    start: int
    end: int
    value: str = ""


# Words with a hyphen are one token, so that `project-away` is not a subtraction.
_HYPHENATED: Final = (
    "project-away|project-rename|project-keep|project-reorder|project-by-names|project-smart|mv-expand|mv-apply|"
    "make-series|top-nested|top-hitters|parse-where|parse-kv|sample-distinct|execute-and-cache|"
    "make-graph|graph-match|graph-to-table|graph-merge|graph-shortest-paths|graph-mark-components|graph-where-nodes|"
    "graph-where-edges|hint\\.[a-z_]+"
)
_RAW_TYPES: Final = (
    "datetime|date|timespan|time|guid|uuid|uniqueid|bool|boolean|int|int32|long|int64|real|double|decimal"
)
_WORD: Final = r"[^\W\d][\w]*"
_PATTERN: Final = (
    r"(?P<space>[\s\u00a0\u1680\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]+|//[^\n\r]*|(?<![^\n])\#[^\n]*)"
    rf"|(?P<hyphenated>(?:{_HYPHENATED})(?![\w-]))"
    rf"|(?P<raw>(?:{_RAW_TYPES})[ \t]*\((?![ \t]*\)))"
    r"|(?P<string>[hH]?(?:@\"(?:[^\"]|\"\")*\"|@'(?:[^']|'')*'"
    r"|\"(?:[^\"\\\n\r]|\\.)*\"|'(?:[^'\\\n\r]|\\.)*'|```.*?```|~~~.*?~~~))"
    rf"|(?P<name>\$?{_WORD})"
    r"|(?P<hex>0[xX][0-9a-fA-F]+(?!\w))"
    rf"|(?P<timespan>(?:\d+(?:\.\d+)?|\.\d+)(?:{UNIT_PATTERN})(?!\w))"
    r"|(?P<real>(?:\d+\.\d+|\.\d+|\d+\.(?!\.|\w))(?:[eE][+-]?\d+)?(?!\w)|\d+[eE][+-]?\d+(?!\w))"
    r"|(?P<digitname>\d+_*[^\W\d]\w*)"
    r"|(?P<long>\d+)"
    r"|(?P<bracketed>\[\s*(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")\s*\])"
    r"|(?P<punct>==|!=|<>|<=|>=|=~|!~|=>|\.\.|\||[-+*/%<>=!~(){}\[\],;:.?&^@#])"
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE: Final = r"(?s)\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{1,2})|([0-7]{3})|(.))"


@cache
def _scanner() -> re.Pattern[str]:
    """Compiled when the first query comes: it is the larger part of what importing would cost."""
    return re.compile(_PATTERN, re.DOTALL)


def _unescape(found: re.Match[str]) -> str:
    short, long, byte, octal, letter = found.groups()
    code = short or long or byte
    if code:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else ""
    return chr(int(octal, 8)) if octal else _ESCAPES.get(letter, letter)


def string_value(text: str) -> str:
    """What a string literal says."""
    if text[0] in "hH":
        text = text[1:]
    if text[0] == "@":
        quote = text[1]
        return text[2:-1].replace(quote * 2, quote)
    if text[:3] in ("```", "~~~"):
        return text[3:-3]
    body = text[1:-1]
    return re.sub(_ESCAPE, _unescape, body) if "\\" in body else body


def tokenize(text: str) -> list[Token]:  # noqa: C901  one branch per kind of token, in one loop, for speed
    """All tokens, closed by an END. Raises KqlSyntaxError at the first character that fits nothing."""
    tokens: list[Token] = []
    add = tokens.append
    match = _scanner().match
    at, size = 0, len(text)
    while at < size:
        found = match(text, at)
        if found is None:
            if text[at] in "\"'":
                raise KqlSyntaxError("A string literal is not closed.", text=text, pos=at)
            raise KqlSyntaxError(f"The character '{text[at]}' is not understood.", text=text, pos=at)
        kind, end = found.lastgroup, found.end()
        if kind == "space":
            at = end
            continue
        piece = found.group()
        if kind == "name":
            # `in~` and `has_cs`-like words; a tilde binds only to `in`.
            if piece == "in" and end < size and text[end] == "~":
                piece, end = "in~", end + 1
            add(Token(TokenKind.NAME, piece, at, end))
        elif kind == "punct":
            if piece == "!" and (word := match(text, end)) and word.lastgroup == "name":
                negated, end = "!" + word.group(), word.end()
                if negated == "!in" and end < size and text[end] == "~":
                    negated, end = "!in~", end + 1
                add(Token(TokenKind.NAME, negated, at, end))
            else:
                add(Token(TokenKind.PUNCTUATION, piece, at, end))
        elif kind == "string":
            add(Token(TokenKind.STRING, piece, at, end, string_value(piece)))
        elif kind == "raw":
            close = text.find(")", end)
            if close < 0:
                raise KqlSyntaxError("A ')' is missing.", text=text, pos=at, end=end)
            if tokens and tokens[-1].text in (".", "function"):
                word = piece[: piece.index("(")].rstrip()
                end = at + len(word)
                add(Token(TokenKind.NAME, word, at, end))
            else:
                name = piece[:-1].rstrip()
                add(Token(TokenKind.RAW, text[end:close].strip(), at, close + 1, name))
                end = close + 1
        elif kind == "bracketed":
            after = tokens[-1] if tokens else None
            # After something that has a value, ["x"] reads a property of it; elsewhere it is a name.
            if (
                after is not None
                and after.end == at
                and (after.kind is not TokenKind.PUNCTUATION or after.text in (")", "]"))
            ):
                add(Token(TokenKind.PUNCTUATION, "[", at, at + 1))
                end = at + 1
            else:
                inner = piece[1:-1].strip()
                name = string_value(inner)
                if "\0" in name:
                    raise KqlSyntaxError("A name cannot hold a NUL.", text=text, pos=at, end=end)
                add(Token(TokenKind.QUOTED_NAME, piece, at, end, name))
        elif kind in ("hyphenated", "digitname"):
            add(Token(TokenKind.NAME, piece, at, end))
        elif kind in ("long", "hex"):
            add(Token(TokenKind.LONG, piece, at, end))
        elif kind == "real":
            add(Token(TokenKind.REAL, piece, at, end))
        else:
            add(Token(TokenKind.TIMESPAN, piece, at, end))
        at = end
    add(Token(TokenKind.END, "", size, size))
    return tokens
