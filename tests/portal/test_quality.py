"""What holds on every page: accessible in both themes, small, walked by keyboard, within the content security policy."""

import gzip
import json
from typing import Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from tests.portal.conftest import Watch, axe, screenshot
from tests.suite import Suite

pytestmark = pytest.mark.usefixtures("records")

CHART = (
    'Perf\n| where CounterName == "% Processor Time" and InstanceName == "_Total"\n'
    "| summarize avg(CounterValue) by bin(TimeGenerated, 1m), Computer\n| render timechart"
)
ROWS = 'Syslog\n| where ProcessName == "backup"'
PAGES = {
    "signin": "/signin",
    "get-started": "/get-started",
    "overview": "/overview",
    "agents": "/agents",
    "jobs": "/jobs",
    "poison": "/poison",
    "logs": "/logs",
    "logs-chart": "/logs?" + urlencode({"q": CHART, "span": "PT1H", "run": "1"}),
    "logs-rows": "/logs?" + urlencode({"q": ROWS, "span": "PT1H", "run": "1"}),
    "logs-pie": "/logs?" + urlencode({"q": ROWS + " | summarize count() by SeverityLevel | render piechart", "span": "PT1H", "run": "1"}),
    "logs-error": "/logs?" + urlencode({"q": "Syslog | whre x", "span": "PT1H", "run": "1"}),
}  # fmt: skip
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
KB = 1024


def settle(page: Page, name: str) -> None:
    """Until the page shows what it has to show."""
    if name == "logs":
        page.wait_for_selector(".tables")
    elif name == "logs-error":
        page.wait_for_selector(".notice.bad")
    elif name.startswith("logs-"):
        page.wait_for_selector(".statistics")
        page.wait_for_selector(".tables")
    page.wait_for_timeout(300)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(
    name: str, theme: Literal["light", "dark"], context: BrowserContext, chromium: Browser, suite: Suite
) -> None:
    # Only here the policy is off: axe is a script from outside.
    opened = chromium.new_context(
        storage_state=context.storage_state(),
        color_scheme=theme,
        bypass_csp=True,
        viewport={"width": 1360, "height": 860},
    )
    page = opened.new_page()
    page.goto(suite.url + PAGES[name])
    settle(page, name)
    if name == "logs-rows":
        page.get_by_role("tab", name="Facets").click()
        page.locator(".grid tbody tr[data-row]").first.press("Enter")
    screenshot(page, f"{name}-{theme}")
    page.add_script_tag(path=axe())
    found = page.evaluate(
        "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })"
        ".then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(node => node.html.slice(0, 200) + ' ' + node.failureSummary)]))",
        RULES,
    )
    opened.close()
    assert found == [], json.dumps(found, indent=1)


def transferred(page: Page, url: str) -> tuple[int, dict[str, int]]:
    """The bytes of a first visit: bodies as they came over the wire."""
    sizes: dict[str, int] = {}

    def arrived(response: Response) -> None:
        # Chromium tells the size of a body on the wire only for what it keeps; a compressed one is as large as its header says.
        length = response.headers.get("content-length")
        sizes[response.url] = int(length) if length else len(response.body())

    page.on("response", arrived)
    page.goto(url, wait_until="networkidle")
    return sum(sizes.values()), sizes


@pytest.mark.parametrize(
    ("name", "budget"), [("overview", 30 * KB), ("get-started", 30 * KB), ("logs-chart", 450 * KB)]
)
def test_a_first_visit_stays_within_its_budget(name: str, budget: int, page: Page, suite: Suite) -> None:
    total, sizes = transferred(page, suite.url + PAGES[name])
    print(f"\n{name}: {total / KB:.1f} KB in {len(sizes)} answers")
    assert total <= budget, json.dumps(sizes, indent=1)


def test_a_second_visit_asks_for_no_asset_again(page: Page, suite: Suite) -> None:
    page.goto(suite.url + PAGES["logs"], wait_until="networkidle")
    page.reload(wait_until="networkidle")
    transferred_again = page.evaluate(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/assets/') && e.transferSize > 0).map(e => e.name)"
    )
    assert transferred_again == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_to_its_policy_and_logs_no_error(
    name: str, page: Page, suite: Suite, watch: Watch
) -> None:
    if name == "logs-error":
        watch.expected.append(400)
    response = page.goto(suite.url + PAGES[name])
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    settle(page, name)
    assert (
        page.locator("[onclick], [onchange], [onload], [style]:not(.cm-editor *, .uplot *, .grid)").count()
        == 0
    )


def test_a_query_is_written_run_and_read_with_the_keyboard_alone(page: Page, suite: Suite) -> None:
    page.goto(suite.url + "/overview")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.goto(suite.url + "/logs")
    page.wait_for_selector(".tables")
    focused = "document.activeElement?.closest('.cm-content') ? 'editor' : document.activeElement?.textContent.trim()"
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(focused))
        if seen[-1] == "editor":
            break
    assert seen[-1] == "editor", seen
    page.keyboard.type("Syslog")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".grid tbody tr[data-row]")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.matches('tr[data-row]')"):
            break
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".record")).to_be_visible()


@pytest.mark.parametrize("name", [name for name in PAGES if name != "logs-error"])
def test_a_narrow_screen_needs_no_sideways_scrolling(name: str, page: Page, suite: Suite) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(suite.url + PAGES[name])
    settle(page, name)
    screenshot(page, f"{name}-narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_theme_is_kept(page: Page, suite: Suite) -> None:
    page.goto(suite.url + "/overview")
    page.get_by_role("button", name="Theme").click()
    page.goto(suite.url + "/agents")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_assets_are_compressed_and_kept_for_ever(suite: Suite) -> None:
    _, _, body = suite.request("GET", "/signin")
    name = body.decode().split('href="/assets/')[2].split('"')[0]
    status, headers, data = suite.request("GET", f"/assets/{name}", headers={"Accept-Encoding": "gzip"})
    kept = {key.lower(): value for key, value in headers.items()}
    assert status == 200
    assert kept["content-encoding"] == "gzip"
    assert "immutable" in kept["cache-control"]
    assert b"--accent" in gzip.decompress(data)
