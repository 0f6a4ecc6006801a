"""HTTP functions of the Logs page: the page, its tables, and the editor's completions, errors and help."""

from collections.abc import Mapping
from typing import cast

import azure.functions as func
from pydantic import Field

from functions.portal.pages import for_script, signed_in
from shared.arm.wire import Wire
from shared.bootstrap import services
from shared.http.portal import language, logs
from shared.http.portal.page import Page
from shared.http.responses import respond
from shared.kernel.ticks import ticks_of

bp = func.Blueprint()

LONGEST_QUERY = 100_000


class EditorBody(Wire):
    """The editor's text; `offset` counts UTF-16 units, as browsers do."""

    text: str = Field(max_length=LONGEST_QUERY)
    offset: int = Field(default=0, ge=0)


@bp.function_name("portal_logs_show")
@bp.route("logs", methods=["GET"])
@signed_in
def show(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """The page. With `run` the answer comes with it, so that it works without any script."""
    params = _params(req)
    query, span = params.get("q", ""), params.get("span", logs.DEFAULT_SPAN)
    shown = logs.run(page.queries, query, span) if params.get("run") and query.strip() else logs.Shown()
    return page.show(
        "logs",
        here="/logs",
        query=query,
        span=span,
        spans=logs.SPANS,
        examples=logs.EXAMPLES,
        shown=shown,
        cell=logs.cell,
        state={
            "query": query,
            "span": span,
            "run": bool(params.get("run")),
            "tail": bool(params.get("tail")),
            "answer": shown.complete,
            "spans": logs.SPANS,
            "examples": logs.EXAMPLES,
            "url": services().settings.base_url,
        },
    )


@bp.function_name("portal_logs_schema")
@bp.route("portal/api/logs/schema", methods=["GET"])
@for_script
def schema(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """The tables, those that hold data first and with their columns; with `table` that one's columns."""
    workspace, tables = page.workspace.customer_id, services().tables
    if (named := _params(req).get("table")) is not None:
        columns = tables.require(workspace, named).columns
        return respond({"columns": [(column.name, column.type.value) for column in columns]})
    since = logs.schema_since(ticks_of(services().clock.now()))
    rows = logs.filled(services().log_store.usage(workspace, since=since))
    known = {
        table.name: [(column.name, column.type.value) for column in table.columns]
        for name in rows
        if (table := tables.schema(workspace, name)) is not None
    }
    return respond(logs.schema(tables.names(workspace), rows, known))


@bp.function_name("portal_logs_complete")
@bp.route("portal/api/logs/complete", methods=["POST"])
@for_script
def complete(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """What may stand at the cursor."""
    body = EditorBody.model_validate_json(req.get_body())
    if (path := language.path_at(body.text, body.offset)) is not None:
        return respond(language.properties(path, page.queries))
    return respond(language.completions(body.text, body.offset, page.queries.catalog()))


@bp.function_name("portal_logs_diagnose")
@bp.route("portal/api/logs/diagnose", methods=["POST"])
@for_script
def diagnose(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """What is wrong with the query, and where."""
    body = EditorBody.model_validate_json(req.get_body())
    now = ticks_of(services().clock.now())
    return respond(language.diagnostics(body.text, page.queries.catalog(), now_ticks=now))


@bp.function_name("portal_logs_help")
@bp.route("portal/api/logs/help", methods=["GET"])
@for_script
def describe(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """A function's or operator's signature and what it does; nothing where the word is neither."""
    return respond(language.help_of(_params(req).get("name", "")) or {})


def _params(req: func.HttpRequest) -> Mapping[str, str]:
    return cast("Mapping[str, str]", req.params)
