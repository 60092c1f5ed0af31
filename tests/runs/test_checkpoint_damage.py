"""Files that were damaged, or made to do harm: a CheckpointError each, and nothing else happens."""

import contextlib
import hashlib
import json
import os
import struct
import sys
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save
from test_trees import assert_same

from logtrick.errors import CheckpointError
from logtrick.runs.tree_files import (
    FromMetadata,
    load_tree,
    read_arrays,
    save_tree,
    write_arrays_atomic,
)
from logtrick.support.files import to_json

TREE = {
    "policy": {"weight": np.arange(12, dtype="float32").reshape(3, 4), "bias": np.zeros(64)},
    "key": jax.random.key(7),
    "adam": (jnp.ones((5, 5)), jnp.zeros(5, "int32")),
    "count": 3,
}
METADATA = {"env": "CartPole-v1", "updates": 17, "gamma": 0.99}


@pytest.fixture
def saved(tmp_path):
    save_tree(tmp_path / "good", TREE, METADATA)
    return tmp_path / "good"


# --- damage -------------------------------------------------------------------------------------


def damaged(data, rng):
    """The bytes after one accident: what a disk, a cable or a half copy does."""
    data, at = bytearray(data), int(rng.integers(len(data)))
    match rng.choice(["flip", "flip", "flip", "byte", "cut", "append", "zeros", "swap", "insert"]):
        case "flip":
            data[at] ^= 1 << int(rng.integers(8))
        case "byte":
            data[at] = int(rng.integers(256))
        case "cut":
            del data[at:]
        case "append":
            data += rng.bytes(int(rng.integers(1, 64)))
        case "zeros":
            data[at : at + 512] = bytes(len(data[at : at + 512]))
        case "swap":
            other = int(rng.integers(len(data)))
            data[at : at + 16], data[other : other + 16] = (
                data[other : other + 16],
                data[at : at + 16],
            )
        case "insert":
            data[at:at] = rng.bytes(1)
    return bytes(data)


def outcome(load):
    """What a damaged file came to: noticed, or (a space in the JSON, say) the same content."""
    try:
        tree, metadata = load()
    except CheckpointError:
        return "noticed"
    assert_same(tree, TREE)
    assert {key: metadata[key] for key in METADATA} == METADATA
    return "same"


def spoil(path, load, trials, rng):
    good, outcomes = path.read_bytes(), []
    for _ in range(trials):
        path.write_bytes(damaged(good, rng))
        outcomes.append(outcome(load))
    path.write_bytes(good)
    assert outcome(load) == "same"
    return outcomes


