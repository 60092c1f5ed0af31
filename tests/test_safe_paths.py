"""Paths inside a folder: no link leads out of it, whenever it was put there."""

import contextlib
import os
import threading
from pathlib import Path

import pytest

from logtrick.errors import RunError
from logtrick.support.safe_paths import SafePath, file_of, folder_of


@pytest.fixture
def outside(tmp_path):
    """A folder that nothing may touch; the test fails if anything did."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    for file in (folder / "file", folder / "deep" / "file"):
        file.write_bytes(b"precious")
    yield folder
    assert sorted(p.name for p in folder.rglob("*")) == ["deep", "file", "file"]
    assert all(p.read_bytes() == b"precious" for p in folder.rglob("file"))


@pytest.fixture
def inside(tmp_path):
    (tmp_path / "run").mkdir()
    return SafePath(tmp_path / "run")


USES = {
    "read": lambda path: path.read(100),
    "create": lambda path: path.create(b"new"),
    "append": lambda path: os.close(path.open(os.O_RDWR | os.O_APPEND | os.O_CREAT)),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_elsewhere_is_neither_read_nor_written(inside, outside, use, link):
    link(outside / "file", (inside / "file").path)
    with pytest.raises((RunError, OSError), match=r"is a link|hard links|File exists"):
        USES[use](inside / "file")


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("name", ["file", ".unfinished-file"])
def test_a_write_replaces_a_link(inside, outside, link, name):
    """Its own one, and one under the temporary name."""
    link(outside / "file", (inside / name).path)
    (inside / "file").write(b"new")
    assert (inside / "file").read(10) == b"new"
    assert inside.names() == ["file"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling"])
def test_whatever_has_the_temporary_name_is_no_obstacle(inside, kind, tmp_path):
    place = inside / ".unfinished-file"
    match kind:
        case "folder":
            (place / "x").path.mkdir(parents=True)
        case "pipe":
            os.mkfifo(place.path)
        case "dangling":
            place.path.symlink_to(tmp_path / "nothing")
    (inside / "file").write(b"new")
    assert inside.names() == ["file"]
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: folder.names(),
        lambda folder: folder.make_folder(),
        lambda folder: folder.sync(),
        lambda folder: (folder / "file").read(10),
        lambda folder: (folder / "file").write(b"new"),
        lambda folder: (folder / "file").create(b"new"),
        lambda folder: (folder / "file").remove(),
        lambda folder: (folder / "deep").remove(),
        lambda folder: (folder / "file").rename("other"),
        lambda folder: (folder / "file").exists(),
        lambda folder: (folder / "deep" / "file").remove(),
        lambda folder: (folder / "new").make_folder(),
    ],
)
def test_a_folder_elsewhere_is_not_entered(inside, outside, use):
    (inside / "sub").path.symlink_to(outside)
    with pytest.raises((RunError, OSError), match="is a link"):
        use(inside / "sub")


def test_of_a_link_only_the_link_is_removed(inside, outside):
    (inside / "sub").path.mkdir()
    (inside / "sub" / "link").path.symlink_to(outside)
    (inside / "link").path.symlink_to(outside)
    (inside / "link").remove()
    (inside / "sub").remove()  # a whole folder, in which one is
    assert inside.names() == []


def test_a_folder_that_is_itself_a_link_is_the_callers_to_choose(inside, tmp_path):
    (inside / "file").write(b"kept")
    (tmp_path / "link").symlink_to(inside.path)
    assert (folder_of(tmp_path / "link") / "file").read(10) == b"kept"
    with pytest.raises((RunError, OSError), match="is a link"):
        file_of(tmp_path / "link").names()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "nul\0"])
def test_names_that_would_lead_elsewhere(inside, name):
    with pytest.raises(RunError, match="is no name"):
        inside / name


def test_a_relative_folder_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    folder = SafePath("run")
    os.chdir("elsewhere")
    (folder / "file").write(b"kept")
    assert (tmp_path / "run" / "file").read_bytes() == b"kept"


def test_a_link_that_is_put_there_between_check_and_use(inside, outside):
    """A folder is swapped for a link as fast as can be, while files come and go in it."""
    sub, hidden, stop = inside / "sub", inside.path / "hidden", threading.Event()
    sub.make_folder()

    def swap():
        while not stop.is_set():
            for act in (
                lambda: os.rename(sub.path, hidden),
                lambda: os.symlink(outside, sub.path),
                lambda: os.unlink(sub.path),
                lambda: os.rename(hidden, sub.path),
            ):
                with contextlib.suppress(OSError):
                    act()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            for act in (
                sub.make_folder,
                lambda: (sub / "file").write(b"new"),
                lambda: (sub / "deep").remove(),
                lambda: (sub / "file").remove(),
            ):
                with contextlib.suppress(OSError):
                    act()
            with contextlib.suppress(OSError):
                assert (sub / "file").read(10) == b"new"
    finally:
        stop.set()
        thread.join()


def test_writers_of_one_file_take_turns(inside):
    """Each content is whole, though all have the same temporary name."""
    contents = [bytes([65 + k]) * 50_000 for k in range(4)]
    faults = []

    def write(content):
        try:
            for _ in range(25):
                (inside / "file").write(content)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (inside / "file").exists():
            assert Path((inside / "file").path).read_bytes() in contents
    assert faults == []
    assert inside.names() == ["file"]
