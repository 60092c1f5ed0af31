"""`logtrick learn`: the ten-minute introduction."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Learn:
    """Open the ten-minute introduction: every formula with numbers that move.

    Example: logtrick learn --out lessons/
    """

    out: str | None = None
    """Write the pages into this folder instead of opening them."""


def run(options: Learn) -> None:
    """Write the pages; open the first where no folder was named."""
    import webbrowser

    from logtrick import lessons
    from logtrick.compilation import cache_folder, use_compilation_cache

    use_compilation_cache()
    first, *rest = lessons.write(options.out or cache_folder().parent / "lessons")
    print(f"{first} and {len(rest)} more pages")
    if options.out is None and not webbrowser.open(first.resolve().as_uri()):
        print("No browser could be started; open the file above in one.")