@pytest.mark.parametrize("trials", [250, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damage_is_noticed_or_changes_nothing(saved, tmp_path, trials):
    rng = np.random.default_rng(2)
    one = tmp_path / "one.safetensors"
    write_arrays_atomic(one, TREE, METADATA)
    arrays = spoil(saved / "arrays.safetensors", lambda: load_tree(saved, TREE), trials, rng)
    manifest = spoil(saved / "manifest.json", lambda: load_tree(saved, TREE), trials, rng)
    alone = spoil(one, lambda: read_arrays(one, TREE), trials, rng)
    # The array file is hashed whole, so only an accident that changed no byte may pass.
    assert arrays.count("noticed") > 0.95 * trials
    # Two thirds of the manifest is digests and numbers, a fifth white space between them.
    assert manifest.count("noticed") > 0.7 * trials
    assert alone.count("noticed") > 0.8 * trials


def test_the_file_of_arrays_is_hashed_whole(saved):
    """White space in its header, too, which changes no array."""
    path = saved / "arrays.safetensors"
    data = path.read_bytes()
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    path.write_bytes(data.replace(header, header.replace(b" ", b"\n")))
    assert data != path.read_bytes()
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_tree(saved, TREE)


def test_every_bit_of_the_numbers_is_guarded(saved, tmp_path):
    one = tmp_path / "one.safetensors"
    write_arrays_atomic(one, {"w": np.arange(4.0)}, {})
    good = one.read_bytes()
    for bit in range(8 * 32):
        data = bytearray(good)
        data[len(good) - 32 + bit // 8] ^= 1 << bit % 8
        one.write_bytes(data)
        with pytest.raises(CheckpointError, match="'w' is not the array that was saved"):
            read_arrays(one, {"w": np.arange(4.0)})


def test_files_of_two_checkpoints_do_not_mix(saved, tmp_path):
    save_tree(tmp_path / "other", {**TREE, "count": 4}, METADATA)
    for name in ("arrays.safetensors", "manifest.json"):
        mixed = tmp_path / f"mixed-{name}"
        save_tree(mixed, TREE, METADATA)
        (mixed / name).write_bytes((tmp_path / "other" / name).read_bytes())
        with pytest.raises(CheckpointError, match="SHA-256 is not the one"):
            load_tree(mixed, TREE)


# --- malice -------------------------------------------------------------------------------------

FORBIDDEN = (
    *("compile", "exec", "import", "pickle.find_class", "marshal.loads", "ctypes."),
    *("os.chmod", "os.exec", "os.fork", "os.link", "os.mkdir", "os.posix_spawn", "os.remove"),
    *("os.rename", "os.rmdir", "os.symlink", "os.system", "os.truncate"),
    *("shutil.", "socket.", "subprocess.", "urllib."),
)
_watched: list[str] = []
_watching = False


def _hook(event, arguments):
    if _watching:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event.startswith(FORBIDDEN):
            _watched.append(f"{event} {arguments}")


@contextlib.contextmanager
def watched():
    """Fail if the block runs code out of a file, imports, writes, or opens a connection."""
    global _watching
    if not hasattr(sys, "_logtrick_watch"):
        sys.addaudithook(_hook)
        sys._logtrick_watch = True
    _watched.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False
    assert _watched == []


def forged(folder, change=lambda manifest: None, data=None):
    """Rewrite a checkpoint as an attacker would: with sums that agree."""
    path = folder / "arrays.safetensors"
    data = path.read_bytes() if data is None else data
    path.write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["file"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change(manifest)
    del manifest["sha256"]
    manifest["sha256"] = hashlib.sha256(to_json(manifest)).hexdigest()
    (folder / "manifest.json").write_bytes(to_json(manifest))


def entry(name, **values):
    def change(manifest):
        manifest["arrays"].setdefault(name, dict(manifest["arrays"]["count"])).update(values)

    return change


def header(text, body=b"", length=None):
    """A safetensors file with this header."""
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def one_array(**values):
    described = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8], **values}
    return header(json.dumps({"count": described}), bytes(8))


MANIFESTS = {
    "a shape of 1e18": entry("count", shape=[10**18]),
    "a shape of 1e400": entry("count", shape=[10**400]),
    "a negative shape": entry("count", shape=[-1]),
    "a shape that is no list": entry("count", shape="abc"),
    "a shape of lists": entry("count", shape=[[[1]]]),
    "a shape of a million sides": entry("count", shape=[1] * 1_000_000),
    "no shape": entry("count", shape=None),
    "a dtype that names code": entry("count", dtype="os.system"),
    "an object dtype": entry("count", dtype="O"),
    "a key where none is": entry("count", key_impl="threefry2x32"),
    "a key of another kind": entry("key", key_impl="__import__('os')"),
    "a wrong sum": entry("count", sha256="0" * 64),
    "a sum that is no text": entry("count", sha256=[1]),
    "a name that climbs": entry("../../x"),
    "an absolute name": entry("/etc/passwd"),
    "a name with NUL": entry("a\0b"),
    "a name that is a tag": entry("<script>alert(1)</script>"),
    "an entry that is no object": lambda m: m["arrays"].update(count=[1, 2]),
    "an entry that is text": lambda m: m["arrays"].update(count="dtype"),
    "arrays that are a list": lambda m: m.update(arrays=[]),
    "metadata that are text": lambda m: m.update(metadata="cos\nsystem\n"),
    "no file": lambda m: m.pop("file"),
    "a file elsewhere": lambda m: m.update(file="/etc/passwd"),
    "a format of the future": lambda m: m.update(format=2),
    "a format that is a list": lambda m: m.update(format=[[]]),
    "no format": lambda m: m.pop("format"),
}


@pytest.mark.parametrize("change", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_malicious_manifest_is_refused(saved, change):
    load_tree(saved, TREE)  # everything that loading imports is imported now
    forged(saved, change)
    with watched(), pytest.raises(CheckpointError) as caught:
        load_tree(saved, TREE)
    assert len(str(caught.value)) < 600
    assert "\0" not in str(caught.value)


def from_metadata(metadata):
    """A template for arrays whose length only the checkpoint knows, as a replay log's."""
    shapes = metadata["shapes"].items()
    return {name: np.empty(shape, dtype) for name, (dtype, *shape) in shapes}


def test_a_template_may_come_from_the_metadata(tmp_path):
    tree = {"actions": np.arange(12.0).reshape(3, 4), "seeds": np.arange(3, dtype="uint32")}
    shapes = {name: [str(array.dtype), *array.shape] for name, array in tree.items()}
    save_tree(tmp_path, tree, {"shapes": shapes})
    assert_same(load_tree(tmp_path, FromMetadata(from_metadata))[0], tree)


@pytest.mark.parametrize(
    "shapes",
    [
        None,
        [],
        {"x": None},
        {"x": []},
        {"x": ["float64", 10**18]},
        {"x": ["float64", 10**30]},
        {"x": ["float64", -1]},
        {"x": ["float64", "3"]},
        {"x": ["os.system", 1]},
        {"x": ["O", 1]},
        {"x": ["float64"] + [1] * 100},
        {"../x": ["float64", 1]},
    ],
    ids=str,
)
def test_metadata_that_describe_no_state_are_refused(tmp_path, shapes):
    tree = {"x": np.zeros(1)}
    save_tree(tmp_path, tree, {"shapes": {"x": ["float64", 1]}})
    load_tree(tmp_path, FromMetadata(from_metadata))
    forged(tmp_path, lambda manifest: manifest["metadata"].update(shapes=shapes))
    with watched(), pytest.raises(CheckpointError):
        load_tree(tmp_path, FromMetadata(from_metadata))


ARRAYS = {
    "nothing": b"",
    "a short length": b"\1\0\0",
    "a length of 2^63": header("{}", length=2**63),
    "a length of 2^64 - 1": header("{}", length=2**64 - 1),
    "a length past the end": header("{}", length=100),
    "no JSON": header("\x80\x04cos\nsystem\n"),
    "no UTF-8": header(b"\xff\xfe{}"),
    "deep JSON": header("[" * 1500),
    "a list": header("[]"),
    "no arrays": header("{}"),
    "a shape of 1e18": one_array(shape=[10**18]),
    "a shape that overflows": one_array(shape=[2**32, 2**32, 2]),
    "a negative shape": one_array(shape=[-1]),
    "offsets past the end": one_array(data_offsets=[0, 10**12]),
    "offsets backwards": one_array(data_offsets=[8, 0]),
    "negative offsets": one_array(data_offsets=[-8, 0]),
    "a hole": one_array(data_offsets=[4, 12]),
    "an unknown dtype": one_array(dtype="O"),
    "float8": one_array(dtype="F8_E4M3", shape=[8]),
    "another dtype": one_array(dtype="I64"),
    "an array twice": header(
        '{"count":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},'
        '"count":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
        bytes(8),
    ),
    "other names": save({"../x": np.zeros(3), "a\0b": np.zeros(2)}),
    "a pickle": b"\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    "a zip bomb's head": b"PK\3\4" + bytes(200),
    "a NumPy file": b"\x93NUMPY\1\0" + bytes(200),
}


@pytest.mark.parametrize("data", ARRAYS.values(), ids=ARRAYS.keys())
def test_a_malicious_array_file_is_refused(saved, data):
    load_tree(saved, TREE)
    forged(saved, data=data)
    with watched(), pytest.raises(CheckpointError, match=r"arrays\.safetensors is damaged"):
        load_tree(saved, TREE)
    one = saved / "one.safetensors"
    one.write_bytes(data)
    with watched(), pytest.raises(CheckpointError):
        read_arrays(one, TREE)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[" * 100_000, b"null", b"3", b'"text"', b"[]", b"{}", b"1" * 5000),
        *(b"\xff\xfe", b"\x80\x04cos\nsystem\n(S'id'\ntR.", b"\0" * 100),
        b'{"sha256": NaN, "format": 1}',
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_manifest_is_refused(saved, data):
    load_tree(saved, TREE)
    (saved / "manifest.json").write_bytes(data)
    with watched(), pytest.raises(CheckpointError, match=r"manifest\.json is damaged"):
        load_tree(saved, TREE)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
@pytest.mark.parametrize("kind", ["link", "hard to find", "pipe", "folder", "missing"])
def test_only_files_in_the_folder_itself_are_read(saved, tmp_path, name, kind):
    path, outside = saved / name, tmp_path / "outside"
    path.rename(outside)  # with the very content that would be right
    match kind:
        case "link":
            path.symlink_to(outside)
        case "hard to find":
            path.symlink_to("../outside")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    with watched(), pytest.raises(CheckpointError, match=f"{name} (cannot be read|is not a reg)"):
        load_tree(saved, TREE)


def test_a_checkpoint_that_is_a_link_is_refused(saved, tmp_path):
    (tmp_path / "link").symlink_to(saved)
    with pytest.raises(CheckpointError, match="is not a folder"):
        load_tree(tmp_path / "link", TREE)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
def test_sizes_are_checked_before_memory_is_taken(saved, name):
    load_tree(saved, TREE)
    os.truncate(saved / name, 40 * 2**30)  # sparse: it takes no room
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="42,949,672,960 bytes where at most"):
            load_tree(saved, TREE)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_good_checkpoint_loads_without_imports_or_writes(saved):
    load_tree(saved, TREE)
    with watched():
        tree, _ = load_tree(saved, TREE)
    assert_same(tree, TREE)


def test_the_watch_sees_what_it_should():
    """The audit above could not fail if its hook were deaf."""
    for harm in (lambda: exec("1"), lambda: open(os.devnull, "w").close()):
        with pytest.raises(AssertionError), watched():
            harm()
