"""The syntax tree. Every node keeps its span in the text; spans do not count when trees are compared."""

from shared.kql.syntax.node import NOWHERE, Node, Span
from shared.kql.types import KqlType

__all__ = ["NOWHERE", "Node", "Span"]


# --- expressions -----------------------------------------------------------------------------------------------------


class Literal(Node):
    """A constant: `value` is bool, int (also ticks), float, text, or None; dynamic as JSON text."""

    type: KqlType
    value: bool | int | float | str | None


class Name(Node):
    name: str


class Pattern(Node):
    """A name with `*` in it."""

    text: str


class Member(Node):
    base: "Expr"
    name: str


class Index(Node):
    base: "Expr"
    index: "Expr"


class Unary(Node):
    op: str
    operand: "Expr"


class Binary(Node):
    op: str
    left: "Expr"
    right: "Expr"


class Between(Node):
    negated: bool
    operand: "Expr"
    low: "Expr"
    high: "Expr"


class InList(Node):
    """`in`, `!in`, `in~`, `!in~`, `has_any`, `has_all`."""

    op: str
    left: "Expr"
    items: tuple["Expr", ...]


class Call(Node):
    name: str
    arguments: tuple["Expr", ...]
    quoted: bool = False


class TypeOf(Node):
    """`typeof(long)`."""

    type: KqlType


class Star(Node):
    """`*`: all columns, or any column."""


class Named(Node):
    """`x = expression` or `(x, y) = expression`."""

    names: tuple[str, ...]
    value: "Expr"


class DynamicLiteral(Node):
    """`dynamic(…)`, its value as JSON text ('null' for null)."""

    json: str


class Declared(Node):
    """A column or parameter with its type: `x:long`."""

    name: str
    type: KqlType | None
    default: "Expr | None" = None
    schema: "tuple[Declared, ...] | None" = None  # of a tabular parameter; () is (*)


class Datatable(Node):
    columns: tuple[Declared, ...]
    values: tuple["Expr", ...]


class ExternalData(Node):
    columns: tuple[Declared, ...]


class Pipeline(Node):
    """A tabular expression: where rows come from, and what is done to them. Without a source it starts at an operator."""

    source: "Expr | None"
    operators: tuple["Operator", ...]


class ContextualTable(Node):
    """`contextual_datatable` and other heads that we only name."""

    word: str


# --- tabular operators -----------------------------------------------------------------------------------------------

Parameters = tuple[tuple[str, "Expr"], ...]


class Where(Node):
    predicate: "Expr"


class Project(Node):
    """project, extend, project-away, project-keep, project-rename, project-reorder, distinct, print, serialize."""

    word: str
    items: tuple["Expr", ...]


class Ordered(Node):
    expression: "Expr"
    descending: bool | None = None
    nulls_first: bool | None = None
    granny: bool = False  # project-reorder: `granny-asc`


class Reorder(Node):
    items: tuple[Ordered, ...]


class Summarize(Node):
    parameters: Parameters
    aggregates: tuple["Expr", ...]
    by: tuple["Expr", ...]


class Sort(Node):
    keys: tuple[Ordered, ...]


class Top(Node):
    count: "Expr"
    keys: tuple[Ordered, ...]


class Take(Node):
    count: "Expr"


class Count(Node):
    alias: str | None = None


class As(Node):
    name: str


class Sample(Node):
    count: "Expr"
    of: "Expr | None" = None  # sample-distinct


class Range(Node):
    name: str
    start: "Expr"
    stop: "Expr"
    step: "Expr"


class Union(Node):
    parameters: Parameters
    tables: tuple["Expr", ...]


class Join(Node):
    """join and lookup. `on` holds column names and conditions over `$left` and `$right`."""

    word: str
    parameters: Parameters
    right: "Expr"
    on: tuple["Expr", ...]


class Expanded(Node):
    """One column of mv-expand or mv-apply."""

    name: str | None
    value: "Expr"
    to: KqlType | None = None


class MvExpand(Node):
    parameters: Parameters
    items: tuple[Expanded, ...]
    limit: "Expr | None" = None


