"""The pages in a browser. Without one these tests are skipped, and fail where `CI` is set."""

import chromium
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from logtrick import lessons


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """name -> file, of all the pages."""
    return {path.stem: path for path in lessons.write(tmp_path_factory.mktemp("lessons"))}


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as driver:
        started = chromium.launch(driver)
        yield started
        started.close()


class Lesson:
    """A page in a tab: its controls, its live numbers, and what it asked of the network."""

    def __init__(self, browser, path, width=1280, scheme="light"):
        self.path = path
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.tab = self.context.new_page()
        self.requests, self.complaints = [], []
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("console", lambda said: self.complaints.append(said.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, state=""):
        self.tab.goto("about:blank")
        self.requests.clear()
        self.tab.goto(self.path.as_uri() + (f"#{state}" if state else ""))
        self.tab.wait_for_selector("html[data-ready]", state="attached")
        return self

    def settle(self):
        """Two frames on: whatever was to be drawn is drawn."""
        self.tab.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def slide(self, name, value):
        """Move the first slider of this name."""
        self.tab.evaluate(
            """([name, value]) => {
                const input = document.querySelector(`input[type=range][name="${name}"]`);
                input.value = value;
                input.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            [name, str(value)],
        )
        self.settle()

    def choose(self, name, value):
        """Take one of several options."""
        self.tab.locator(f'input[name="{name}"][value="{value}"]').first.check(force=True)
        self.settle()

    def click(self, selector):
        self.tab.locator(selector).first.click()
        self.settle()

    def number(self, name):
        """A live number with all its digits."""
        text = self.tab.locator(f'[data-live="{name}"]').first.get_attribute("data-value")
        return float(text.replace("Infinity", "inf"))

    def words(self, name):
        return self.tab.locator(f'[data-live="{name}"]').first.inner_text()

    def cells(self, picture):
        """The numbers in a garden, by state."""
        groups = self.tab.locator(f'[data-picture="{picture}"] [data-cell]').all()
        pairs = [(int(g.get_attribute("data-cell")), g.get_attribute("data-value")) for g in groups]
        return np.array([float(value) for _, value in sorted(pairs)])

    def drawing(self, picture):
        return self.tab.locator(f'[data-picture="{picture}"]').inner_html()

    @property
    def state(self):
        return self.tab.evaluate("location.hash.slice(1)")


@pytest.fixture
def lesson(browser, pages):
    """lesson("value", "gamma=0.5") opens a page; every page must end without a complaint."""
    opened = []

    def open_page(name, state="", **settings):
        opened.append(Lesson(browser, pages[name], **settings).open(state))
        return opened[-1]

    yield open_page
    for page in opened:
        page.context.close()
        assert page.complaints == []
        assert all(url.startswith("file://") for url in page.requests)
        assert len(page.requests) == 1
