"""The operators with a grammar of their own: expansion, parsing, series, nesting, searching, scanning, charts."""

from typing import Final

from shared.kql.syntax import ast
from shared.kql.syntax.ast import Expr
from shared.kql.syntax.expressions import ADD
from shared.kql.syntax.lexer import TokenKind
from shared.kql.syntax.tabular import TabularParser
from shared.kql.types import KqlType

_EXPANSION: Final = ("bagexpansion", "kind", "with_itemindex", "id")
_CHART_WORDS: Final = frozenset(
    [
        "kind",
        "title",
        "xtitle",
        "ytitle",
        "xaxis",
        "yaxis",
        "xcolumn",
        "ycolumns",
        "series",
        "ysplit",
        "legend",
        "accumulate",
        "ymin",
        "ymax",
        "xmin",
        "xmax",
        "anomalycolumns",
    ]
)


class RareParser(TabularParser):
    def mv_expand(self) -> ast.MvExpand:
        start = self.advance().start
        parameters = self._expansion_parameters()
        items = self._expanded()
        limit = self.expression() if self.take_word("limit") else None
        return ast.MvExpand(parameters, items, limit, span=self.span_from(start))

    def mv_apply(self) -> ast.MvApply:
        start = self.advance().start
        parameters = self._expansion_parameters()
        items = self._expanded()
        limit = self.expression() if self.take_word("limit") else None
        self.need_word("on")
        return ast.MvApply(parameters, items, limit, self.body(), span=self.span_from(start))

    def _expansion_parameters(self) -> ast.Parameters:
        found = list[tuple[str, Expr]]()
        while self.token.kind is TokenKind.NAME and self.is_punct("=", 1):
            name, value = self.token.text, self.peek(2).text
            if not (
                name.startswith("hint.")
                or name == "with_itemindex"
                or (name in _EXPANSION and value in ("array", "bag"))
            ):
                break
            self.at += 2
            found.append((name, self.parameter_value()))
        return tuple(found)

    def _expanded(self) -> tuple[ast.Expanded, ...]:
        items = list[ast.Expanded]()
        while True:
            start = self.token.start
            name: str | None = None
            if self.is_name() and self.is_punct("=", 1):
                name = self.need_name()
                self.advance()
            value = self.expression()
            to: KqlType | None = None
            if self.take_word("to"):
                self.need_word("typeof")
                self.need_punct("(")
                to = self.need_type()
                self.need_punct(")")
            items.append(ast.Expanded(name, value, to, span=self.span_from(start)))
            if not self.take_punct(","):
                return tuple(items)

    def parse(self) -> ast.Parse:
        token = self.advance()
        parameters = self.parameters(("kind", "flags"))
        source = self.expression()
        self.need_word("with")
        pattern = list[ast.Capture | ast.Literal | ast.Star]()
        while True:
            here = self.token
            if self.is_punct("*"):
                self.advance()
                pattern.append(ast.Star(span=(here.start, here.end)))
            elif here.kind is TokenKind.STRING:
                self.advance()
                pattern.append(ast.Literal(KqlType.STRING, here.value, span=(here.start, here.end)))
            elif self.is_name() or here.kind is TokenKind.TIMESPAN:
                if here.kind is TokenKind.NAME and here.text in ("from", "to"):
                    self.fail(f"'{here.text}' cannot be the name of a parsed column.")
                name = self.need_column()
                kind = self.need_type() if self.take_punct(":") else None
                pattern.append(ast.Capture(name, kind, span=self.span_from(here.start)))
            elif not (pattern and self.take_punct(",")):
                break
        if not pattern:
            self.fail("A pattern is expected here.")
        return ast.Parse(token.text, parameters, source, tuple(pattern), span=self.span_from(token.start))

    def parse_kv(self) -> ast.ParseKv:
        start = self.advance().start
        source = self.expression()
        self.need_word("as")
        columns = self._declared_columns()
        parameters: ast.Parameters = ()
        if self.take_word("with"):
            parameters = self._in_parentheses()
        return ast.ParseKv(source, columns, parameters, span=self.span_from(start))

    def _in_parentheses(self) -> ast.Parameters:
        self.need_punct("(")
        found = list[tuple[str, Expr]]()
        while not self.is_punct(")"):
            name = self.need_name()
            self.need_punct("=")
            value = self.name_list() if self.is_name() else self.expression()
            found.append((name, value))
            if not self.take_punct(","):
                break
        self.need_punct(")")
        return tuple(found)

    def name_list(self) -> Expr:
        """`a` or, in chart properties, `a, b`: a comma before something that is not `x = …` goes on."""
        first = self.expression()
        names = [first]
        while self.is_punct(",") and self.is_name(1) and not self.is_punct("=", 2):
            self.advance()
            names.append(self.expression())
        return first if len(names) == 1 else ast.Call("", tuple(names), span=self.span_from(first.span[0]))

    def make_series(self) -> ast.MakeSeries:
        start = self.advance().start
        parameters = self.parameters(("kind",))
        aggregates = [self._series_aggregate()]
        while self.take_punct(","):
            aggregates.append(self._series_aggregate())
        self.need_word("on")
        on = self.axis()
        first: Expr | None = None
        last: Expr | None = None
        if self.take_word("in"):
            self.need_word("range")
            first, last, step = self._three()
        else:
            if self.take_word("from"):
                first = self.expression()
            if self.take_word("to"):
                last = self.expression()
            self.need_word("step")
            step = self.expression()
        by = self.listed() if self.take_word("by") else ()
        return ast.MakeSeries(
            parameters, tuple(aggregates), on, first, last, step, by, span=self.span_from(start)
        )

    def axis(self) -> Expr:
        start = self.token.start
        if self.is_name() and self.is_punct("=", 1):
            name = self.need_name()
            self.advance()
            return ast.Named((name,), self.expression(ADD), span=self.span_from(start))
        return self.expression(ADD)

    def _three(self) -> tuple[Expr, Expr, Expr]:
        arguments = self.arguments()
        if len(arguments) != 3:
            self.fail("range(start, stop, step) is expected here.")
        return arguments[0], arguments[1], arguments[2]

    def _series_aggregate(self) -> ast.SeriesAggregate:
        start = self.token.start
        name: str | None = None
        if self.is_name() and self.is_punct("=", 1):
            name = self.need_name()
            self.advance()
        call = self.expression()
        default: Expr | None = None
        if self.take_word("default"):
            self.need_punct("=")
            default = self.expression()
        return ast.SeriesAggregate(name, call, default, span=self.span_from(start))

    def top_nested(self) -> ast.TopNested:
        start = self.advance().start
        clauses = [self._nested()]
        while self.take_punct(","):
            self.need_word("top-nested")
            clauses.append(self._nested())
        return ast.TopNested(tuple(clauses), span=self.span_from(start))

    def _nested(self) -> ast.NestedClause:
        start = self.token.start
        count = None if self.is_word("of") else self.expression()
        self.need_word("of")
        of = self.named()
        others: Expr | None = None
        if self.take_word("with"):
            self.need_word("others")
            self.need_punct("=")
            others = self.expression()
        self.need_word("by")
        by = self.named()
        descending = self.advance().text == "desc" if self.is_word_of(("asc", "desc")) else None
        return ast.NestedClause(count, of, others, by, descending, span=self.span_from(start))

    def top_hitters(self) -> ast.TopHitters:
        start = self.advance().start
        count = self.expression()
        self.need_word("of")
        of = self.named()
        by = self.expression() if self.take_word("by") else None
        return ast.TopHitters(count, of, by, span=self.span_from(start))

    def _tables(self) -> tuple[Expr, ...]:
        tables = list[Expr]()
        if self.is_word("in") and self.is_punct("(", 1):
            self.at += 2
            while not self.is_punct(")"):
                tables.append(self.table_reference())
                if not self.take_punct(","):
                    break
            self.need_punct(")")
        return tuple(tables)

    def search(self) -> ast.Search:
        start = self.advance().start
        parameters = self.parameters(("kind",))
        tables = self._tables()
        before, self.matching = self.matching, True
        if self.is_punct("*") and self.peek().kind is not TokenKind.NAME:
            self.advance()
            predicate: Expr = ast.Star(span=self.span_from(start))
        else:
            predicate = self.predicate()
        self.matching = before
        return ast.Search(parameters, tables, predicate, span=self.span_from(start))

    def find(self) -> ast.Find:
        start = self.advance().start
        parameters = self.parameters(("withsource", "with_source", "datascope"))
        tables = self._tables()
        self.take_word("where")
        before, self.matching = self.matching, True
        predicate = self.predicate()
        self.matching = before
        word: str | None = None
        columns = tuple[Expr, ...]()
        if self.is_word_of(("project", "project-smart")):
            word = self.advance().text
            columns = self._found_columns() if word == "project" else ()
        return ast.Find(parameters, tables, predicate, word, columns, span=self.span_from(start))

    def _found_columns(self) -> tuple[Expr, ...]:
        columns = list[Expr]()
        while True:
            start = self.token.start
            if self.take_punct("*"):
                columns.append(ast.Star(span=self.span_from(start)))
            else:
                name = self.need_name()
                kind = self.need_type() if self.take_punct(":") else None
                if name == "pack" and self.is_punct("("):
                    self.arguments()
                    columns.append(ast.Call("pack_all", (), span=self.span_from(start)))
                elif name == "pack_all" and self.is_punct("("):
                    columns.append(ast.Call("pack_all", self.arguments(), span=self.span_from(start)))
                elif kind is not None:
                    columns.append(
                        ast.Call(
                            f"to{kind}",
                            (ast.Name(name, span=self.span_from(start)),),
                            span=self.span_from(start),
                        )
                    )
                else:
                    columns.append(ast.Name(name, span=self.span_from(start)))
            if not self.take_punct(","):
                return tuple(columns)

    def render(self) -> ast.Render:
        start = self.advance().start
        chart = self.need_name("A chart")
        if self.take_word("with"):
            properties = self._in_parentheses()
        else:
            found = list[tuple[str, Expr]]()
            while self.is_word_of(_CHART_WORDS) or (self.is_punct(",") and found):
                self.take_punct(",")
                name = self.need_name()
                self.need_punct("=")
                found.append((name, self.name_list() if self.is_name() else self.unary()))
            if self.take_word("by") or self.take_word("with"):
                self.name_list()
            properties = tuple(found)
        return ast.Render(chart, properties, span=self.span_from(start))

    def evaluate(self) -> ast.Evaluate:
        start = self.advance().start
        parameters = self.parameters(())
        at = self.token
        name = self.need_name("A plugin")
        call = ast.Call(name, self.arguments(), span=self.span_from(at.start))
        if not self.take_punct(":"):
            return ast.Evaluate(parameters, call, span=self.span_from(start))
        opened = False
        if self.is_punct("(") and self.is_punct("*", 1):
            self.at += 2
            opened = True
            columns = list[ast.Declared]()
            while self.take_punct(","):
                column = self.need_name()
                self.need_punct(":")
                columns.append(ast.Declared(column, self.need_type()))
            self.need_punct(")")
            return ast.Evaluate(parameters, call, tuple(columns), opened, span=self.span_from(start))
        schema = self._declared_columns()
        return ast.Evaluate(parameters, call, schema, opened, span=self.span_from(start))

    def invoke(self) -> ast.Invoke:
        start = self.advance().start
        call = self.postfix()
        if not isinstance(call, ast.Call):
            self.fail("A function call is expected here.")
        return ast.Invoke(call, span=self.span_from(start))

    def scan(self) -> ast.Scan:
        start = self.advance().start
        parameters = self.parameters(("with_match_id", "kind"))
        order = tuple[ast.Ordered, ...]()
        partition = tuple[Expr, ...]()
        declared = tuple[ast.Declared, ...]()
        if self.is_word("order") and self.is_word("by", 1):
            self.at += 2
            order = self.ordered_list()
        if self.is_word("partition") and self.is_word("by", 1):
            self.at += 2
            partition = self.listed()
        if self.take_word("declare"):
            declared = self.declarations()
        self.need_word("with")
        self.need_punct("(")
        steps = list[ast.ScanStep]()
        while self.is_word("step"):
            steps.append(self._step())
            if not self.take_punct(";"):
                break
        self.need_punct(")")
        return ast.Scan(parameters, order, partition, declared, tuple(steps), span=self.span_from(start))

    def _step(self) -> ast.ScanStep:
        start = self.advance().start
        name = self.need_name("A step")
        optional = self.take_word("optional")
        output: str | None = None
        if self.take_word("output"):
            self.need_punct("=")
            output = self.need_name()
        self.need_punct(":")
        condition = self.predicate()
        assignments = list[ast.Named]()
        if self.take_punct("=>"):
            while True:
                found = self.named()
                if not isinstance(found, ast.Named):
                    self.fail("'column = expression' is expected here.")
                assignments.append(found)
                if not self.take_punct(","):
                    break
        return ast.ScanStep(name, optional, output, condition, tuple(assignments), span=self.span_from(start))

    def declarations(self) -> tuple[ast.Declared, ...]:
        """Parameters of a function, of a scan, or of the query: types, defaults, tables."""
        self.need_punct("(")
        found = list[ast.Declared]()
        while not self.is_punct(")"):
            start = self.token.start
            name = self.need_name("A parameter")
            kind: KqlType | None = None
            schema: tuple[ast.Declared, ...] | None = None
            if self.take_punct(":"):
                if self.is_punct("("):
                    if self.is_punct("*", 1):
                        self.at += 2
                        self.need_punct(")")
                        schema = ()
                    else:
                        schema = self._declared_columns()
                else:
                    kind = self.need_type()
            default = self.expression() if self.take_punct("=") else None
            found.append(ast.Declared(name, kind, default, schema, span=self.span_from(start)))
            if not self.take_punct(","):
                break
        self.need_punct(")")
        return tuple(found)

    def partition(self) -> ast.Partition:
        start = self.advance().start
        parameters = self.parameters(())
        self.need_word("by")
        by = self.name_or_pattern()
        return ast.Partition(parameters, by, self.body(), span=self.span_from(start))

    def reduce(self) -> ast.Reduce:
        start = self.advance().start
        parameters = list(self.parameters(("kind",)))
        self.need_word("by")
        by = self.named()
        if self.take_word("with"):
            while True:
                name = self.need_name()
                self.need_punct("=")
                parameters.append((name, self.parameter_value()))
                if not self.take_punct(","):
                    break
        return ast.Reduce(by, tuple(parameters), span=self.span_from(start))

    def fork(self) -> ast.Fork:
        start = self.advance().start
        branches = list[tuple[str | None, ast.Pipeline]]()
        while self.is_punct("(") or (self.is_name() and self.is_punct("=", 1)):
            name: str | None = None
            if self.is_name():
                name = self.need_name()
                self.advance()
            branches.append((name, self.body()))
            self.take_punct(",")
        return ast.Fork(tuple(branches), span=self.span_from(start))

    def facet(self) -> ast.Facet:
        start = self.advance().start
        self.need_word("by")
        by = self.listed()
        body = self.body() if self.take_word("with") else None
        return ast.Facet(by, body, span=self.span_from(start))

    def consume(self) -> ast.Consume:
        start = self.advance().start
        self.parameters(("decodeblocks",))
        return ast.Consume(span=self.span_from(start))