class MvApply(Node):
    parameters: Parameters
    items: tuple[Expanded, ...]
    limit: "Expr | None"
    body: Pipeline


class Capture(Node):
    """A column that a parse pattern fills."""

    name: str
    type: KqlType | None


class Parse(Node):
    """parse and parse-where. The pattern's parts are captures, text and stars, in order."""

    word: str
    parameters: Parameters
    source: "Expr"
    pattern: tuple["Capture | Literal | Star", ...]


class ParseKv(Node):
    source: "Expr"
    columns: tuple[Declared, ...]
    parameters: Parameters


class SeriesAggregate(Node):
    name: str | None
    call: "Expr"
    default: "Expr | None"


class MakeSeries(Node):
    parameters: Parameters
    aggregates: tuple[SeriesAggregate, ...]
    on: "Expr"
    start: "Expr | None"
    stop: "Expr | None"
    step: "Expr"
    by: tuple["Expr", ...]


class NestedClause(Node):
    count: "Expr | None"
    of: "Expr"
    others: "Expr | None"
    by: "Expr"
    descending: bool | None = None


class TopNested(Node):
    clauses: tuple[NestedClause, ...]


class TopHitters(Node):
    count: "Expr"
    of: "Expr"
    by: "Expr | None"


class Search(Node):
    parameters: Parameters
    tables: tuple["Expr", ...]
    predicate: "Expr"


class Find(Node):
    parameters: Parameters
    tables: tuple["Expr", ...]
    predicate: "Expr"
    word: str | None  # project or project-smart
    columns: tuple["Expr", ...]


class GetSchema(Node):
    pass


class Render(Node):
    chart: str
    properties: Parameters


class Evaluate(Node):
    parameters: Parameters
    call: Call
    schema: tuple[Declared, ...] | None = None
    schema_open: bool = False


class Invoke(Node):
    call: Call


class ScanStep(Node):
    name: str
    optional: bool
    output: str | None
    condition: "Expr"
    assignments: tuple[Named, ...]


class Scan(Node):
    parameters: Parameters
    order: tuple[Ordered, ...]
    partition: tuple["Expr", ...]
    declared: tuple[Declared, ...]
    steps: tuple[ScanStep, ...]


class Partition(Node):
    parameters: Parameters
    by: "Expr"
    body: Pipeline


class Reduce(Node):
    by: "Expr"
    parameters: Parameters


class Fork(Node):
    branches: tuple[tuple[str | None, Pipeline], ...]


class Facet(Node):
    by: tuple["Expr", ...]
    body: Pipeline | None


class Consume(Node):
    pass


class Refused(Node):
    """An operator that we know by name only; the rest of its text is not looked at."""

    word: str
    text: str


# --- statements ------------------------------------------------------------------------------------------------------


class Lambda(Node):
    parameters: tuple[Declared, ...]
    body: "tuple[Statement, ...]"
    view: bool = False


class Let(Node):
    name: str
    value: "Expr | Lambda"


class SetOption(Node):
    name: str
    value: "Expr | None"


class DeclareParameters(Node):
    parameters: tuple[Declared, ...]


class Expression(Node):
    """A statement that yields a result."""

    value: "Expr"


class Query(Node):
    statements: "tuple[Statement, ...]"


type Expr = (
    Literal
    | Name
    | Pattern
    | Member
    | Index
    | Unary
    | Binary
    | Between
    | InList
    | Call
    | TypeOf
    | Star
    | Named
    | DynamicLiteral
    | Datatable
    | ExternalData
    | Pipeline
    | ContextualTable
)
type Operator = (
    Where
    | Project
    | Reorder
    | Summarize
    | Sort
    | Top
    | Take
    | Count
    | As
    | Sample
    | Range
    | Union
    | Join
    | MvExpand
    | MvApply
    | Parse
    | ParseKv
    | MakeSeries
    | TopNested
    | TopHitters
    | Search
    | Find
    | GetSchema
    | Render
    | Evaluate
    | Invoke
    | Scan
    | Partition
    | Reduce
    | Fork
    | Facet
    | Consume
    | Refused
)
type Statement = Let | SetOption | DeclareParameters | Expression
