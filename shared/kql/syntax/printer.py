"""The syntax tree as text again. Parsing what is printed gives the same tree."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.kernel.ticks import format_ticks, format_timespan_ticks
from shared.kql.syntax import ast
from shared.kql.syntax.expressions import ADD, AND, COMPARE, MULTIPLY, OR, UNARY
from shared.kql.types import KqlType

_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_KEYWORDS: Final = frozenset(
    [
        "and",
        "or",
        "in",
        "between",
        "has",
        "contains",
        "startswith",
        "endswith",
        "matches",
        "true",
        "false",
        "asc",
        "desc",
        "nulls",
        "first",
        "last",
        "by",
        "on",
        "to",
        "from",
        "step",
        "with",
        "limit",
        "missing",
        "datetime",
        "date",
        "timespan",
        "time",
        "guid",
        "uuid",
        "uniqueid",
        "bool",
        "boolean",
        "int",
        "int32",
        "long",
        "int64",
        "real",
        "double",
        "decimal",
        "dynamic",
        "typeof",
        "datatable",
        "externaldata",
        "print",
        "union",
        "search",
        "find",
        "range",
        "evaluate",
        "let",
        "set",
        "where",
        "filter",
        "project",
        "extend",
        "summarize",
        "count",
        "take",
        "top",
        "sort",
        "order",
        "join",
        "lookup",
        "as",
        "in~",
        "default",
        "others",
        "of",
        "has_any",
        "has_all",
        "hasprefix",
        "hassuffix",
        "kind",
        "hint",
        "view",
        "like",
        "notlike",
        "not",
    ]
)
_LEVELS: Final = {
    "or": OR, "and": AND, "+": ADD, "-": ADD, "*": MULTIPLY, "/": MULTIPLY, "%": MULTIPLY,
}  # fmt: skip
_POSTFIX: Final = 7


def unparse(query: ast.Query) -> str:
    """The query as text: one operator a line."""
    return ";\n".join(_statement(each) for each in query.statements)


def name_text(name: str) -> str:
    """A name, in brackets where it would not be read as one."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    if re.fullmatch(r"\$?[^\W\d]\w*", name) and name.startswith("$"):
        return name
    return f"[{_quoted(name)}]"


def _quoted(text: str) -> str:
    body = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return "'" + body.replace("\t", "\\t").replace("\0", "\\0") + "'"


def _statement(node: ast.Statement) -> str:
    match node:
        case ast.Let(name=name, value=value):
            text = _lambda(value) if isinstance(value, ast.Lambda) else _argument(value)
            return f"let {name_text(name)} = {text}"
        case ast.SetOption(name=name, value=value):
            return f"set {name}" + (f" = {_parameter_value(value)}" if value is not None else "")
        case ast.DeclareParameters(parameters=parameters):
            return f"declare query_parameters {_declared(parameters)}"
        case ast.Expression(value=value):
            return _argument(value)


def _lambda(node: ast.Lambda) -> str:
    body = ";\n".join(_statement(each) for each in node.body)
    return f"{'view ' if node.view else ''}{_declared(node.parameters)} {{\n{body}\n}}"


def _declared(items: Sequence[ast.Declared]) -> str:
    found = list[str]()
    for item in items:
        text = name_text(item.name)
        if item.schema is not None:
            text += f": {_declared(item.schema) if item.schema else '(*)'}"
        elif item.type is not None:
            text += f": {item.type}"
        if item.default is not None:
            text += f" = {expression(item.default)}"
        found.append(text)
    return f"({', '.join(found)})"


def _literal(node: ast.Literal) -> str:
    value = node.value
    if value is None:
        return f"{node.type}(null)"
    match node.type:
        case KqlType.STRING:
            return _quoted(str(value))
        case KqlType.BOOL:
            return "true" if value else "false"
        case KqlType.LONG:
            return str(value)
        case KqlType.REAL:
            text = repr(float(value))
            plain = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text)
            return text if plain and ("." in text or "e" in text) else f"real({text})"
        case KqlType.DATETIME:
            return f"datetime({format_ticks(int(value))})"
        case KqlType.TIMESPAN:
            return f"timespan({format_timespan_ticks(int(value))})"
        case _:
            return f"{node.type}({value})"


