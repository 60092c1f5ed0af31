"""The built site in a browser: no other host, nothing cut off, answers where people look."""

import dataclasses
import functools
import http.server
import re
import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

import chromium
import docs_site
import logtrick as lt

pytest.importorskip("zensical")
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    docs_site.build(folder)
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(site):
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as driver:
        started = chromium.launch(driver)
        yield started
        started.close()


class Tab:
    """A tab, what it asked for, and what it complained of."""

    def __init__(self, browser, width, scheme="light"):
        size = {"width": width, "height": 844}
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.context.set_default_timeout(300_000)  # nothing here is a test of speed
        self.page = self.context.new_page()
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))


def addresses(site):
    for path in sorted(site.rglob("*.html")):
        where = path.relative_to(site).as_posix()
        if where.split("/")[0] not in ("learn", "source") and where != "404.html":
            yield where.removesuffix("index.html")


#: Words in tables on more than one line; a word ends at a space, and outside code at a hyphen.
BROKEN = """[...document.querySelectorAll("article td, article th")].flatMap((cell) => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.parentElement.closest("math")) continue;
        const code = node.parentElement.closest("code");
        const pattern = code ? /\\S+/g : /[^\\s\\-–\\/]+/g;
        for (const word of node.data.matchAll(pattern)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
            if (tops.size > 1) broken.push(word[0]);
        }
    }
    return broken;
})"""
#: What can be scrolled, and not by keyboard.
OUT_OF_REACH = """[...document.querySelectorAll("article *")].filter((e) => {
    const how = getComputedStyle(e).overflowX;
    return (how === "auto" || how === "scroll") && e.scrollWidth > e.clientWidth + 1
        && !e.closest("[tabindex='0']");
}).map((e) => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_no_page_asks_elsewhere_or_shuts_anybody_out(site, address, browser, width, scheme):
    tab, wrong = Tab(browser, width, scheme), {}
    for where in addresses(site):
        tab.page.goto(address + where)
        found = {
            "scrolls": tab.page.evaluate("document.documentElement.scrollWidth") > width,
            "broken": tab.page.evaluate(BROKEN),
            "out of reach": tab.page.evaluate(OUT_OF_REACH),
        }
        if width != 320:
            violations = Axe().run(tab.page).response["violations"]
            found["axe"] = [(v["id"], v["nodes"][0]["html"][:150]) for v in violations]
        if any(found.values()):
            wrong[where] = {name: what for name, what in found.items() if what}
    elsewhere = [url for url in tab.asked if not url.startswith((address, "data:", "blob:"))]
    tab.context.close()
    assert wrong == {}
    assert elsewhere == []
    assert tab.complaints == []


@pytest.mark.parametrize("where", ["api/psi/", "api/exact/", "equations/", "", "notation/"])
def test_formulas_are_typeset(site, where):
    page = (site / where / "index.html").read_text()
    assert page.count("<math") > 3
    article = page.partition("<article")[2].partition("</article>")[0]
    prose = re.sub(r"<(code|pre|math)\b.*?</\1>", "", article, flags=re.DOTALL)
    assert not re.search(r"ψ_t|γ\^|Σ_|∇log", re.sub(r"<[^>]*>", "", prose))


def results(tab, words):
    """What a search shows, the best first."""
    tab.page.keyboard.press("Escape")
    tab.page.locator(".md-search__button").first.click()
    tab.page.locator("input[role=combobox]").fill(words)
    links = tab.page.locator('[id$="-results"] a')
    shown = words.replace(" ", "+")
    links.and_(tab.page.locator(f'[href*="?h={shown}"]')).first.wait_for()
    return [re.sub(r"\?h=[^#]*", "", link.get_attribute("href")) for link in links.all()]


ANSWERS = {
    "save model": "tasks/save_and_load/",
    "load model": "tasks/save_and_load/",
    "baseline": "faq/#baseline",
    "hyper-parameters": "tasks/hyper_parameters/",
    "resume": "tasks/resume/",
    "callback": "tasks/callbacks/",
    "mask": "tasks/masks/",
    "export": "tasks/export/",
    "DiscreteDP": "coming_from/quantecon/",
}


def test_search_finds_the_answer_first(address, browser):
    tab = Tab(browser, 1280)
    tab.page.goto(address)
    found = {words: results(tab, words)[0] for words in ANSWERS}
    tab.context.close()
    assert {w: href for w, href in found.items() if ANSWERS[w] not in href} == {}


def query(field):
    """What somebody types; alone, these three are words of half the pages."""
    return f"PPO {field}" if field in ("psi", "n", "distribution") else field


def test_search_finds_every_field_of_ppo(address, browser):
    tab = Tab(browser, 1280)
    tab.page.goto(address)
    missing = [
        field.name
        for field in dataclasses.fields(lt.PPO)
        if f"#lt.PPO.{field.name}" not in "".join(results(tab, query(field.name))[:3])
    ]
    tab.context.close()
    assert missing == []


def test_links_inside_the_site_lead_somewhere(site):
    dead = set()
    for path in site.rglob("*.html"):
        if "learn" in path.relative_to(site).parts[:1] or path.name == "404.html":
            continue
        for link in re.findall(r'(?:href|src)="([^"#:]*)(?:#[^"]*)?"', path.read_text()):
            target = (path.parent / link).resolve() if link else path
            if not target.exists():
                dead.add((path.relative_to(site).as_posix(), link))
    assert dead == set()
