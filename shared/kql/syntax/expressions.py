"""Scalar expressions, by operator precedence."""

import json
from typing import Any, Final

from shared.kernel.ticks import format_ticks, format_timespan_ticks
from shared.kql.syntax import ast
from shared.kql.syntax.ast import Expr
from shared.kql.syntax.cursor import TYPE_NAMES, Cursor
from shared.kql.syntax.lexer import Token, TokenKind
from shared.kql.syntax.literals import (
    datetime_ticks,
    decimal_text,
    guid_text,
    integer_value,
    real_value,
    timespan_ticks,
)
from shared.kql.types import KqlType

_STRING_OPS: Final = {
    f"{negation}{word}{case}"
    for word in ("has", "hasprefix", "hassuffix", "contains", "startswith", "endswith")
    for negation in ("", "!")
    for case in ("", "_cs")
} | {
    "notcontains",
    "containscs",
    "notcontainscs",
    "nothas",
    "hascs",
    "nothascs",
    "notstartswith",
    "notendswith",
    "like",
    "notlike",
}
_LIST_OPS: Final = {"in", "!in", "in~", "!in~", "has_any", "has_all"}
_COMPARISONS: Final = {"==", "!=", "<>", "<", "<=", ">", ">=", "=~", "!~"}
OR, AND, COMPARE, ADD, MULTIPLY, UNARY = 1, 2, 3, 4, 5, 6
_TABULAR_CALLS: Final = {"datatable", "externaldata", "external_data"}
_HEADS: Final = {"print", "union", "search", "find", "evaluate"}


