"""Statements, and the entry points: a query's text to its tree."""

from shared.kql.errors import KqlUnsupported
from shared.kql.syntax import ast
from shared.kql.syntax.ast import Expr, Statement
from shared.kql.syntax.lexer import TokenKind
from shared.kql.syntax.rare import RareParser


class Parser(RareParser):
    """One parse of one text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.operators = {
            "where": self.where,
            "filter": self.where,
            "project": self.project,
            "extend": self.project,
            "serialize": self.project,
            "distinct": self.project,
            "project-rename": self.project,
            "project-away": self.pick,
            "project-keep": self.pick,
            "project-by-names": self.project,
            "project-reorder": self.reorder,
            "summarize": self.summarize,
            "sort": self.sort,
            "order": self.sort,
            "top": self.top,
            "take": self.take,
            "limit": self.take,
            "count": self.count,
            "as": self.as_,
            "print": self.print_,
            "range": self.range_,
            "union": self.union,
            "join": self.join,
            "lookup": self.join,
            "sample": self.sample,
            "sample-distinct": self.sample,
            "getschema": self.getschema,
            "mv-expand": self.mv_expand,
            "mvexpand": self.mv_expand,
            "mv-apply": self.mv_apply,
            "mvapply": self.mv_apply,
            "parse": self.parse,
            "parse-where": self.parse,
            "parse-kv": self.parse_kv,
            "make-series": self.make_series,
            "top-nested": self.top_nested,
            "top-hitters": self.top_hitters,
            "search": self.search,
            "find": self.find,
            "render": self.render,
            "evaluate": self.evaluate,
            "invoke": self.invoke,
            "scan": self.scan,
            "partition": self.partition,
            "reduce": self.reduce,
            "fork": self.fork,
            "facet": self.facet,
            "consume": self.consume,
        }

    def query(self) -> ast.Query:
        start = self.token.start
        try:
            statements = self._statements()
        except RecursionError:
            self.fail("The query is nested too deeply.")
        if self.token.kind is not TokenKind.END:
            self.fail(f"'{self.token.text}' is not expected here.")
        return ast.Query(statements, span=self.span_from(start))

    def _statements(self) -> tuple[Statement, ...]:
        found = list[Statement]()
        while True:
            while self.take_punct(";"):
                pass
            if self.token.kind is TokenKind.END or self.is_punct("}"):
                return tuple(found)
            found.append(self._statement())
            if not self.is_punct(";"):
                return tuple(found)

    def _statement(self) -> Statement:
        token = self.token
        if token.kind is TokenKind.NAME:
            if token.text == "let" and self.is_name(1):
                return self._let()
            if token.text == "set" and self.is_name(1):
                return self._set()
            if token.text == "declare" and self.is_word("query_parameters", 1):
                self.at += 2
                parameters = self.declarations()
                return ast.DeclareParameters(parameters, span=self.span_from(token.start))
            if token.text in ("alias", "restrict", "declare") and self.is_name(1):
                raise KqlUnsupported(
                    f"The statement '{token.text} {self.peek().text}' is not supported.",
                    text=self.text,
                    pos=token.start,
                    end=token.end,
                )
        value = self.anything()
        return ast.Expression(value, span=self.span_from(token.start))

    def _set(self) -> ast.SetOption:
        start = self.advance().start
        name = self.need_name()
        value = self.parameter_value() if self.take_punct("=") else None
        return ast.SetOption(name, value, span=self.span_from(start))

    def _let(self) -> ast.Let:
        start = self.advance().start
        name = self.need_name()
        self.need_punct("=")
        value: Expr | ast.Lambda
        value = self._lambda() if self._at_lambda() else self.anything()
        return ast.Let(name, value, span=self.span_from(start))

    def _at_lambda(self) -> bool:
        at = self.at + (1 if self.is_word_of(("view", "function")) else 0)
        if self.tokens[at].text != "(":
            return False
        depth = 0
        for index in range(at, len(self.tokens)):
            token = self.tokens[index]
            if token.kind is TokenKind.PUNCTUATION:
                depth += (token.text == "(") - (token.text == ")")
                if depth == 0:
                    after = self.tokens[min(index + 1, len(self.tokens) - 1)]
                    return after.kind is TokenKind.PUNCTUATION and after.text == "{"
        return False

    def _lambda(self) -> ast.Lambda:
        start = self.token.start
        view = self.take_word("view")
        self.take_word("function")
        parameters = self.declarations()
        self.need_punct("{")
        body = self._statements()
        self.need_punct("}")
        return ast.Lambda(parameters, body, view, span=self.span_from(start))


def parse_query(text: str) -> ast.Query:
    """The tree of a query. Raises KqlSyntaxError."""
    return Parser(text).query()


def parse_declarations(text: str) -> tuple[ast.Declared, ...]:
    """The tree of a declaration list, e.g. `(T:(*), n:long = 5)`."""
    return Parser(text).declarations() if text.strip() else ()
