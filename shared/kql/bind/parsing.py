"""parse, parse-where and parse-kv: columns out of text."""

from collections.abc import Callable, Sequence

from shared.kql.bind.scalars import ScalarBinder
from shared.kql.bind.scope import Col, Env, Relation, fresh_ref
from shared.kql.bind.tables import Binder
from shared.kql.functions.build import convert, literal, quote, result
from shared.kql.functions.regexes import group_count
from shared.kql.functions.registry import Bound
from shared.kql.operators_text import regex_escape
from shared.kql.plan.nodes import SelectNode
from shared.kql.syntax import ast
from shared.kql.types import KqlType

T = KqlType
# How a typed column looks in text, where the pattern itself is one of regular expressions.
_SHAPES = {
    T.LONG: r"[+-]?\d+",
    T.INT: r"[+-]?\d+",
    T.REAL: r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?",
    T.DECIMAL: r"[+-]?\d*\.?\d+",
}


def parse(binder: Binder, relation: Relation, node: ast.Parse, env: Env) -> Relation:
    kind, flags = "simple", ""
    for name, value in node.parameters:
        text = value.name if isinstance(value, ast.Name) else ""
        if name == "kind":
            kind = text
        elif name == "flags":
            flags = text
    if kind not in ("simple", "regex", "relaxed"):
        binder.ctx.fail(f"'{kind}' is not a kind of parse.", node)
    scalars = ScalarBinder(binder, env, relation)
    source = convert(binder.ctx, scalars.bind(node.source), T.STRING)
    captures = [part for part in node.pattern if isinstance(part, ast.Capture)]
    pattern, places = _pattern(node.pattern, kind, flags)
    base = scalars.prepared
    taken = base.taken() | {ref.lower() for ref, _ in scalars.hoisted}
    matched, pieces = fresh_ref("$matched", taken), fresh_ref("$pieces", taken)
    groups = ", ".join(quote(f"c{index}") for index in range(1, max(places, default=0) + 1))
    first = {matched: result(f"regexp_matches({source.sql}, {quote(pattern)})", T.BOOL, (source,))}
    if captures:
        first[pieces] = result(
            f"regexp_extract({source.sql}, {quote(pattern)}, [{groups}])", T.DYNAMIC, (source,)
        )
    node_ = SelectNode(base.node, items=first)
    made = dict[str, Bound]()
    columns = list(relation.columns)
    values = list[tuple[ast.Capture, Bound, Bound]]()
    for index, capture in zip(places, captures, strict=True):
        text = Bound(
            sql=f"struct_extract({pieces}, 'c{index}')", type=T.STRING, columns=frozenset((pieces, matched))
        )
        target = capture.type or T.STRING
        trimmed = text
        if target is not T.STRING:
            trimmed = result(f"trim({text.sql})", T.STRING, (text,))
        value = (
            result(f"CASE WHEN {trimmed.sql} = '' THEN NULL ELSE to_json({text.sql}) END", T.DYNAMIC, (text,))
            if target is T.DYNAMIC
            else convert(binder.ctx, trimmed, target)
        )
        values.append((capture, text, value))
    strict = [value for capture, _, value in values if capture.type not in (None, T.STRING, T.DYNAMIC)]
    if kind == "simple" and strict:
        # One value that is not of its type, and nothing matches.
        whole = fresh_ref("$whole", taken)
        checks = " AND ".join([matched, *(f"{value.sql} IS NOT NULL" for value in strict)])
        reads = frozenset((pieces, matched))
        node_ = SelectNode(node_, items={whole: Bound(sql=f"({checks})", type=T.BOOL, columns=reads)})
        matched = whole
    for capture, text, value in values:
        target = capture.type or T.STRING
        empty = literal(None, target).sql
        sql = f"CASE WHEN {matched} THEN {value.sql} ELSE {empty} END"
        ref = fresh_ref(capture.name, taken)
        made[ref] = Bound(sql=f"({sql})", type=target, columns=text.columns | {matched})
        _put(columns, Col(capture.name, target, ref))
    if node.word == "parse-where":
        node_ = SelectNode(node_, where=[Bound(sql=matched, type=T.BOOL, columns=frozenset((matched,)))])
    final = SelectNode(node_, items=made)
    changed = [col.ref for col in relation.columns if col not in columns]
    return base.derived(final, columns, targets=base.untouched(changed))


def _put(columns: list[Col], col: Col) -> None:
    for index, each in enumerate(columns):
        if each.name == col.name:
            columns[index] = col
            return
    columns.append(col)


