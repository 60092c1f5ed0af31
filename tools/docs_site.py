"""Build the documentation's site: stage the pages, run the generator, typeset the formulas.

What the generator reads is put together in build/docs: the pages of docs/, the API reference, the
lessons with their pictures, and the source code that the reference links to. The site is written
into site/. It asks nothing of any other host.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import docs_api
import docs_formulas

from logtrick import lessons
from logtrick.lessons.stills import stills

ROOT = Path(__file__).parents[1]
DOCS, STAGED, SITE = ROOT / "docs", ROOT / "build" / "docs", ROOT / "site"
#: Page of the lessons -> the picture that stands for it on the page Learn.
PICTURES = {
    "value": "values",
    "policy": "histogram",
    "trick": "coin",
    "ascent": "landscape",
    "derivation": "compare",
    "scales": "scales",
}
#: Shown alive on the page Learn.
FIGURE = "landscape"


def build() -> None:
    """Write the site into site/."""
    stage()
    command = [sys.executable, "-m", "zensical", "build", "--clean"]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ)
    finish()


def stage() -> None:
    """Put together what the generator reads."""
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(DOCS, STAGED)
    docs_api.write(STAGED / "api")
    learn = STAGED / "learn"
    pages = lessons.write(learn)
    lessons.write_figure(lessons.figure(FIGURE), learn / "figures")
    _write_pictures(learn / "pictures", pages[0].read_text())
    assets = Path(lessons.__file__).parent / "assets"
    shutil.copy(assets / "math.woff2", STAGED / "assets")
    shutil.copy(assets / "math.LICENSE.txt", STAGED / "assets")


def _write_pictures(folder: Path, page: str) -> None:
    """Each lesson's picture as a file, with the style and the symbols of the lessons' pages."""
    folder.mkdir()
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL))
    style = re.sub(r"@font-face\s*{[^}]*}", "", styles)
    sprite = re.search(r'<svg class="sprite"[^>]*>(.*?)</svg>', page, flags=re.DOTALL)
    for name, picture in PICTURES.items():
        box, _, inside = stills(name)["pictures"][picture]
        x, y, width, height = map(float, box.split())
        text = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width:g}" '
            f'height="{height:g}" class="garden chart plane">'
            f"<style>{style} svg {{ max-width: none }}</style>{sprite[1] if sprite else ''}"
            f"{inside}</svg>"
        )
        (folder / f"{name}.svg").write_text(text.replace("&nbsp;", "\u00a0"))


def finish() -> None:
    """Typeset the formulas of the site's pages, and let wide tables be scrolled by keyboard."""
    for path in sorted(SITE.rglob("*.html")):
        if path.relative_to(SITE).parts[0] not in ("learn", "source"):
            path.write_text(finished(path.read_text()))


def finished(page: str) -> str:
    """A page as it is served."""
    page = docs_formulas.typeset(page)
    table = '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table>'
    page = page.replace("<table>", table).replace("</table>", "</table></div>")
    return re.sub(
        r'<pre(?= |>)', '<pre tabindex="0"', page.replace('<pre tabindex="0"', "<pre")
    )
