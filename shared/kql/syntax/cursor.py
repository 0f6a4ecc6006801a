"""A place in the tokens: looking ahead, taking, and complaining where something else stands."""

from collections.abc import Container
from typing import NoReturn

from shared.kql.errors import KqlSyntaxError, nearest
from shared.kql.syntax.lexer import Token, TokenKind, tokenize
from shared.kql.syntax.node import Span
from shared.kql.types import KqlType

TYPE_NAMES: dict[str, KqlType] = {
    **{kind.value: kind for kind in KqlType},
    "boolean": KqlType.BOOL,
    "int32": KqlType.INT,
    "int64": KqlType.LONG,
    "double": KqlType.REAL,
    "float": KqlType.REAL,
    "date": KqlType.DATETIME,
    "time": KqlType.TIMESPAN,
    "uuid": KqlType.GUID,
    "uniqueid": KqlType.GUID,
    "object": KqlType.DYNAMIC,
}

RESERVED = frozenset(["first", "last", "missing", "asc", "desc", "true", "false", "and", "or", "by", "on"])
"""Words that Kusto does not take as the name of a column, measured."""

_DEEPEST = 100
"""Nesting beyond this is refused, long before the interpreter's own stack gives in."""


class Cursor:
    """Over one query's tokens. Subclasses parse; this only moves."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.at: int = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def advance(self) -> Token:
        token = self.tokens[self.at]
        if token.kind is not TokenKind.END:
            self.at += 1
        return token

    def is_punct(self, text: str, ahead: int = 0) -> bool:
        token = self.peek(ahead) if ahead else self.tokens[self.at]
        return token.kind is TokenKind.PUNCTUATION and token.text == text

    def is_word(self, text: str, ahead: int = 0) -> bool:
        token = self.peek(ahead) if ahead else self.tokens[self.at]
        return token.kind is TokenKind.NAME and token.text == text

    def is_word_of(self, words: Container[str]) -> bool:
        token = self.tokens[self.at]
        return token.kind is TokenKind.NAME and token.text in words

    def take_punct(self, text: str) -> bool:
        if self.is_punct(text):
            self.at += 1
            return True
        return False

    def take_word(self, text: str) -> bool:
        if self.is_word(text):
            self.at += 1
            return True
        return False

    def need_punct(self, text: str) -> Token:
        if not self.is_punct(text):
            self.fail(f"A '{text}' is expected here.")
        return self.advance()

    def need_word(self, text: str) -> Token:
        if not self.is_word(text):
            self.fail(f"'{text}' is expected here.")
        return self.advance()

    def is_name(self, ahead: int = 0) -> bool:
        return self.peek(ahead).kind in (TokenKind.NAME, TokenKind.QUOTED_NAME)

    def need_column(self, what: str = "A name") -> str:
        """A name for a column: some words cannot be one without brackets."""
        if self.token.kind is TokenKind.NAME and self.token.text in RESERVED:
            self.fail(
                f"'{self.token.text}' is a word of the language; write ['{self.token.text}'] for a column."
            )
        return self.need_name(what)

    def need_name(self, what: str = "A name") -> str:
        token = self.token
        if token.kind is TokenKind.NAME:
            self.at += 1
            return token.text
        if token.kind is TokenKind.QUOTED_NAME:
            self.at += 1
            return token.value
        if token.kind is TokenKind.TIMESPAN:  # a column that is called `7d`
            self.at += 1
            return token.text
        return self.fail(f"{what} is expected here.")

    def need_type(self) -> KqlType:
        token = self.token
        found = TYPE_NAMES.get(token.text) if token.kind is TokenKind.NAME else None
        if found is None:
            self.fail("A type is expected here.", suggestion=nearest(token.text, TYPE_NAMES))
        self.at += 1
        return found

    def span_from(self, start: int) -> Span:
        return (start, self.tokens[self.at - 1].end if self.at else start)

    def fail(self, message: str, *, token: Token | None = None, suggestion: str | None = None) -> NoReturn:
        token = token or self.token
        if token.kind is TokenKind.END:
            message = f"{message} The query ends too early."
        raise KqlSyntaxError(message, text=self.text, pos=token.start, end=token.end, suggestion=suggestion)

    def descend(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail("The query is nested too deeply.")