def expression(node: ast.Expr, least: int = OR) -> str:
    """An expression, in parentheses where it binds less than `least`."""
    text, level = _leveled(node)
    return f"({text})" if level < least else text


def _leveled(node: ast.Expr) -> tuple[str, int]:  # noqa: C901  one case per kind of node
    match node:
        case ast.Literal():
            text = _literal(node)
            return text, UNARY if text.startswith("-") else _POSTFIX
        case ast.Name(name=name):
            return name_text(name), _POSTFIX
        case ast.Pattern(text=text):
            return text, _POSTFIX
        case ast.Star():
            return "*", _POSTFIX
        case ast.TypeOf(type=kind):
            return f"typeof({kind})", _POSTFIX
        case ast.DynamicLiteral(json=text):
            return f"dynamic({text})", _POSTFIX
        case ast.Member(base=base, name=name):
            base_text = expression(base, _POSTFIX)
            plain = _PLAIN.fullmatch(name)
            return (
                f"{base_text}.{name}" if plain or name.isdigit() else f"{base_text}.[{_quoted(name)}]"
            ), _POSTFIX
        case ast.Index(base=base, index=index):
            return f"{expression(base, _POSTFIX)}[{expression(index)}]", _POSTFIX
        case ast.Call(name=name, arguments=arguments, quoted=quoted):
            called = f"[{_quoted(name)}]" if quoted else name
            return f"{called}({', '.join(_argument(each) for each in arguments)})", _POSTFIX
        case ast.Unary(op=op, operand=operand):
            return f"{op}{expression(operand, _POSTFIX)}", UNARY
        case ast.Binary(op=op, left=left, right=right):
            level = _LEVELS.get(op, COMPARE)
            # Comparisons take operands that bind tighter; the others lean to the left.
            low = ADD if level == COMPARE else level
            return (
                f"{expression(left, level)} {op} {expression(right, low if level == COMPARE else level + 1)}",
                level,
            )
        case ast.Between(negated=negated, operand=operand, low=low, high=high):
            word = "!between" if negated else "between"
            return (
                f"{expression(operand, COMPARE)} {word} ({expression(low, ADD)} .. {expression(high, ADD)})",
                COMPARE,
            )
        case ast.InList(op=op, left=left, items=items):
            return (
                f"{expression(left, COMPARE)} {op} ({', '.join(expression(each) for each in items)})",
                COMPARE,
            )
        case ast.Named():
            return _named(node), 0
        case ast.Datatable(columns=columns, values=values):
            return (
                f"datatable {_declared(columns)} [{', '.join(expression(each) for each in values)}]",
                _POSTFIX,
            )
        case ast.ExternalData(columns=columns):
            return f"externaldata {_declared(columns)} ['']", _POSTFIX
        case ast.Pipeline():
            return pipeline(node), 0
        case ast.ContextualTable(word=word):
            return word, _POSTFIX


def _argument(node: ast.Expr) -> str:
    return (
        _named(node)
        if isinstance(node, ast.Named)
        else pipeline(node)
        if isinstance(node, ast.Pipeline)
        else expression(node)
    )


def _named(node: ast.Expr) -> str:
    if isinstance(node, ast.Named):
        names = ", ".join(name_text(each) for each in node.names)
        left = names if len(node.names) == 1 else f"({names})"
        return f"{left} = {expression(node.value)}"
    return expression(node)


def _list(items: Sequence[ast.Expr]) -> str:
    return ", ".join(_named(each) for each in items)


def pipeline(node: ast.Pipeline) -> str:
    parts = [operator(each) for each in node.operators]
    if node.source is not None:
        parts.insert(0, expression(node.source))
    return "\n| ".join(parts)


def _parameter_value(node: ast.Expr) -> str:
    return expression(node, UNARY)


def _parameters(items: ast.Parameters) -> str:
    return "".join(f" {name}={_parameter_value(value)}" for name, value in items)


def _ordered(items: Sequence[ast.Ordered]) -> str:
    found = list[str]()
    for item in items:
        text = _named(item.expression)
        if item.granny:
            text += " granny-asc" if not item.descending else " granny-desc"
        elif item.descending is not None:
            text += " desc" if item.descending else " asc"
        if item.nulls_first is not None:
            text += " nulls first" if item.nulls_first else " nulls last"
        found.append(text)
    return ", ".join(found)