class ExpressionParser(Cursor):
    """Parses scalars. Tabular parts, which may stand in parentheses and arguments, come from the subclass."""

    equality_by_assignment = False
    """In predicates a lone `=` is read as `==`, as Kusto does."""
    matching = False
    """In `search`, `column:"x"` is a condition."""

    def pipeline_tail(self, source: Expr | None, start: int) -> ast.Pipeline:
        del source, start
        raise AssertionError("the tabular parser provides this")

    def table_literal(self) -> Expr:
        """`datatable` or `externaldata`, without what is piped after it."""
        raise AssertionError("the tabular parser provides this")

    def tabular_head(self) -> Expr | None:
        """A tabular expression that begins with a word (`print`, `union`, …), if one stands here."""
        raise AssertionError("the tabular parser provides this")

    # Whole expressions ------------------------------------------------------------------------------------------

    def expression(self, least: int = OR) -> Expr:
        self.descend()
        start = self.token.start
        left = self.unary()
        while True:
            found = self._infix(left, least, start)
            if found is None:
                break
            left = found
        self.depth -= 1
        return left

    def predicate(self) -> Expr:
        """An expression in which `a = 1` means `a == 1`."""
        before, self.equality_by_assignment = self.equality_by_assignment, True
        found = self.expression()
        self.equality_by_assignment = before
        return found

    def anything(self) -> Expr:
        """A scalar or a tabular expression: what may stand in parentheses, as an argument, or after `let x =`."""
        start = self.token.start
        head = self.tabular_head()
        if head is not None:
            return head
        found = self.expression()
        return self.pipeline_tail(found, start) if self.is_punct("|") else found

    def named(self) -> Expr:
        """`x = expression`, `(x, y) = expression`, or just an expression."""
        start = self.token.start
        if self.is_punct("=", 1) and (self.is_name() or self.token.kind is TokenKind.TIMESPAN):
            name = self.need_column()
            self.advance()
            value = self.expression()
            return ast.Named((name,), value, span=self.span_from(start))
        if self.is_punct("(") and (names := self._tuple_names()):
            value = self.expression()
            return ast.Named(names, value, span=self.span_from(start))
        return self.expression()

    def _tuple_names(self) -> tuple[str, ...]:
        mark, names = self.at, list[str]()
        self.advance()
        while self.is_name():
            names.append(self.need_name())
            if not self.take_punct(","):
                break
        if self.take_punct(")") and self.is_punct("=") and names:
            self.advance()
            return tuple(names)
        self.at = mark
        return ()

    def listed(self) -> tuple[Expr, ...]:
        """Expressions, named or not, between commas. A comma may trail before a `|`."""
        items = [self.named_or_star()]
        while self.take_punct(","):
            if (
                self.is_punct("|")
                or self.is_punct(")")
                or self.is_punct(";")
                or self.token.kind is TokenKind.END
            ):
                break
            items.append(self.named_or_star())
        return tuple(items)

    def named_or_star(self) -> Expr:
        if self.is_punct("*") and (
            self.peek().kind is TokenKind.END
            or (self.peek().kind is TokenKind.PUNCTUATION and self.peek().text in ",)|;}")
        ):
            token = self.advance()
            return ast.Star(span=(token.start, token.end))
        return self.named()

    # Operators --------------------------------------------------------------------------------------------------

    def unary(self) -> Expr:
        token = self.token
        if token.kind is TokenKind.PUNCTUATION and token.text in "+-":
            self.advance()
            self.descend()
            operand = self.unary()
            self.depth -= 1
            span = self.span_from(token.start)
            if (
                token.text == "-"
                and isinstance(operand, ast.Literal)
                and isinstance(operand.value, int | float)
                and operand.type in (KqlType.LONG, KqlType.REAL, KqlType.TIMESPAN)
            ):
                return ast.Literal(operand.type, -operand.value, span=span)
            return operand if token.text == "+" else ast.Unary("-", operand, span=span)
        return self.postfix()

    def _infix(self, left: Expr, least: int, start: int) -> Expr | None:
        token = self.token
        op = token.text
        if token.kind is TokenKind.PUNCTUATION:
            return self._symbol(left, op, least, start)
        if token.kind is not TokenKind.NAME:
            return None
        if op == "and" and least <= AND:
            self.advance()
            right = self.expression(AND + 1)
        elif op == "or" and least <= OR:
            self.advance()
            right = self.expression(OR + 1)
        elif least > COMPARE:
            return None
        elif op in _STRING_OPS:
            self.advance()
            right = self._operand()
        elif op in _LIST_OPS:
            self.advance()
            items = self._list_items()
            return ast.InList(op, left, items, span=self.span_from(start))
        elif op in ("between", "!between", "notbetween"):
            self.advance()
            self.need_punct("(")
            low = self.expression(ADD)
            self.need_punct("..")
            high = self.expression(ADD)
            self.need_punct(")")
            return ast.Between(op != "between", left, low, high, span=self.span_from(start))
        elif op in ("matches", "!matches") and self.is_word("regex", 1):
            self.at += 2
            right, op = self._operand(), f"{op} regex"
        else:
            return None
        return ast.Binary(op, left, right, span=self.span_from(start))

    def _symbol(self, left: Expr, op: str, least: int, start: int) -> Expr | None:
        if op in _COMPARISONS and least <= COMPARE:
            self.advance()
            right, op = self._operand(), "!=" if op == "<>" else op
        elif op in ("+", "-") and least <= ADD:
            self.advance()
            right = self.expression(ADD + 1)
        elif op in ("*", "/", "%") and least <= MULTIPLY:
            self.advance()
            right = self.expression(MULTIPLY + 1)
        elif op == "=" and self.equality_by_assignment and least <= COMPARE:
            self.advance()
            right, op = self._operand(), "=="
        elif op == ":" and self.matching and least <= COMPARE:
            self.advance()
            right, op = self._operand(), ":"
        else:
            return None
        return ast.Binary(op, left, right, span=self.span_from(start))

    def _operand(self) -> Expr:
        if self.matching and self.is_punct("*"):
            token = self.advance()
            return ast.Star(span=(token.start, token.end))
        return self.expression(ADD)

    def _list_items(self) -> tuple[Expr, ...]:
        if not self.is_punct("("):
            return (self.postfix(),)
        self.advance()
        before, self.equality_by_assignment = self.equality_by_assignment, False
        items = list[Expr]()
        while not self.is_punct(")"):
            items.append(self.anything())
            if not self.take_punct(","):
                break
        self.need_punct(")")
        self.equality_by_assignment = before
        return tuple(items)

    # Operands ---------------------------------------------------------------------------------------------------

    def postfix(self) -> Expr:
        start = self.token.start
        found = self.primary()
        while True:
            if self.is_punct(".") and self.peek().kind is not TokenKind.END:
                self.advance()
                if self.is_punct("["):
                    continue
                if self.token.kind is TokenKind.LONG:
                    name = self.advance().text
                else:
                    name = self.need_name("A property")
                if self.is_punct("("):
                    found = self._called(found, name, start)
                else:
                    found = ast.Member(found, name, span=self.span_from(start))
            elif self.is_punct("["):
                self.advance()
                index = self.expression()
                self.need_punct("]")
                found = ast.Index(found, index, span=self.span_from(start))
            else:
                return found

    def _called(self, base: Expr, name: str, start: int) -> Expr:
        """`workspace("w").table("T")` is `workspace("w").T`; other chains of calls keep their names to be refused."""
        arguments = self.arguments()
        span = self.span_from(start)
        first = arguments[0] if arguments else None
        if name == "table" and isinstance(first, ast.Literal) and isinstance(first.value, str):
            return ast.Member(base, first.value, span=span)
        head = base.name if isinstance(base, ast.Call | ast.Name) else ""
        return ast.Call(f"{head}().{name}", arguments, span=span)

    def primary(self) -> Expr:
        token = self.token
        kind = token.kind
        if kind is TokenKind.NAME:
            return self._word(token)
        if kind is TokenKind.STRING:
            return self._string()
        if kind is TokenKind.QUOTED_NAME:
            self.advance()
            if self.is_punct("("):
                return ast.Call(token.value, self.arguments(), quoted=True, span=self.span_from(token.start))
            return ast.Name(token.value, span=(token.start, token.end))
        if kind in (TokenKind.LONG, TokenKind.REAL, TokenKind.TIMESPAN, TokenKind.RAW):
            self.advance()
            return self._literal(token)
        if self.take_punct("("):
            before, self.equality_by_assignment = self.equality_by_assignment, self.equality_by_assignment
            found = self.anything()
            self.need_punct(")")
            self.equality_by_assignment = before
            return found
        if self.is_punct("*") and self.matching:
            self.advance()
            return ast.Star(span=(token.start, token.end))
        return self.fail("An expression is expected here.")

    def _word(self, token: Token) -> Expr:
        word = token.text
        span = (token.start, token.end)
        if word in ("true", "false", "True", "False", "TRUE", "FALSE") and not self.is_punct("(", 1):
            self.advance()
            return ast.Literal(KqlType.BOOL, word.lower() == "true", span=span)
        if word == "dynamic" and self.is_punct("(", 1):
            self.at += 2
            value = self.json_value()
            self.need_punct(")")
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            return ast.DynamicLiteral(text, span=self.span_from(token.start))
        if word == "typeof" and self.is_punct("(", 1):
            self.at += 2
            found = self.need_type()
            self.need_punct(")")
            return ast.TypeOf(found, span=self.span_from(token.start))
        if word in _TABULAR_CALLS and self.is_punct("(", 1):
            return self.table_literal()
        self.advance()
        if self.is_punct("("):
            return ast.Call(word, self.arguments(), span=self.span_from(token.start))
        if word.startswith("!") or word in ("and", "or"):
            self.at -= 1
            self.fail("An expression is expected here.")
        return ast.Name(word, span=span)

    def arguments(self) -> tuple[Expr, ...]:
        self.need_punct("(")
        before, self.equality_by_assignment = self.equality_by_assignment, False
        items = list[Expr]()
        while not self.is_punct(")"):
            items.append(self.argument())
            if not self.take_punct(","):
                break
        self.need_punct(")")
        self.equality_by_assignment = before
        return tuple(items)

    def argument(self) -> Expr:
        start = self.token.start
        if self.is_punct("*"):
            token = self.advance()
            return ast.Star(span=(token.start, token.end))
        if self.is_name() and self.is_punct("=", 1):
            name = self.need_name()
            self.advance()
            return ast.Named((name,), self.anything(), span=self.span_from(start))
        return self.anything()

    def _string(self) -> ast.Literal:
        start = self.token.start
        value = self.advance().value
        while self.token.kind is TokenKind.STRING:  # neighbours are one string
            value += self.advance().value
        return ast.Literal(KqlType.STRING, value, span=self.span_from(start))

    def _literal(self, token: Token) -> Expr:
        span = (token.start, token.end)
        if token.kind is TokenKind.LONG:
            value = integer_value(token.text)
            if value is not None and value > 2**63:
                self.fail("The number does not fit into a long.", token=token)
            return ast.Literal(KqlType.LONG, value, span=span)
        if token.kind is TokenKind.REAL:
            return ast.Literal(KqlType.REAL, float(token.text), span=span)
        if token.kind is TokenKind.TIMESPAN:
            return ast.Literal(KqlType.TIMESPAN, timespan_ticks(token.text), span=span)
        kind = TYPE_NAMES[token.value]
        if token.text.lower() == "null":
            return ast.Literal(kind, None, span=span)
        found = read_literal(kind, token.text)
        if found is None:
            self.fail(f"'{token.text}' is not a {kind} literal.", token=token)
        return ast.Literal(kind, found, span=span)

    # JSON in dynamic(…) -----------------------------------------------------------------------------------------

    def json_value(self) -> Any:
        token = self.token
        self.descend()
        value = self._json_atom(token)
        self.depth -= 1
        return value

    def _json_atom(self, token: Token) -> Any:
        if token.kind is TokenKind.QUOTED_NAME:  # ["x"] was read as a bracketed name
            self.advance()
            return [token.value]
        if token.kind is TokenKind.STRING:
            return self._string().value
        if self.take_punct("["):
            return self._json_items()
        if self.take_punct("{"):
            return self._json_properties()
        sign = -1 if self.take_punct("-") else 1
        if sign == 1:
            self.take_punct("+")
        token = self.advance()
        if token.kind is TokenKind.NAME and token.text.lower() in ("null", "true", "false"):
            return {"null": None, "true": True, "false": False}[token.text.lower()]
        if token.kind is TokenKind.NAME and token.text == "dynamic" and self.take_punct("("):
            value = self.json_value()
            self.need_punct(")")
            return value
        if token.kind in (TokenKind.LONG, TokenKind.REAL, TokenKind.TIMESPAN, TokenKind.RAW):
            literal = self._literal(token)
            if isinstance(literal, ast.Literal):
                return _json_of(literal, sign)
        self.at -= 1
        return self.fail("A JSON value is expected here.")

    def _json_items(self) -> list[Any]:
        items = list[Any]()
        while not self.is_punct("]"):
            items.append(self.json_value())
            if not self.take_punct(","):
                break
        self.need_punct("]")
        return items

    def _json_properties(self) -> dict[str, Any]:
        items = dict[str, Any]()
        while not self.is_punct("}"):
            key = self._string().value if self.token.kind is TokenKind.STRING else self.need_name()
            self.need_punct(":")
            items[str(key)] = self.json_value()
            if not self.take_punct(","):
                break
        self.need_punct("}")
        return items


def _json_of(literal: ast.Literal, sign: int) -> Any:
    value = literal.value
    if literal.type is KqlType.DATETIME and isinstance(value, int):
        return format_ticks(value, digits=7)
    if literal.type is KqlType.TIMESPAN and isinstance(value, int):
        return format_timespan_ticks(sign * value)
    if literal.type is KqlType.DECIMAL and isinstance(value, str):
        return value
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(sign * value)]
    return sign * value if isinstance(value, int | float) and not isinstance(value, bool) else value


def read_literal(kind: KqlType, text: str) -> bool | int | float | str | None:
    """The value that `kind(text)` writes, None where it writes none."""
    found: bool | int | float | str | None
    match kind:
        case KqlType.BOOL:
            found = {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
        case KqlType.INT | KqlType.LONG:
            found = integer_value(text)
        case KqlType.REAL:
            found = real_value(text)
        case KqlType.DECIMAL:
            found = decimal_text(text)
        case KqlType.DATETIME:
            found = datetime_ticks(text)
        case KqlType.TIMESPAN:
            found = timespan_ticks(text.strip("\"'"))
        case KqlType.GUID:
            found = guid_text(text)
        case _:
            found = None
    return found
