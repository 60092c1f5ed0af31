"""The ten-minute introduction: pages in which every formula moves, each one HTML file.

A page carries its MDPs and reference numbers of this library. Its script computes the same numbers
again, says by how much they differ, and goes on computing them as the reader moves things.
"""

from pathlib import Path

from logtrick.errors import RunError
from logtrick.files import PathLike, write_bytes_atomic
from logtrick.lessons.pages import PAGES, html


def write(folder: PathLike) -> list[Path]:
    """Write all pages into a folder, which is made if need be.

    Args:
        folder: where to.

    Returns:
        The files, the first page first.

    Raises:
        RunError: the folder or a file cannot be written.
    """
    out = Path(folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} cannot be made: {error.strerror or error}") from error
    for page in PAGES:
        write_bytes_atomic(out / page.file, html(page).encode())
    return [out / page.file for page in PAGES]


__all__ = ["PAGES", "write"]