def _body(node: ast.Pipeline) -> str:
    return f"(\n{pipeline(node)}\n)"


def operator(node: ast.Operator) -> str:
    """One operator, without its pipe."""
    return _PRINTERS[type(node)](node)


def _table(node: ast.Expr) -> str:
    return expression(node, _POSTFIX)


def _summarize(node: ast.Summarize) -> str:
    text = f"summarize{_parameters(node.parameters)}"
    text += f" {_list(node.aggregates)}" if node.aggregates else ""
    return text + (f" by {_list(node.by)}" if node.by else "")


def _expanded(items: Sequence[ast.Expanded]) -> str:
    return ", ".join(
        (f"{name_text(each.name)} = " if each.name else "")
        + expression(each.value)
        + (f" to typeof({each.to})" if each.to else "")
        for each in items
    )


def _mv(word: str, node: ast.MvExpand | ast.MvApply) -> str:
    text = f"{word}{_parameters(node.parameters)} {_expanded(node.items)}"
    if node.limit is not None:
        text += f" limit {expression(node.limit)}"
    return text + (f" on {_body(node.body)}" if isinstance(node, ast.MvApply) else "")


def _parse(node: ast.Parse) -> str:
    parts = list[str]()
    for part in node.pattern:
        if isinstance(part, ast.Capture):
            parts.append(name_text(part.name) + (f": {part.type}" if part.type else ""))
        else:
            parts.append("*" if isinstance(part, ast.Star) else _quoted(str(part.value)))
    return f"{node.word}{_parameters(node.parameters)} {expression(node.source)} with {' '.join(parts)}"


def _with(items: ast.Parameters) -> str:
    return f" with ({', '.join(f'{name}={_property(value)}' for name, value in items)})" if items else ""


def _property(node: ast.Expr) -> str:
    if isinstance(node, ast.Call) and not node.name:
        return ", ".join(expression(each) for each in node.arguments)
    return expression(node)


def _make_series(node: ast.MakeSeries) -> str:
    items = ", ".join(
        (f"{name_text(each.name)} = " if each.name else "")
        + expression(each.call)
        + (f" default={expression(each.default)}" if each.default is not None else "")
        for each in node.aggregates
    )
    text = f"make-series{_parameters(node.parameters)} {items} on {_axis(node.on)}"
    text += f" from {expression(node.start)}" if node.start is not None else ""
    text += f" to {expression(node.stop)}" if node.stop is not None else ""
    text += f" step {expression(node.step)}"
    return text + (f" by {_list(node.by)}" if node.by else "")


def _axis(node: ast.Expr) -> str:
    if isinstance(node, ast.Named):
        return f"{name_text(node.names[0])} = {expression(node.value, ADD)}"
    return expression(node, ADD)


def _nested(node: ast.NestedClause) -> str:
    text = f"top-nested {f'{expression(node.count)} ' if node.count is not None else ''}of {_named(node.of)}"
    text += f" with others = {expression(node.others)}" if node.others is not None else ""
    text += f" by {_named(node.by)}"
    return text + ("" if node.descending is None else " desc" if node.descending else " asc")


def _in_tables(tables: Sequence[ast.Expr]) -> str:
    return f" in ({', '.join(_table(each) for each in tables)})" if tables else ""


def _find(node: ast.Find) -> str:
    text = f"find{_parameters(node.parameters)}{_in_tables(node.tables)} where {expression(node.predicate)}"
    if node.word is None:
        return text
    return f"{text} {node.word} {', '.join(_found(each) for each in node.columns)}".rstrip()


def _found(node: ast.Expr) -> str:
    if isinstance(node, ast.Call) and node.name.startswith("to") and node.arguments:
        return f"{expression(node.arguments[0])}: {node.name[2:]}"
    return expression(node)


def _evaluate(node: ast.Evaluate) -> str:
    text = f"evaluate{_parameters(node.parameters)} {expression(node.call)}"
    if node.schema is None:
        return text
    inside = _declared(node.schema)[1:-1]
    return f"{text}: ({', '.join(each for each in ('*' if node.schema_open else '', inside) if each)})"


