"""Tabular expressions and their everyday operators: what stands between the pipes."""

from collections.abc import Callable, Container
from typing import Final

from shared.kql.errors import nearest
from shared.kql.syntax import ast
from shared.kql.syntax.ast import Expr, Operator
from shared.kql.syntax.expressions import ADD, ExpressionParser
from shared.kql.syntax.lexer import TokenKind
from shared.kql.types import KqlType

REFUSED_WORDS: Final = frozenset(
    {
        "graph-match", "make-graph", "graph-to-table", "graph-merge", "graph-shortest-paths", "graph-mark-components",
        "graph-where-nodes", "graph-where-edges", "graph", "macro-expand", "assert-schema", "execute-and-cache",
        "project-smart", "partitionby",
    }
)  # fmt: skip
_LIST_WORDS: Final = ("project", "extend", "serialize")


class TabularParser(ExpressionParser):
    """Pipelines. The rarer operators are in `RareOperators`, which builds on this."""

    operators: dict[str, Callable[[], Operator]]

    def pipeline_tail(self, source: Expr | None, start: int) -> ast.Pipeline:
        operators = list[Operator]()
        while self.take_punct("|"):
            if self.is_punct("|"):
                self.fail("An operator is expected between the pipes.")
            operators.append(self.operator())
        return ast.Pipeline(source, tuple(operators), span=self.span_from(start))

    def body(self) -> ast.Pipeline:
        """A pipeline in parentheses or braces that begins with an operator, as in mv-apply, fork and partition."""
        start = self.token.start
        close = ")" if self.take_punct("(") else "}"
        if close == "}":
            self.need_punct("{")
        before, self.equality_by_assignment = self.equality_by_assignment, False
        if self.token.kind is TokenKind.NAME and self.token.text in self.operators and not self._is_source():
            first = self.operator()
            rest = self.pipeline_tail(None, start)
            found = ast.Pipeline(None, (first, *rest.operators), span=self.span_from(start))
        else:
            value = self.anything()
            found = value if isinstance(value, ast.Pipeline) else ast.Pipeline(value, (), span=value.span)
        self.need_punct(close)
        self.equality_by_assignment = before
        return found

    def _is_source(self) -> bool:
        after = self.peek()
        return (
            after.kind is TokenKind.PUNCTUATION
            and after.text in ("|", ")", "}")
            and not self.is_word("count")
        )

    def table_literal(self) -> Expr:
        return self._datatable() if self.token.text == "datatable" else self._external_data()

    def tabular_head(self) -> Expr | None:
        token = self.token
        if token.kind is not TokenKind.NAME:
            return None
        after = self.peek()
        word = token.text
        if word in ("datatable", "externaldata", "external_data") and after.text == "(":
            found = self.table_literal()
            return self.pipeline_tail(found, token.start) if self.is_punct("|") else found
        starts = (
            word in ("print", "union", "search", "find")
            and not (after.kind is TokenKind.PUNCTUATION and after.text in "=,).|;]" and after.text)
            and after.kind is not TokenKind.END
        ) or (
            (word == "range" and self.is_name(1) and self.is_word("from", 2))
            or (word == "evaluate" and after.kind is TokenKind.NAME)
        )
        if not starts:
            return None
        first = self.operator()
        rest = self.pipeline_tail(None, token.start)
        return ast.Pipeline(None, (first, *rest.operators), span=self.span_from(token.start))

    def _declared_columns(self) -> tuple[ast.Declared, ...]:
        self.need_punct("(")
        columns = list[ast.Declared]()
        while not self.is_punct(")"):
            start = self.token.start
            name = self.need_column("A column")
            self.need_punct(":")
            kind = self.need_type()
            columns.append(ast.Declared(name, kind, span=self.span_from(start)))
            if not self.take_punct(","):
                break
        self.need_punct(")")
        return tuple(columns)

    def _datatable(self) -> ast.Datatable:
        start = self.advance().start
        columns = self._declared_columns()
        values = list[Expr]()
        token = self.token
        if token.kind is TokenKind.QUOTED_NAME:  # ["x"] was read as a bracketed name
            self.advance()
            values.append(ast.Literal(KqlType.STRING, token.value, span=(token.start, token.end)))
        else:
            self.need_punct("[")
            while not self.is_punct("]"):
                values.append(self.expression())
                if not self.take_punct(","):
                    break
            self.need_punct("]")
        return ast.Datatable(columns, tuple(values), span=self.span_from(start))

    def _external_data(self) -> ast.ExternalData:
        start = self.advance().start
        columns = self._declared_columns()
        if self.token.kind is TokenKind.QUOTED_NAME:
            self.advance()
        else:
            self._skip_group("[", "]")
        if self.take_word("with"):
            self._skip_group("(", ")")
        return ast.ExternalData(columns, span=self.span_from(start))

    def _skip_group(self, opening: str, closing: str) -> None:
        self.need_punct(opening)
        depth = 1
        while depth:
            token = self.advance()
            if token.kind is TokenKind.END:
                self.fail(f"A '{closing}' is missing.")
            if token.kind is TokenKind.PUNCTUATION:
                depth += (token.text == opening) - (token.text == closing)

    # Operators --------------------------------------------------------------------------------------------------

    def operator(self) -> Operator:
        token = self.token
        if token.kind is not TokenKind.NAME:
            self.fail("An operator is expected here.")
        parse = self.operators.get(token.text)
        if parse is not None:
            return parse()
        if token.text in REFUSED_WORDS:
            return self._refused()
        return self.fail(
            f"'{token.text}' is not an operator.", suggestion=nearest(token.text, self.operators)
        )

    def _refused(self) -> ast.Refused:
        start = self.token.start
        word = self.advance().text
        depth = 0
        while self.token.kind is not TokenKind.END:
            if self.token.kind is TokenKind.PUNCTUATION:
                text = self.token.text
                if depth == 0 and text in "|);}":
                    break
                depth += (text in "([{") - (text in ")]}")
            self.advance()
        span = self.span_from(start)
        return ast.Refused(word, self.text[start : span[1]], span=span)

    def parameters(self, allowed: Container[str]) -> ast.Parameters:
        """`name=value` pairs between an operator's word and its business; hints go along."""
        found = list[tuple[str, Expr]]()
        while self.token.kind is TokenKind.NAME and self.is_punct("=", 1):
            name = self.token.text
            if name not in allowed and not name.startswith("hint."):
                break
            self.at += 2
            found.append((name, self.parameter_value()))
            self.take_punct(",")
        return tuple(found)

    def parameter_value(self) -> Expr:
        token = self.token
        if token.kind in (TokenKind.NAME, TokenKind.QUOTED_NAME):
            self.advance()
            name = token.value if token.kind is TokenKind.QUOTED_NAME else token.text
            return ast.Name(name, span=(token.start, token.end))
        return self.unary()

    def where(self) -> ast.Where:
        start = self.advance().start
        self.parameters(())
        before, self.matching = self.matching, True
        predicate = self.predicate()
        self.matching = before
        return ast.Where(predicate, span=self.span_from(start))

    def project(self) -> ast.Project:
        """The operators that take a list of expressions."""
        token = self.advance()
        if token.text == "serialize" and not (
            self.is_name() or self.token.kind in (TokenKind.STRING, TokenKind.LONG, TokenKind.REAL)
        ):
            return ast.Project("serialize", (), span=self.span_from(token.start))
        if token.text == "project" and (self.is_punct("|") or self.token.kind is TokenKind.END):
            return ast.Project("project", (), span=self.span_from(token.start))
        self.parameters(())
        return ast.Project(token.text, self.listed(), span=self.span_from(token.start))

    def pick(self) -> ast.Project:
        """project-away, project-keep: names and patterns."""
        token = self.advance()
        items = [self.name_or_pattern()]
        while self.take_punct(","):
            if self.is_punct("|") or self.token.kind is TokenKind.END:
                break
            items.append(self.name_or_pattern())
        return ast.Project(token.text, tuple(items), span=self.span_from(token.start))

    def name_or_pattern(self) -> Expr:
        """A name that may hold stars: tokens that touch."""
        start = token = self.token
        pieces = list[str]()
        end = token.start
        starred = False
        while token.start == end and (
            token.kind in (TokenKind.NAME, TokenKind.LONG)
            or (token.kind is TokenKind.PUNCTUATION and token.text == "*")
        ):
            starred = starred or token.text == "*"
            pieces.append(token.text)
            end = token.end
            self.advance()
            token = self.token
        span = (start.start, end)
        if starred:
            return ast.Star(span=span) if pieces == ["*"] else ast.Pattern("".join(pieces), span=span)
        if len(pieces) == 1:
            return ast.Name(pieces[0], span=span)
        if not pieces and start.kind is TokenKind.QUOTED_NAME:
            self.advance()
            return ast.Name(start.value, span=(start.start, start.end))
        return self.fail("A column is expected here.", token=start)

    def reorder(self) -> ast.Reorder:
        start = self.advance().start
        items = list[ast.Ordered]()
        while True:
            at = self.token.start
            name = self.name_or_pattern()
            descending: bool | None = None
            granny = False
            if self.is_word("granny") and self.is_punct("-", 1):
                self.at += 2
                granny = True
            if self.is_word_of(("asc", "desc")):
                descending = self.advance().text == "desc"
            items.append(ast.Ordered(name, descending, None, granny, span=self.span_from(at)))
            if not self.take_punct(","):
                return ast.Reorder(tuple(items), span=self.span_from(start))

    def ordered(self) -> ast.Ordered:
        start = self.token.start
        expression = self.named()
        descending: bool | None = None
        nulls_first: bool | None = None
        if self.is_word_of(("asc", "desc")):
            descending = self.advance().text == "desc"
        if self.take_word("nulls"):
            if not self.is_word_of(("first", "last")):
                self.fail("'first' or 'last' is expected here.")
            nulls_first = self.advance().text == "first"
        return ast.Ordered(expression, descending, nulls_first, granny=False, span=self.span_from(start))

    def ordered_list(self) -> tuple[ast.Ordered, ...]:
        keys = [self.ordered()]
        while self.take_punct(","):
            keys.append(self.ordered())
        return tuple(keys)

    def sort(self) -> ast.Sort:
        start = self.advance().start
        self.parameters(())
        self.need_word("by")
        return ast.Sort(self.ordered_list(), span=self.span_from(start))

    def top(self) -> ast.Top:
        start = self.advance().start
        self.parameters(())
        count = self.expression()
        self.need_word("by")
        return ast.Top(count, self.ordered_list(), span=self.span_from(start))

    def take(self) -> ast.Take:
        start = self.advance().start
        return ast.Take(self.expression(), span=self.span_from(start))

    def count(self) -> ast.Count:
        start = self.advance().start
        self.parameters(())
        alias = self.need_name() if self.take_word("as") else None
        return ast.Count(alias, span=self.span_from(start))

    def as_(self) -> ast.As:
        start = self.advance().start
        self.parameters(())
        return ast.As(self.need_name(), span=self.span_from(start))

    def summarize(self) -> ast.Summarize:
        start = self.advance().start
        parameters = self.parameters(())
        aggregates = tuple[Expr, ...]()
        if not self.is_word("by"):
            aggregates = self.listed_until_by()
        by = tuple[Expr, ...]()
        if self.take_word("by"):
            by = self.listed()
        return ast.Summarize(parameters, aggregates, by, span=self.span_from(start))

    def listed_until_by(self) -> tuple[Expr, ...]:
        items = list[Expr]()
        if self.is_punct("|") or self.is_punct(")") or self.token.kind is TokenKind.END:
            return ()
        while True:
            items.append(self.named_or_star())
            if not self.take_punct(",") or self.is_word("by"):
                return tuple(items)

    def print_(self) -> ast.Project:
        start = self.advance().start
        return ast.Project("print", self.listed(), span=self.span_from(start))

    def range_(self) -> ast.Range:
        start = self.advance().start
        name = self.need_name()
        self.need_word("from")
        first = self.expression()
        self.need_word("to")
        last = self.expression()
        self.need_word("step")
        step = self.expression()
        return ast.Range(name, first, last, step, span=self.span_from(start))

    def union(self) -> ast.Union:
        start = self.advance().start
        parameters = self.parameters(("kind", "withsource", "with_source", "isfuzzy"))
        tables = [self.table_reference()]
        while self.take_punct(","):
            tables.append(self.table_reference())
        return ast.Union(parameters, tuple(tables), span=self.span_from(start))

    def table_reference(self) -> Expr:
        token, after = self.token, self.peek()
        if token.kind is TokenKind.PUNCTUATION and token.text == "*":
            return self.name_or_pattern()
        if token.kind is TokenKind.NAME and after.text == "*" and after.start == token.end:
            return self.name_or_pattern()
        return self.postfix()

    def join(self) -> ast.Join:
        token = self.advance()
        parameters = self.parameters(("kind", "withsource"))
        right = self.table_reference()
        on = tuple[Expr, ...]()
        if self.take_word("on"):
            on = self.conditions()
        elif self.take_word("where"):
            self.fail("'join … where' is not supported; use 'on'.")
        return ast.Join(token.text, parameters, right, on, span=self.span_from(token.start))

    def conditions(self) -> tuple[Expr, ...]:
        before, self.equality_by_assignment = self.equality_by_assignment, True
        found = [self.expression()]
        while self.take_punct(","):
            found.append(self.expression())
        self.equality_by_assignment = before
        return tuple(found)

    def sample(self) -> ast.Sample:
        token = self.advance()
        count = self.expression(ADD)
        of: Expr | None = None
        if token.text == "sample-distinct":
            self.need_word("of")
            of = self.named()
        return ast.Sample(count, of, span=self.span_from(token.start))

    def getschema(self) -> ast.GetSchema:
        token = self.advance()
        return ast.GetSchema(span=(token.start, token.end))
