"""The Logs page as people use it, in a real browser on the running suite."""

import csv
import json
import re
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.portal.conftest import Logs, Watch, query_of, screenshot
from tests.suite import Suite

pytestmark = pytest.mark.usefixtures("records")

RECORDS = 'Syslog\n| where ProcessName == "backup"'
BY_LEVEL = RECORDS + "\n| summarize Messages = count() by SeverityLevel\n| sort by Messages"


def write(page: Page, text: str) -> None:
    page.keyboard.press("Escape")
    page.locator(".cm-content").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(text)


def proposals(page: Page) -> list[str]:
    page.wait_for_selector(".cm-tooltip-autocomplete li")
    return page.locator(".cm-tooltip-autocomplete li .cm-completionLabel").all_inner_texts()


# Without any script ----------------------------------------------------------------------------------------------------


def test_without_scripts_the_form_answers_with_a_table(context: BrowserContext, suite: Suite) -> None:
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False, storage_state=context.storage_state())
    page = plain.new_page()
    page.goto(f"{suite.url}/logs?workspace={suite.workspace}")
    page.get_by_label("Query", exact=True).fill(BY_LEVEL)
    page.get_by_label("Time range").select_option("P1D")
    page.get_by_role("button", name="Run").click()
    rows = page.get_by_role("region", name="Rows").locator("tbody tr").all_inner_texts()
    counts = {level: int(count) for level, count in (row.split() for row in rows)}
    assert counts == {"info": 216, "warning": 72, "err": 72}
    assert "span=P1D" in page.url
    plain.close()


def test_without_scripts_an_error_shows_its_line_with_a_caret(context: BrowserContext, suite: Suite) -> None:
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False, storage_state=context.storage_state())
    page = plain.new_page()
    page.goto(f"{suite.url}/logs?workspace={suite.workspace}&run=1&q=Syslog%0A%7C+whre+x")
    expect(page.get_by_role("alert")).to_contain_text("Did you mean 'where'?")
    assert page.locator("pre.place").inner_text() == "| whre x\n  ^^^^"
    plain.close()


# The editor ------------------------------------------------------------------------------------------------------------


def test_an_error_is_underlined_where_it_stands_and_its_mend_is_offered(page: Page, open_logs: Logs) -> None:
    open_logs(run=False)
    write(page, "Syslog\n| whre Computer == 'x'")
    expect(page.locator(".cm-lintRange-error")).to_have_text("whre")
    page.locator(".cm-lintRange-error").hover()
    page.get_by_role("button", name="Replace with where").click()
    expect(page.locator(".cm-lintRange-error")).to_have_count(0)
    assert query_of(page) == "Syslog\n| where Computer == 'x'"


def test_an_error_after_a_character_outside_the_basic_plane_is_underlined_in_its_place(
    page: Page, open_logs: Logs
) -> None:
    open_logs(run=False)
    write(page, "Syslog | where SyslogMessage has '\U0001f4be' and Nope == 1")
    expect(page.locator(".cm-lintRange-error")).to_have_text("Nope")


def test_after_a_pipe_the_operators_are_proposed(page: Page, open_logs: Logs) -> None:
    open_logs(run=False)
    write(page, "Syslog ")
    page.keyboard.type("| su")
    assert proposals(page)[0] == "summarize"
    started = time.monotonic()
    write(page, "Syslog ")
    page.keyboard.type("| ")
    page.keyboard.press("Control+Space")
    assert {"where", "project", "summarize"} <= set(proposals(page))
    print(f"\nfirst completion after {(time.monotonic() - started) * 1000:.0f} ms, the typing included")
    screenshot(page, "logs_completion")


def test_inside_summarize_by_the_columns_of_the_pipe_are_proposed(page: Page, open_logs: Logs) -> None:
    open_logs(run=False)
    write(page, "Syslog | project Machine = Computer, Facility | summarize count() by ")
    page.keyboard.type("Ma")
    assert proposals(page)[0] == "Machine"
    write(page, "Syslog | project Machine = Computer, Facility | summarize count() by ")
    page.keyboard.type("Severity")
    page.wait_for_timeout(400)
    expect(page.locator(".cm-tooltip-autocomplete li")).to_have_count(0)


