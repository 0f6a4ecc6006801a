"""One id follows a request into its answer, its log lines and the jobs it starts."""

import json
import logging

import azure.functions as func
import pytest

from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.kernel.correlation import correlated, correlation_id
from shared.kernel.structured_log import StructuredRecord

log = logging.getLogger("shared.test")


@http_errors
def handler(req: func.HttpRequest) -> func.HttpResponse:
    return respond({"id": correlation_id()})


def request(**headers: str) -> func.HttpRequest:
    return func.HttpRequest(
        method="GET", url="http://x/", body=b"", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def test_the_id_a_client_gives_is_the_one_in_the_answer() -> None:
    answer = handler(request(x_ms_client_request_id="abc-1"))
    assert json.loads(answer.get_body()) == {"id": "abc-1"}
    assert answer.headers["x-ms-request-id"] == "abc-1"


def test_without_one_an_id_is_made_and_differs_each_time() -> None:
    first, second = handler(request()), handler(request())
    assert first.headers["x-ms-request-id"] != second.headers["x-ms-request-id"]


@pytest.mark.parametrize("given", ["", "x" * 129, "two\nlines"])
def test_what_is_no_id_is_not_taken_over(given: str) -> None:
    with correlated(given, "ours") as used:
        assert used == correlation_id() == "ours"
    assert correlation_id() == ""


def test_a_log_line_shows_its_facts_and_the_id() -> None:
    with correlated("abc-2", "-"):
        record = StructuredRecord("shared.test", logging.INFO, "f.py", 1, "schedules ticked", (), None)
    record.started = 3
    text, _, facts = record.getMessage().partition(" {")
    assert text == "schedules ticked"
    assert json.loads("{" + facts) == {"started": 3, "correlationId": "abc-2"}


def test_records_of_libraries_are_left_as_they_are() -> None:
    record = StructuredRecord("azure.core", logging.INFO, "f.py", 1, "said %s", ("x",), None)
    record.other = 1
    assert record.getMessage() == "said x"
