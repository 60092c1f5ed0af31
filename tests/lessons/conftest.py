"""The pages in a browser. Without one these tests are skipped, and fail where `CI` is set."""

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

import chromium
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

    def __init__(self, browser, path, width=1280, scheme="light", context=None, **settings):
        self.path = path
        self.own = context is None
        self.context = context or browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **settings
        )
        self.tab = self.context.new_page()
        self.requests, self.complaints = [], []
        self.tab.on("request", self._asked)
        self.tab.on("console", lambda said: self.complaints.append(said.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request):
        if not request.url.startswith("data:"):  # the font, which is inside the page
            self.requests.append(request.url)

    def open(self, state=""):
        self.tab.goto("about:blank")
        self.requests.clear()
        self.tab.goto(self.path.as_uri() + (f"#{state}" if state else ""))
        self.tab.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
        return self

    def settle(self):
        """Two frames on: whatever was to be drawn is drawn."""
        self.tab.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def unfold(self):
        """Open everything that is folded."""
        self.tab.evaluate(
            "document.querySelectorAll('details').forEach((fold) => (fold.open = true))"
        )
        self.settle()

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

    def vector(self, name):
        """A live vector with all its digits, (right, up)."""
        text = self.tab.locator(f'[data-live="{name}"]').first.get_attribute("data-value")
        return np.array(text.split(), float)

    def words(self, name):
        return self.tab.locator(f'[data-live="{name}"]').first.text_content()

    def cells(self, picture):
        """The numbers in a garden, by state."""
        pairs = self.tab.evaluate(
            """(selector) => [...document.querySelectorAll(selector)]
                .map((cell) => [Number(cell.dataset.cell), cell.dataset.value])""",
            f'[data-picture="{picture}"] > [data-cell]',
        )
        return np.array([float(value) for _, value in sorted(pairs)])

    def drawing(self, picture):
        return self.tab.locator(f'[data-picture="{picture}"]').inner_html()

    @property
    def state(self):
        return self.tab.evaluate("location.hash.slice(1)")

    def close(self):
        if self.own:
            self.context.close()
        else:
            self.tab.close()
        assert self.complaints == []
        assert all(url.startswith("file://") for url in self.requests)
        assert len(self.requests) == 1


@pytest.fixture
def lesson(browser, pages):
    """lesson("value", "gamma=0.5") opens a page; every page must end without a complaint."""
    opened = []

    def open_page(name, state="", *, path=None, **settings):
        opened.append(Lesson(browser, path or pages[name], **settings).open(state))
        return opened[-1]

    yield open_page
    for page in reversed(opened):
        page.close()
