"""Nothing that a person writes into a query, and no name that a sender gives a column, becomes SQL."""

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.kernel.ticks import MAX_TICKS
from shared.kql import KqlError, translate
from shared.kql.catalog import StoredFunction, TableSchema
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion.transforms import InvalidTransform
from tests.ingestion.world import CONTOSO, NOON, World

# What SQL, KQL and JSON take for an end or an escape, among everything else.
_HOSTILE = st.sampled_from(
    [
        "'", '"', "''", '""', "\\", "\\'", '\\"', "`", "]", "[", "']", '"]', "--", "/*", "*/", ";", "$$", "{}", "%s",
        ") AS answer(c0); COPY (SELECT 1) TO '/tmp/x'; --", "' OR '1'='1", '" OR ""="', "\u2019", "\uff07", "\ufeff",
        "\u202e", "\x00", "\n", "\r", "\t", "\u2028", "\U0001f600", "é", "e\u0301", "//", "|", "(", ")", "?", "?1", ":x",
    ]
)  # fmt: skip
_TEXT = st.lists(_HOSTILE | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=8).map(
    "".join
)
_SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class _Nothing:
    def __init__(self, columns: Sequence[Column] = ()) -> None:
        self.columns = columns

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        return TableSchema(name=name, columns=self.columns) if name == "T" and not workspace else None

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        return ["T"]

    def function(self, name: str) -> StoredFunction | None:
        return None


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        yield connection


def run(
    database: duckdb.DuckDBPyConnection, query: str, columns: Sequence[Column] = ()
) -> tuple[list[str], list[Any]]:
    """Names and rows of the answer; the SQL must be one SELECT whatever the query says."""
    made = translate(query, catalog=_Nothing(columns), now_ticks=MAX_TICKS // 2)
    for definition in made.prelude:
        database.execute(definition)
    given = ", ".join(
        f"{scan.relation} AS (SELECT "
        + ", ".join("'v' AS \"" + column.name.replace('"', '""') + '"' for column in scan.columns)
        + ")"
        for scan in made.scans
    )
    sql = (f"WITH {given} " if given else "") + f"SELECT * FROM ({made.results[0].sql})"
    statements = database.extract_statements(sql)
    assert [statement.type for statement in statements] == [duckdb.StatementType.SELECT]
    rows = database.execute(statements[0]).fetchall()
    return [column.name for column in made.results[0].columns], rows


def literal(text: str, quote: str) -> str:
    """`text` as a KQL string literal."""
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    for char, name in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\x00", "\\0")):
        escaped = escaped.replace(char, name)
    return quote + escaped + quote


@_SETTINGS
@given(text=_TEXT, quote=st.sampled_from(["'", '"']))
def test_a_string_literal_is_its_text_and_nothing_else(
    text: str, quote: str, database: duckdb.DuckDBPyConnection
) -> None:
    try:
        _, rows = run(database, f"print x = {literal(text, quote)}")
    except KqlError:
        assert "\x00" in text  # refused by name, if at all
        return
    assert rows == [(text,)]


@_SETTINGS
@given(text=_TEXT.filter(lambda text: "'" not in text and "\n" not in text and "\r" not in text))
def test_a_verbatim_literal_is_its_text_and_nothing_else(
    text: str, database: duckdb.DuckDBPyConnection
) -> None:
    try:
        _, rows = run(database, f"print x = @'{text}'")
    except KqlError:
        assert "\x00" in text
        return
    assert rows == [(text,)]


@_SETTINGS
@given(name=_TEXT.filter(bool))
def test_a_quoted_name_stays_a_name(name: str, database: duckdb.DuckDBPyConnection) -> None:
    quoted = f"[{literal(name, "'")}]"
    try:
        names, rows = run(database, f"print {quoted} = 1 | extend y = {quoted} + 1 | project {quoted}, y")
    except KqlError:
        return
    assert (names, rows) == ([name, "y"], [(1, 2)])


@_SETTINGS
@given(name=_TEXT.filter(lambda text: bool(text) and "\x00" not in text))
def test_a_tables_column_may_be_called_anything(name: str, database: duckdb.DuckDBPyConnection) -> None:
    columns = [Column(name=name, type=KqlType.STRING), Column(name="other", type=KqlType.STRING)]
    quoted = f"[{literal(name, '"')}]"
    try:
        names, rows = run(
            database,
            f"T | where {quoted} == 'v' | summarize count() by {quoted} | project {quoted}, count_",
            columns,
        )
    except KqlError:
        return
    assert (names, rows) == ([name, "count_"], [("v", 1)])


@_SETTINGS
@given(text=_TEXT)
def test_text_in_operators_that_become_patterns_or_paths_stays_text(
    text: str, database: duckdb.DuckDBPyConnection
) -> None:
    given = literal(text, "'")
    query = (
        f"print s = {given} | where s == {given} and s contains {given} and s startswith_cs {given}"
        f" | extend d = dynamic_to_json(bag_pack({given}, {given})), t = split(s, 'zz'), r = replace_string(s, 'zz', {given})"
        f" | extend e = parse_json(d)[{given}]"
        " | project s, r"
    )
    try:
        _, rows = run(database, query)
    except KqlError:
        return
    assert rows == [(text, text)]


@_SETTINGS
@given(query=_TEXT)
def test_a_query_of_any_characters_is_refused_by_name_or_one_select(
    query: str, database: duckdb.DuckDBPyConnection
) -> None:
    columns = [Column(name="a", type=KqlType.STRING)]
    for text in (query, f"T | where a == {query}", f"T | project {query}", f"T | extend {query} = 1"):
        try:
            run(database, text, columns)
        except duckdb.ParserException:  # what came out was no SQL
            pytest.fail(text)
        except (KqlError, duckdb.Error):
            continue


def test_names_that_senders_give_their_properties_become_plain_columns() -> None:
    world = World()
    evil = {
        'a"b': "1",
        "c'd": "2",
        "e]f": "3",
        'x" , (SELECT 1) AS "y': "4",
        "é\u2028": "5",
        "'); DROP TABLE x; --": "6",
    }
    world.send([evil])
    table = world.tables.schema(CONTOSO, "App_CL")
    assert table is not None
    assert all(column.name.replace("_", "a").isalnum() and column.name.isascii() for column in table.columns)


def test_a_rules_declared_columns_may_be_called_anything() -> None:
    world = World()
    names = ['a"b', "a'b", "a]b", 'x") AS (SELECT 1); --', "$.a", "a.b", "é\u2028"]
    try:
        made = world.transforms.run(
            "source | extend n = 1",
            columns={"TimeGenerated": KqlType.DATETIME, **dict.fromkeys(names, KqlType.STRING)},
            records=[
                {"TimeGenerated": "2026-11-22T12:00:00Z", **{name: f"value of {name}" for name in names}}
            ],
            received=NOON,
            workspace=CONTOSO,
        )
    except InvalidTransform as refused:
        pytest.fail(refused.message)
    assert [{name: record[name] for name in names} for record in made] == [
        {name: f"value of {name}" for name in names}
    ]