def test_after_a_dynamic_column_the_properties_of_its_records_are_proposed(
    page: Page, open_logs: Logs
) -> None:
    open_logs(run=False)
    rows = "print Bag = dynamic({'colour': 'red', 'size': {'height': 3, 'width': 4}})"
    write(page, f"{rows} | where Bag")
    page.keyboard.type(".")
    assert sorted(proposals(page)) == ["colour", "size"]
    write(page, f"{rows} | extend H = tolong(Bag.size")
    page.keyboard.type(".he")
    assert proposals(page) == ["height"]


def test_a_proposal_is_taken_by_keyboard_and_shift_enter_runs(page: Page, open_logs: Logs) -> None:
    open_logs(run=False)
    write(page, "Sysl")
    page.keyboard.press("Control+Space")
    assert proposals(page)[0] == "Syslog"
    page.wait_for_timeout(150)  # the editor ignores keys for a moment, so that nobody accepts by accident
    page.keyboard.press("Enter")
    page.keyboard.type(" | count")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".grid tbody tr[data-row]")).to_have_count(1)
    assert query_of(page) == "Syslog | count"


def test_hovering_a_function_shows_its_signature(page: Page, open_logs: Logs) -> None:
    open_logs("Syslog | extend Short = substring(SyslogMessage, 0, 5)", run=False)
    page.locator(".cm-line span", has_text="substring").hover()
    expect(page.locator(".signature code")).to_contain_text("substring(")


def test_a_comment_is_toggled_and_a_query_is_laid_out(page: Page, open_logs: Logs) -> None:
    open_logs(run=False)
    write(page, "Syslog | where Computer has '|' | join (Heartbeat | take 5) on Computer")
    page.get_by_role("button", name="Format").click()
    assert query_of(page) == (
        "Syslog\n| where Computer has '|'\n| join (Heartbeat\n    | take 5) on Computer"
    )
    page.locator(".cm-content").press("ControlOrMeta+Home")
    page.keyboard.press("ControlOrMeta+/")
    assert query_of(page).startswith("// Syslog\n")


# Results ---------------------------------------------------------------------------------------------------------------


def test_a_facet_counts_values_and_a_click_narrows_the_query(page: Page, open_logs: Logs) -> None:
    open_logs(RECORDS + "\n| top 1000 by TimeGenerated")
    page.get_by_role("tab", name="Facets").click()
    facet = page.locator("details.facet", has_text="SeverityLevel")
    expect(facet.locator("li")).to_have_text([re.compile("info.*216"), re.compile("72"), re.compile("72")])
    facet.get_by_role("button", name="err", exact=False).first.click()
    expect(page.locator(".statistics")).to_contain_text("72 rows")
    assert query_of(page) == f'{RECORDS}\n| where SeverityLevel == "err"\n| top 1000 by TimeGenerated'
    page.get_by_role("button", name='Without Facility = cron "nightly"').click()
    expect(page.locator(".statistics")).to_contain_text("36 rows")
    assert '| where Facility != "cron \\"nightly\\""\n| top' in query_of(page)
    screenshot(page, "logs_facets")


def test_a_wrong_query_shows_its_line_with_a_caret(page: Page, open_logs: Logs, watch: Watch) -> None:
    watch.expected.append(400)
    open_logs("Syslog\n| where Nope == 1")
    expect(page.locator(".notice.bad")).to_contain_text("Nope")
    assert page.locator("pre.place").inner_text() == "| where Nope == 1\n        ^^^^"


def test_a_chart_is_drawn_from_render_and_the_table_stays_a_tab_away(page: Page, open_logs: Logs) -> None:
    open_logs(RECORDS + "\n| summarize count() by bin(TimeGenerated, 5m), Computer\n| render timechart")
    expect(page.locator(".chart .u-over")).to_be_visible()
    expect(page.locator(".u-legend")).to_contain_text("web-1")
    screenshot(page, "logs_timechart")
    page.get_by_role("tab", name="Table", exact=True).click()
    expect(page.locator(".grid tbody tr[data-row]").first).to_be_visible()
    assert "view=table" in page.url


