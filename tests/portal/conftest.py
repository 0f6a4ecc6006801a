"""A real browser before the running suite: signed in, and watched for what a page must not do."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from tests.suite import ROOT, Suite

SCREENSHOTS: Final = ROOT / "test-results"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MACHINES: Final = ("web-1", "web-2", "db-1")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = os.environ.get("OMS_CHROMIUM") or "/usr/bin/chromium"
    browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
    yield browser
    browser.close()


def sign_in(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/get-started**")


@pytest.fixture(scope="session")
def session(chromium: Browser, suite: Suite) -> Mapping[str, Any]:
    """The cookies of a browser that used the suite's one sign-in link."""
    context = chromium.new_context()
    sign_in(context.new_page(), suite.ready["portalUrl"])
    state: Any = context.storage_state()
    context.close()
    return state


@dataclass(kw_only=True)
class Watch:
    """What a page complained of. `expected` are answers that a test provokes."""

    complaints: list[str] = field(default_factory=list[str])
    expected: list[int] = field(default_factory=list[int])

    def attach(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if any(f"status of {status} " in message.text for status in self.expected):
            return
        place = message.location
        if "Applying inline style" in message.text and place["lineNumber"] == 0:
            # Chromium itself, in the editor's text: it would keep the colour of what is typed over. A style of a
            # page or script of ours is told with its line.
            return
        self.complaints.append(f"{message.type}: {message.text} ({place})")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Every test in the browser ends with this: no error, no violation of the content security policy."""
    watching = Watch()
    yield watching
    assert watching.complaints == []


@pytest.fixture
def context(chromium: Browser, session: Mapping[str, Any]) -> Iterator[BrowserContext]:
    """A browser that is signed in, of a size that people have."""
    opened = chromium.new_context(
        storage_state=session,  # pyright: ignore[reportArgumentType] - what storage_state() gave
        viewport={"width": 1360, "height": 860},
        color_scheme="light",
        locale="en-GB",
        timezone_id="Europe/Berlin",
        permissions=["clipboard-read", "clipboard-write"],
    )
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Page:
    opened = context.new_page()
    watch.attach(opened)
    return opened


@pytest.fixture(scope="session")
def records(suite: Suite) -> datetime:
    """360 syslog records of the last half hour from three machines; when the newest was."""
    now = datetime.now(UTC).replace(microsecond=0)
    levels = ("info", "info", "info", "warning", "err")
    suite.send(
        "Syslog",
        [
            {
                "TimeGenerated": (now - timedelta(seconds=5 * number)).isoformat(),
                "Computer": MACHINES[number % 3],
                "HostName": MACHINES[number % 3],
                "Facility": "daemon" if number % 2 else 'cron "nightly"',
                "SeverityLevel": levels[number % 5],
                "ProcessName": "backup",
                "SyslogMessage": f'step {number} of the nightly run, path C:\\data | "{number}", done',
            }
            for number in range(360)
        ],
    )
    return now


Logs = Callable[..., None]


@pytest.fixture
def open_logs(page: Page, suite: Suite) -> Logs:
    """Opens the Logs page on a query, and waits for its answer or its error."""

    def opened(query: str = "", span: str = "PT1H", *, run: bool = True, **more: str) -> None:
        params = {
            "workspace": suite.workspace,
            "q": query,
            "span": span,
            **({"run": "1"} if run else {}),
            **more,
        }
        page.goto(f"{suite.url}/logs?{urlencode(params)}")
        page.wait_for_selector(".cm-content")
        if run:
            page.wait_for_selector(".statistics, .notice.bad")

    return opened


def screenshot(page: Page, name: str) -> None:
    """For people to look at: test-results/ is not kept."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def query_of(page: Page) -> str:
    """What the editor holds."""
    return "\n".join(page.locator(".cm-line").all_inner_texts()).replace("\u200b", "")


def axe() -> Path:
    return ROOT / "node_modules" / "axe-core" / "axe.min.js"