def _scan(node: ast.Scan) -> str:
    text = f"scan{_parameters(node.parameters)}"
    text += f" order by {_ordered(node.order)}" if node.order else ""
    text += f" partition by {_list(node.partition)}" if node.partition else ""
    text += f" declare {_declared(node.declared)}" if node.declared else ""
    steps = list[str]()
    for step in node.steps:
        one = f"step {name_text(step.name)}{' optional' if step.optional else ''}"
        one += f" output={step.output}" if step.output else ""
        one += f": {expression(step.condition)}"
        steps.append(one + (f" => {_list(step.assignments)}" if step.assignments else "") + ";")
    return f"{text} with (\n" + "\n".join(steps) + "\n)"


def _fork(node: ast.Fork) -> str:
    return "fork " + " ".join(
        (f"{name_text(name)} = " if name else "") + _body(body) for name, body in node.branches
    )


_PRINTERS: Final[dict[type, Callable[[Any], str]]] = {
    ast.Where: lambda node: f"where {expression(node.predicate)}",
    ast.Project: lambda node: f"{node.word} {_list(node.items)}".rstrip(),
    ast.Reorder: lambda node: f"project-reorder {_ordered(node.items)}",
    ast.Summarize: _summarize,
    ast.Sort: lambda node: f"sort by {_ordered(node.keys)}",
    ast.Top: lambda node: f"top {expression(node.count)} by {_ordered(node.keys)}",
    ast.Take: lambda node: f"take {expression(node.count)}",
    ast.Count: lambda node: "count" + (f" as {name_text(node.alias)}" if node.alias else ""),
    ast.As: lambda node: f"as {name_text(node.name)}",
    ast.Sample: lambda node: (
        f"sample {expression(node.count, ADD)}"
        if node.of is None
        else f"sample-distinct {expression(node.count, ADD)} of {_named(node.of)}"
    ),
    ast.Range: lambda node: (
        f"range {name_text(node.name)} from {expression(node.start)} to {expression(node.stop)} step {expression(node.step)}"
    ),
    ast.Union: lambda node: (
        f"union{_parameters(node.parameters)} {', '.join(_table(each) for each in node.tables)}"
    ),
    ast.Join: lambda node: (
        f"{node.word}{_parameters(node.parameters)} {_table(node.right)}"
        + (f" on {', '.join(expression(each) for each in node.on)}" if node.on else "")
    ),
    ast.MvExpand: lambda node: _mv("mv-expand", node),
    ast.MvApply: lambda node: _mv("mv-apply", node),
    ast.Parse: _parse,
    ast.ParseKv: lambda node: (
        f"parse-kv {expression(node.source)} as {_declared(node.columns)}{_with(node.parameters)}"
    ),
    ast.MakeSeries: _make_series,
    ast.TopNested: lambda node: ", ".join(_nested(each) for each in node.clauses),
    ast.TopHitters: lambda node: (
        f"top-hitters {expression(node.count)} of {_named(node.of)}"
        + (f" by {expression(node.by)}" if node.by is not None else "")
    ),
    ast.Search: lambda node: (
        f"search{_parameters(node.parameters)}{_in_tables(node.tables)} {expression(node.predicate)}"
    ),
    ast.Find: _find,
    ast.GetSchema: lambda _: "getschema",
    ast.Render: lambda node: f"render {name_text(node.chart)}{_with(node.properties)}",
    ast.Evaluate: _evaluate,
    ast.Invoke: lambda node: f"invoke {expression(node.call)}",
    ast.Scan: _scan,
    ast.Partition: lambda node: (
        f"partition{_parameters(node.parameters)} by {expression(node.by)} {_body(node.body)}"
    ),
    ast.Reduce: lambda node: (
        f"reduce by {_named(node.by)}"
        + (
            " with " + ", ".join(f"{name}={_parameter_value(value)}" for name, value in node.parameters)
            if node.parameters
            else ""
        )
    ),
    ast.Fork: _fork,
    ast.Facet: lambda node: (
        f"facet by {_list(node.by)}" + (f" with {_body(node.body)}" if node.body is not None else "")
    ),
    ast.Consume: lambda _: "consume",
    ast.Refused: lambda node: node.text,
}