def _pattern(
    parts: Sequence[ast.Capture | ast.Literal | ast.Star], kind: str, flags: str
) -> tuple[str, list[int]]:
    """The regular expression, and which of its groups each capture is."""
    body = ""
    groups = 0
    places = list[int]()
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if isinstance(part, ast.Literal):
            text = str(part.value)
            body += f"(?:{text})" if kind == "regex" else regex_escape(text)
            groups += group_count(text) if kind == "regex" else 0
        elif isinstance(part, ast.Star):
            body += ".*" if last or kind == "regex" else ".*?"
        else:
            groups += 1
            places.append(groups)
            # A number ends where its digits do, so that a star may follow it.
            starred = not last and isinstance(parts[index + 1], ast.Star)
            if part.type is not None and part.type in _SHAPES and (kind == "regex" or starred):
                shape = _SHAPES[part.type]
                body += f"({shape})" if kind != "relaxed" else f"((?:{shape})?)"
            else:
                body += "(.*)" if last or kind == "regex" else "(.*?)"
    if kind == "regex":
        known = "".join(sorted({"s", *(flag for flag in flags if flag in "imsU")}))
        return f"(?{known}){'' if isinstance(parts[0], ast.Star) else '^'}{body}", places
    ends = "" if isinstance(parts[-1], ast.Star) else "$"
    return f"(?s)^{body}{ends}", places


def parse_kv(binder: Binder, relation: Relation, node: ast.ParseKv, env: Env) -> Relation:
    options = dict[str, object]()
    constant = ScalarBinder(binder, env)
    for name, value in node.parameters:
        if isinstance(value, ast.Name):
            options[name] = value.name
        else:
            options[name] = constant.constant(value, name).value
    scalars = ScalarBinder(binder, env, relation)
    source = convert(binder.ctx, scalars.bind(node.source), T.STRING)
    base = scalars.prepared
    taken = base.taken() | {ref.lower() for ref, _ in scalars.hoisted}
    find = _by_regex(str(options["regex"])) if "regex" in options else _by_delimiters(options)
    made = dict[str, Bound]()
    columns = list(relation.columns)
    for declared in node.columns:
        target = declared.type or T.STRING
        text = result(find(source.sql, declared.name), T.STRING, (source,))
        ref = fresh_ref(declared.name, taken)
        made[ref] = convert(binder.ctx, text, target)
        _put(columns, Col(declared.name, target, ref))
    changed = [col.ref for col in relation.columns if col not in columns]
    return base.derived(SelectNode(base.node, items=made), columns, targets=base.untouched(changed))


def _by_delimiters(options: dict[str, object]) -> Callable[[str, str], str]:
    loose = "pair_delimiter" not in options and "kv_delimiter" not in options
    pair = str(options.get("pair_delimiter", ","))
    kv = str(options.get("kv_delimiter", "="))
    quotes = str(options.get("quote", ""))
    escape = str(options.get("escape", ""))
    greedy = options.get("greedy") is True
    blank_pair = not pair.strip()

    def find(source: str, key: str) -> str:
        k, d, p = regex_escape(key), regex_escape(kv), regex_escape(pair)
        gap = "" if not kv.strip() else r"[ \t]*"
        start = rf"(?:^|{p}){'' if blank_pair else r'\s*'}" if pair else r"(?:^|\W)"
        stop = rf"(?:{p}|$)"
        if loose:  # any of the usual delimiters
            d, start, stop = "[:=]", r"(?:^|\W)", r"(?:[,;\s]|$)"
        values = list[str]()
        if quotes:
            opening, closing = regex_escape(quotes[0]), regex_escape(quotes[-1])
            inner = rf"(?:{regex_escape(escape)}.|[^{closing}])*?" if escape else rf"[^{closing}]*"
            values.append(f"{opening}({inner}){closing}")
        if greedy:
            stop = rf"(?:{p}[^{p}{d}]+{d}|$)"
        values.append(f"(.*?){stop}")
        pieces = [f"(?s){start}{k}{gap}{d}{gap}{value}" for value in values]
        found = [f"nullif(regexp_extract({source}, {quote(piece)}, 1), '')" for piece in pieces]
        text = f"trim(coalesce({', '.join(found)}, ''))"
        if escape and quotes:
            text = f"replace({text}, {quote(escape + quotes[-1])}, {quote(quotes[-1])})"
        return text

    return find


def _by_regex(pattern: str) -> Callable[[str, str], str]:
    def find(source: str, key: str) -> str:
        keys = f"regexp_extract_all({source}, {quote(pattern)}, 1)"
        values = f"regexp_extract_all({source}, {quote(pattern)}, 2)"
        return f"coalesce({values}[list_position({keys}, {quote(key)})], '')"

    return find
