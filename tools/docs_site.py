"""Build the documentation's site: stage the pages, run the generator, typeset the formulas.

What the generator reads is put together in a folder of its own: the pages of docs/, the API
reference, the lessons with their pictures, and the source code that the reference links to. The
site asks nothing of any other host.
"""

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docs_api
import docs_formulas
from logtrick import lessons
from logtrick.lessons.stills import stills

ROOT = Path(__file__).parents[1]
DOCS, SITE = ROOT / "docs", ROOT / "site"
#: Page of the lessons -> the picture that stands for it on the page Learn.
PICTURES = {
    "value": "best",
    "policy": "histogram",
    "trick": "coin",
    "ascent": "landscape",
    "derivation": "compare",
    "scales": "scales",
}
ROLES = {
    "thead": "rowgroup",
    "tbody": "rowgroup",
    "tr": "row",
    "th": "columnheader",
    "td": "cell",
}
#: Characters of a name that fit on a line of a phone.
LONGEST = 30
#: Shown alive on the page Learn.
FIGURE = "landscape"


def build(site: Path = SITE) -> None:
    """Write the site into a folder, which is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stage(work / "docs")
        shutil.copy(ROOT / "zensical.toml", work)
        # By this Python, so that no environment need be activated.
        subprocess.run([sys.executable, "-m", "zensical", "build"], check=True, cwd=work)
        finish(work / "site")
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(work / "site", site)


def stage(staged: Path) -> None:
    """Put together what the generator reads."""
    shutil.copytree(DOCS, staged)
    docs_api.write(staged / "api")
    pages = lessons.write(staged / "learn")
    lessons.write_figure(lessons.figure(FIGURE), staged / "learn" / "figures")
    _write_pictures(staged / "learn" / "pictures", pages[0].read_text())
    assets = Path(lessons.__file__).parent / "assets"
    for name in ("math.woff2", "math.LICENSE.txt"):
        shutil.copy(assets / name, staged / "assets")


def _write_pictures(folder: Path, page: str) -> None:
    """Each lesson's picture as a file, with the style and the symbols of the lessons' pages."""
    folder.mkdir()
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL))
    style = re.sub(r"@font-face\s*{[^}]*}", "", styles)
    sprite = re.search(r'<svg class="sprite"[^>]*>(.*?)</svg>', page, flags=re.DOTALL)
    for name, picture in PICTURES.items():
        box, _, inside = stills(name)["pictures"][picture]
        _, _, width, height = map(float, box.split())
        text = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width:g}" '
            f'height="{height:g}" class="garden chart plane">'
            f"<style>{style} svg {{ max-width: none }}</style>{sprite[1] if sprite else ''}"
            f"{inside}</svg>"
        )
        (folder / f"{name}.svg").write_text(text.replace("&nbsp;", "\u00a0"))


def finish(site: Path) -> None:
    """Typeset the formulas of the site's pages, and let wide tables be scrolled by keyboard."""
    for path in sorted(site.rglob("*.html")):
        if path.relative_to(site).parts[0] not in ("learn", "source"):
            path.write_text(finished(path.read_text()))


def finished(page: str) -> str:
    """A page as it is served."""
    page = docs_formulas.typeset(page)
    # Empty links, one for each line of code, are in the way of whoever goes from link to link.
    page = re.sub(r'<a id="__codelineno-[^>]*></a>', "", page)
    # Roles, since a phone shows the rows of a narrow table as blocks.
    page = re.sub(
        r"<(thead|tbody|tr|th|td)(?=[ >])", lambda m: f'<{m[1]} role="{ROLES[m[1]]}"', page
    )
    numbers = itertools.count(1)
    page = re.sub("<table>(.*?)</table>", lambda m: _framed(m[1], next(numbers)), page, flags=re.S)
    page = re.sub(r"<pre(?= |>)", '<pre tabindex="0"', page)
    return re.sub(r"(<pre\b.*?</pre>)|<code>(.*?)</code>", _whole_words, page, flags=re.DOTALL)


def _framed(table: str, number: int) -> str:
    """A table in a frame that scrolls, and that a keyboard reaches."""
    frame = f'<div class="table-scroll" tabindex="0" role="region" aria-label="Table {number}">'
    return f'{frame}<table role="table">{table}</table></div>'


def _whole_words(found: re.Match[str]) -> str:
    """Code within a line, with names that are broken at spaces only."""
    if found[1]:
        return found[1]
    breaks = re.compile(r"-|\)\(")
    words = (
        f'<span class="word">{word}</span>'
        if breaks.search(word) and len(word) <= LONGEST
        else word
        for word in found[2].split(" ")
    )
    return f"<code>{' '.join(words)}</code>"