def test_a_chart_of_a_single_instant_shows_the_minutes_around_it_and_a_drag_narrows_them(
    page: Page, open_logs: Logs
) -> None:
    open_logs("print TimeGenerated = datetime(2026-07-01T10:00:00Z), Value = 5 | render timechart")
    expect(page.locator(".chart .u-over")).to_be_visible()
    screenshot(page, "logs_single_instant")
    box = page.locator(".chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url("**%2F**")
    start, end = (
        datetime.fromisoformat(each) for each in parse_qs(urlsplit(page.url).query)["span"][0].split("/")
    )
    assert start < datetime.fromisoformat("2026-07-01T10:00:00Z") < end
    assert 4 * 60 < (end - start).total_seconds() < 6 * 60


@pytest.mark.parametrize("kind", ["columnchart", "barchart", "piechart"])
def test_bars_and_pies_name_their_values(page: Page, open_logs: Logs, kind: str) -> None:
    open_logs(f"{BY_LEVEL}\n| render {kind}")
    for text in ("info", "216", "warning", "72"):
        expect(page.locator(".chart")).to_contain_text(text)
    screenshot(page, f"logs_{kind}")


def test_the_histogram_sets_the_range_that_is_dragged_over_it(page: Page, open_logs: Logs) -> None:
    open_logs(RECORDS)
    expect(page.locator(".statistics")).to_contain_text("360 rows")
    box = page.locator(".histogram svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30, steps=4)
    page.mouse.up()
    expect(page.locator(".statistics")).not_to_contain_text("360 rows")
    span = parse_qs(urlsplit(page.url).query)["span"][0]
    start, end = (datetime.fromisoformat(each) for each in span.split("/"))
    assert 8 * 60 < (end - start).total_seconds() < 10 * 60


def test_the_grid_sorts_and_shows_what_is_chosen(page: Page, open_logs: Logs) -> None:
    open_logs(BY_LEVEL)
    column = page.locator(".grid th", has_text="SeverityLevel")
    column.get_by_role("button").click()
    expect(column).to_have_attribute("aria-sort", "ascending")
    assert page.locator(".grid tbody tr[data-row] td:nth-child(2)").all_inner_texts() == [
        "err",
        "info",
        "warning",
    ]
    page.get_by_role("button", name="2 of 2 columns").click()
    page.get_by_role("checkbox", name="Messages").uncheck()
    expect(page.locator(".grid th")).to_have_count(2)


def test_many_rows_come_in_pages(page: Page, open_logs: Logs) -> None:
    open_logs("range Number from 1 to 10000 step 1")
    expect(page.locator(".statistics")).to_contain_text("10,000 rows")
    expect(page.locator(".grid tbody tr[data-row]")).to_have_count(100)
    page.get_by_role("button", name="Last page").click()
    expect(page.locator(".pages")).to_contain_text("Rows 9,901–10,000 of 10,000")
    expect(page.locator(".grid tbody tr[data-row]").last).to_contain_text("10000")


def test_a_row_opens_by_keyboard_in_full_and_leads_to_what_was_around_it(page: Page, open_logs: Logs) -> None:
    open_logs(f"{RECORDS}\n| where Computer == 'db-1'\n| top 5 by TimeGenerated")
    rows = page.locator(".grid tbody tr[data-row]")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    record = page.locator(".record")
    expect(record).to_contain_text("of the nightly run, path C:\\data")
    screenshot(page, "logs_record")
    record.get_by_role("button", name="What happened around it").click()
    expect(page.locator(".statistics")).not_to_contain_text("5 rows")
    assert query_of(page) == 'Syslog\n| where Computer == "db-1"\n| sort by TimeGenerated asc'


def test_the_csv_holds_every_row_as_the_service_gave_it(page: Page, open_logs: Logs) -> None:
    open_logs(f"{RECORDS}\n| top 360 by TimeGenerated\n| project TimeGenerated, SyslogMessage, Facility")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == 360
    assert rows[0]["SyslogMessage"] == 'step 0 of the nightly run, path C:\\data | "0", done'
    assert rows[0]["Facility"] == 'cron "nightly"'
    assert rows[0]["TimeGenerated"].endswith("Z")


def test_an_integer_too_large_for_a_browser_is_shown_to_its_last_digit(page: Page, open_logs: Logs) -> None:
    open_logs("print Id = 9007199254740993")
    expect(page.locator(".grid tbody tr[data-row]")).to_contain_text("9007199254740993")


def test_an_answer_that_is_not_whole_says_so(page: Page, open_logs: Logs) -> None:
    open_logs("range Number from 1 to 500001 step 1")
    expect(page.get_by_role("alert")).to_contain_text("These are not all the rows.")
    expect(page.locator(".statistics")).to_contain_text("500,000 rows")


# Coming back -----------------------------------------------------------------------------------------------------------


def test_a_shared_link_opens_the_same_query_on_the_same_range(
    page: Page, open_logs: Logs, context: BrowserContext
) -> None:
    open_logs(BY_LEVEL, "PT4H")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Copy link, range as it is").click()
    relative: str = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Copy link, range fixed").click()
    page.wait_for_timeout(100)
    fixed: str = page.evaluate("navigator.clipboard.readText()")
    assert parse_qs(urlsplit(relative).query)["span"] == ["PT4H"]
    assert "/" in parse_qs(urlsplit(fixed).query)["span"][0]
    for link in (relative, fixed):
        other = context.new_page()
        other.goto(link)
        expect(other.locator(".grid tbody tr[data-row]")).to_have_count(3)
        assert query_of(other) == BY_LEVEL
        other.close()


def test_what_was_run_is_in_the_history(page: Page, open_logs: Logs) -> None:
    open_logs("Syslog | count")
    open_logs("Heartbeat | count", run=False)
    page.get_by_role("tab", name="Queries").click()
    page.get_by_role("button", name="Syslog | count").click()
    expect(page.locator(".grid tbody tr[data-row]")).to_have_count(1)
    assert query_of(page) == "Syslog | count"


def test_every_example_is_answered(page: Page, open_logs: Logs) -> None:
    open_logs(run=False)
    examples = json.loads(page.locator("#logs-state").inner_text())["examples"]
    assert len(examples) > 4
    for _, span, query in examples:
        open_logs(query, span)
        expect(page.locator(".statistics")).to_be_visible()


def test_the_tree_lists_tables_that_hold_data_first_and_inserts_what_is_clicked(
    page: Page, open_logs: Logs
) -> None:
    open_logs(run=False)
    expect(page.locator(".tables").first).to_contain_text("Syslog")
    page.get_by_role("button", name="Columns of Syslog").click()
    page.locator(".cm-content").click()
    page.get_by_title("Insert Syslog; double click asks for its newest records").click()
    page.keyboard.type(" | project ")
    page.get_by_title("Insert SeverityLevel").click()
    assert query_of(page) == "Syslog | project SeverityLevel"


def test_times_are_shown_in_utc_or_as_the_reader_has_them(page: Page, open_logs: Logs) -> None:
    open_logs("print Time = datetime(2026-07-01T10:00:00Z)")
    expect(page.locator(".grid tbody tr[data-row]")).to_contain_text("2026-07-01 10:00:00Z")
    page.get_by_role("button", name="UTC").click()
    expect(page.locator(".grid tbody tr[data-row]")).to_contain_text("12:00:00")


def test_a_custom_range_is_taken_from_its_fields(page: Page, open_logs: Logs) -> None:
    open_logs(RECORDS)
    page.get_by_role("button", name="Time range: Last hour").click()
    page.get_by_role("textbox", name="From").fill("2020-01-01T00:00:00")
    page.get_by_role("textbox", name="To").fill("2020-01-02T00:00:00")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".grid")).to_contain_text("No record matches")
    assert parse_qs(urlsplit(page.url).query)["span"] == ["2020-01-01T00:00:00.000Z/2020-01-02T00:00:00.000Z"]


def test_a_live_tail_brings_new_records_and_waits_while_somebody_reads(
    page: Page, open_logs: Logs, suite: Suite, records: datetime
) -> None:
    open_logs('Syslog\n| where ProcessName == "tailed"')
    page.get_by_role("button", name="Live tail").click()
    line = {"TimeGenerated": records.isoformat(), "Computer": "web-9", "ProcessName": "tailed"}
    suite.send("Syslog", [{**line, "SyslogMessage": "the first"}])
    rows = page.locator(".grid tbody tr[data-row]")
    expect(rows).to_have_count(1, timeout=30_000)
    rows.first.press("Enter")
    expect(page.get_by_text("paused while you read")).to_be_visible()
    suite.send("Syslog", [{**line, "SyslogMessage": "the second"}])
    page.wait_for_timeout(4000)
    expect(rows).to_have_count(1)
    rows.first.press("Enter")
    expect(rows).to_have_count(2, timeout=30_000)
