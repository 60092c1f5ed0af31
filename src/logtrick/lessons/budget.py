"""What the path costs a reader: words, touches, minutes; counted in the pages themselves.

Every word that is on the path counts, captions, labels and buttons included. A formula with a
relation or a sum in it counts as 15 words, a single symbol as one. What folds under "Deeper" does
not count, nor do numbers that only show how something stands, nor the navigation and the footer.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser

FORMULA, WORDS_A_MINUTE, SECONDS_A_TOUCH = 15, 200, 20
_VOID = {"input", "br", "meta", "link", "path", "circle", "rect", "use"}
_RELATION = re.compile(r"[=←→]|Σ.")


@dataclass(frozen=True)
class Cost:
    """How many words a reader of the path reads, and how many controls are touched."""

    words: int
    touches: int

    @property
    def minutes(self) -> float:
        """Words at 200 a minute, and 20 seconds for each touch."""
        return self.words / WORDS_A_MINUTE + self.touches * SECONDS_A_TOUCH / 60

    def printed(self, text: str) -> str:
        """A page with the numbers in their places."""
        numbers = {"minutes": math.ceil(self.minutes), "words": self.words, "touches": self.touches}
        for name, number in numbers.items():
            text = text.replace(f"{{{{{name}}}}}", str(number))
        return text


def cost(pages: Iterable[str]) -> Cost:
    """The cost of reading pages.

    Args:
        pages: the inside of `<main>` of each.

    Example:
        >>> cost(["<p>Two words <button data-touch>Go</button></p><details>not this</details>"])
        Cost(words=3, touches=1)
    """
    counted = [_Counter.of(page) for page in pages]
    return Cost(sum(one.words for one in counted), sum(one.touches for one in counted))


class _Counter(HTMLParser):
    """Walks through a page and counts what a reader has to read."""

    def __init__(self) -> None:
        super().__init__()
        self.words = self.touches = 0
        self._stack: list[tuple[str, bool]] = []
        self._formula = 0

    @classmethod
    def of(cls, page: str) -> "_Counter":
        counter = cls()
        counter.feed(page)
        counter.close()
        return counter

    @property
    def _skips(self) -> bool:
        return any(skips for _, skips in self._stack)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        skipped = self._skips
        if tag == "summary":  # the one line of a fold that can be read
            skipped = any(skips for name, skips in self._stack[:-1])
        if not skipped:
            self.touches += "data-touch" in given
            if "formula" in classes:
                self.words += FORMULA
            elif tag == "math" and not any(name == "formula" for name, _ in self._stack):
                spoken = given.get("alttext") or ""
                self.words += FORMULA if _RELATION.search(spoken) else 1
        if tag in _VOID:
            return
        skips = (
            tag in ("math", "details", "noscript", "script")
            or "hidden" in given
            or "unseen" in classes
            or "formula" in classes
        )
        if tag == "summary" and self._stack and self._stack[-1][0] == "details":
            # The fold's own skipping ends for its summary.
            self._stack.append((tag, False))
            self._stack[-2] = ("details", False)
            return
        kind = "formula" if "formula" in classes else "live" if "data-live" in given else tag
        self._stack.append((kind, skips))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or not self._stack:
            return
        self._stack.pop()
        if tag == "summary" and self._stack and self._stack[-1][0] == "details":
            self._stack[-1] = ("details", True)

    def handle_data(self, data: str) -> None:
        if self._skips:
            return
        inside = {name for name, _ in self._stack}
        only_numbers = bool(inside & {"output", "svg", "live"})
        for word in data.split():
            if any(c.isalpha() for c in word) or (
                any(c.isdigit() for c in word) and not only_numbers
            ):
                self.words += 1
