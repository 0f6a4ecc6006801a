"""search and find: a condition over any column of many tables."""

from collections.abc import Iterator

from shared.kql.bind.scope import Col, Env, FunctionLet, Relation, fresh_ref
from shared.kql.bind.shape import filtered
from shared.kql.bind.tables import Binder
from shared.kql.bind.unions import tables_of, united
from shared.kql.errors import KqlSemanticError
from shared.kql.functions.build import convert, quote, result
from shared.kql.functions.registry import Bound
from shared.kql.plan.nodes import SelectNode
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType


def search(binder: Binder, relation: Relation | None, node: ast.Search, env: Env) -> Relation:
    sensitive = any(
        name == "kind" and isinstance(value, ast.Name) and value.name == "case_sensitive"
        for name, value in node.parameters
    )
    predicate = conditions(node.predicate, sensitive=sensitive)
    parts = list[Relation]()
    problem: KqlSemanticError | None = None
    for position, part in enumerate(_sources(binder, relation, node.tables, env)):
        try:
            found = part if isinstance(predicate, ast.Star) else filtered(binder, part, predicate, env)
        except KqlSemanticError as error:
            # A table without the column cannot match; where it is the only one, that is an error.
            if relation is not None or not error.bare.startswith("Failed to resolve scalar"):
                raise
            problem = error
            continue
        parts.append(found.derived(found.node, name=part.name or f"search_arg{position}"))
    if not parts:
        if problem is not None:
            raise problem
        binder.ctx.fail("There is no table to search.", node)
    return united(parts, source="$table")


def search_source(binder: Binder, node: ast.Search, env: Env) -> Relation:
    return search(binder, None, node, env)


def _sources(
    binder: Binder, relation: Relation | None, tables: tuple[ast.Expr, ...], env: Env
) -> Iterator[Relation]:
    if relation is not None:
        yield relation
        return
    if tables:
        for table in tables:
            yield from tables_of(binder, table, env, fuzzy=False)
        return
    for name, each in env.views():
        if isinstance(each, FunctionLet) and each.value.view:
            yield binder.binding(ast.Name(name), name, each, env)
    for name in binder.ctx.catalog.table_names():
        schema = binder.ctx.catalog.table(name)
        if schema is not None:
            yield binder.scan(schema)


def conditions(node: ast.Expr, *, sensitive: bool) -> ast.Expr:
    """The predicate with bare words as conditions on any column, and wildcards as what they mean."""
    match node:
        case ast.Binary(op=("and" | "or") as op):
            left = conditions(node.left, sensitive=sensitive)
            right = conditions(node.right, sensitive=sensitive)
            return ast.Binary(op, left, right, span=node.span)
        case ast.Call(name="not", arguments=(inner,)):
            return ast.Call("not", (conditions(inner, sensitive=sensitive),), span=node.span)
        case ast.Literal(type=KqlType.STRING, value=str(text)):
            return _word(ast.Star(span=node.span), text, node, sensitive=sensitive)
        case ast.Literal(value=value) if value is not None and not isinstance(value, bool):
            return _word(ast.Star(span=node.span), str(value), node, sensitive=sensitive)
        case ast.Binary(op=":", left=left, right=ast.Literal(type=KqlType.STRING, value=str(text))):
            return _word(left, text, node, sensitive=sensitive)
        case ast.Binary(op=":", left=left, right=right):
            return ast.Binary("==", left, right, span=node.span)
        case ast.Pipeline(source=source, operators=()) if source is not None:
            return conditions(source, sensitive=sensitive)
        case _:
            return node


def _word(left: ast.Expr, text: str, at: ast.Node, *, sensitive: bool) -> ast.Expr:
    tail = "_cs" if sensitive else ""
    bare = text.strip("*")
    if text == "*" or not bare:
        return (
            ast.Call("isnotempty", (left,), span=at.span)
            if not isinstance(left, ast.Star)
            else ast.Literal(T.BOOL, value=True)
        )
    starts, ends = text.endswith("*"), text.startswith("*")
    if "*" in bare:
        pieces = [regex_part(piece) for piece in bare.split("*")]
        pattern = ("" if sensitive else "(?i)") + ".*".join(pieces)
        return ast.Binary("matches regex", left, ast.Literal(T.STRING, pattern), span=at.span)
    op = "contains" if starts and ends else "hasprefix" if starts else "hassuffix" if ends else "has"
    return ast.Binary(op + tail, left, ast.Literal(T.STRING, bare, span=at.span), span=at.span)


def regex_part(text: str) -> str:
    return "".join(f"\\{each}" if not (each.isalnum() or each in "_ ") else each for each in text)


def find(binder: Binder, relation: Relation | None, node: ast.Find, env: Env) -> Relation:
    source = "source_"
    for name, value in node.parameters:
        if name in ("withsource", "with_source") and isinstance(value, ast.Name):
            source = value.name
    predicate = conditions(node.predicate, sensitive=False)
    parts = list[Relation]()
    wanted = [item.name for item in node.columns if isinstance(item, ast.Name)]
    if not node.columns:
        wanted = sorted(_mentioned(predicate))
    packed = not node.columns or any(
        isinstance(item, ast.Call) and item.name == "pack_all" for item in node.columns
    )
    problem: KqlSemanticError | None = None
    for position, part in enumerate(_sources(binder, relation, node.tables, env)):
        try:
            found = filtered(binder, part, predicate, env)
        except KqlSemanticError as error:
            if not error.bare.startswith("Failed to resolve scalar"):
                raise
            problem = error
            continue
        parts.append(_narrowed(binder, found, wanted, packed=packed, name=part.name or f"find_arg{position}"))
    if not parts:
        if problem is not None:
            raise problem
        binder.ctx.fail("There is no table to search.", node)
    return united(parts, source=source)


def find_source(binder: Binder, node: ast.Find, env: Env) -> Relation:
    return find(binder, None, node, env)


def _mentioned(node: ast.Expr) -> set[str]:
    match node:
        case ast.Name():
            return {node.name}
        case ast.Binary():
            return _mentioned(node.left) | _mentioned(node.right)
        case ast.Between():
            return _mentioned(node.operand) | _mentioned(node.low) | _mentioned(node.high)
        case ast.InList():
            return _mentioned(node.left)
        case ast.Call():
            return {name for argument in node.arguments for name in _mentioned(argument)}
        case ast.Member() | ast.Index():
            return _mentioned(node.base)
        case _:
            return set()


def _narrowed(binder: Binder, relation: Relation, wanted: list[str], *, packed: bool, name: str) -> Relation:
    columns = [col for each in wanted if (col := relation.find(each)) is not None]
    rest = [col for col in relation.columns if col not in columns]
    if not packed:
        return relation.derived(relation.node, columns, name=name)
    pairs = ", ".join(f"{quote(col.name)}, {convert(binder.ctx, col.bound(), T.DYNAMIC).sql}" for col in rest)
    bound: Bound = result(f"json_object({pairs})", T.DYNAMIC, [col.bound() for col in rest])
    ref = fresh_ref("pack_", relation.taken())
    node = SelectNode(relation.node, items={ref: bound})
    return relation.derived(node, [*columns, Col("pack_", T.DYNAMIC, ref)], name=name)
