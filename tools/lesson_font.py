"""Write the font of the lessons' formulas: a subset of STIX Math that fits into every page.

    python tools/lesson_font.py STIXMath-Regular.otf

The font is in Debian's package fonts-stix (SIL Open Font License 1.1). Its licence reserves its
name, so the subset has another. fontTools comes with matplotlib; WOFF2 needs the package brotli.
"""

import argparse
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ASSETS = Path(__file__).parents[1] / "src" / "logtrick" / "lessons" / "assets"
NAME = "Lesson Math"

LATIN = "".join(map(chr, range(0x20, 0x7F)))
GREEK = "αβγδεηθλμπρστφψΔΦΨ"
SIGNS = "∇Σ∑∞∼≥≤≈−·×…′→←∗‖|ˉ‾~^ĀÂ∂𝔼⋅\u00a0"
ITALIC = "".join(map(chr, range(0x1D434, 0x1D468))) + "ℎ"
ITALIC_GREEK = "".join(map(chr, range(0x1D6FC, 0x1D716)))


def main() -> None:
    """Read the font's path and write the subset."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("font", type=Path)
    source = parser.parse_args().font
    font = TTFont(source)
    keep = subset.Options(layout_features=["ssty", "kern"], notdef_outline=True, hinting=False)
    keep.drop_tables += ["FFTM", "GPOS"]
    subsetter = subset.Subsetter(keep)
    subsetter.populate(text=LATIN + GREEK + SIGNS + ITALIC + ITALIC_GREEK)
    subsetter.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6, 16):
            record.string = NAME.replace(" ", "") if record.nameID == 6 else NAME
    font.flavor = "woff2"
    target = ASSETS / "math.woff2"
    font.save(target)
    print(f"{target}: {target.stat().st_size} bytes, {len(font.getGlyphOrder())} glyphs")


if __name__ == "__main__":
    main()
