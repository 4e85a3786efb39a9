"""The formats of data sets: read as written, refused in one line when broken, and never run."""

import gzip
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto.data.formats import read_cifar, read_idx, read_jpegs
from impasto.errors import DataError

IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60])  # two pictures of 1 × 3


@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_file_is_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / ("x.gz" if packed else "x")
    file.write_bytes(gzip.compress(IDX, mtime=0) if packed else IDX)
    assert read_idx(file).tolist() == [[[10, 20, 30]], [[40, 50, 60]]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("short", IDX[:-1], "not whole: 5 bytes for 2 × 1 × 3"),
        ("long", IDX + b"!", "not whole: 7 bytes"),
        ("header", IDX[:8], "not whole"),
        ("odd", IDX[:9], "damaged"),
        ("magic", b"\0\0\x0d" + IDX[3:], "not an IDX file of bytes"),
        ("page", b"<html>404</html>", "not an IDX file"),
        ("empty", b"", "not an IDX file"),
        ("broken.gz", gzip.compress(IDX, mtime=0)[:-9], "damaged"),
        ("page.gz", b"<html>404</html>", "damaged"),
    ],
)
def test_a_broken_idx_file_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        read_idx(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("by_columns", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_cifar_batches_are_read_in_their_order(writer: Any, tmp_path: Path, packed: bool, by_columns: bool) -> None:
    batches, place = writer.cifar_batches(by_columns), tmp_path / "cifar"
    if packed:
        writer.cifar_archive(place, batches)
    else:
        place.mkdir()
        for name, content in batches.items():
            (place / name).write_bytes(content)
    for split in ("train", "test"):
        images, labels = read_cifar(place, split)
        assert np.array_equal(images, writer.images[split])
        assert np.array_equal(labels, writer.labels[split])


def test_our_cifar_batches_are_what_numpy_itself_unpickles(writer: Any) -> None:
    batch = pickle.loads(writer.cifar_batches()["test_batch"], encoding="bytes")
    assert np.array_equal(batch[b"data"].reshape(-1, 3, 32, 32), writer.images["test"])
    assert batch[b"labels"] == writer.labels["test"].tolist()


class Hostile:
    def __init__(self, call: Any, *arguments: object):
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("wrap", [lambda h: h, lambda h: {b"data": h, b"labels": [0]}, lambda h: {h: 0}])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_batch_that_holds_a_program_does_not_run_it(tmp_path: Path, wrap: Any, protocol: int) -> None:
    trace = tmp_path / "trace"
    hostile = wrap(Hostile(os.mkdir, str(trace)))
    (tmp_path / "test_batch").write_bytes(pickle.dumps(hostile, protocol))
    with pytest.raises(DataError, match="test_batch cannot be read"):
        read_cifar(tmp_path, "test")
    assert not trace.exists()
    pickle.loads(pickle.dumps(hostile, protocol))  # the pickle is a live one
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({}), pickle.dumps([1])])
def test_a_broken_batch_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match="test_batch") as error:
        read_cifar(tmp_path, "test")
    assert "\n" not in str(error.value)


def test_a_truncated_batch_is_named(writer: Any, tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(writer.cifar_batches()["test_batch"][:-2000])
    with pytest.raises(DataError, match="test_batch cannot be read"):
        read_cifar(tmp_path, "test")


def test_a_missing_batch_is_named(writer: Any, tmp_path: Path) -> None:
    batches = writer.cifar_batches()
    del batches["data_batch_3"]
    writer.cifar_archive(tmp_path / "c.tar.gz", batches)
    with pytest.raises(DataError, match="has no data_batch_3"):
        read_cifar(tmp_path / "c.tar.gz", "train")


def test_a_truncated_archive_is_named(writer: Any, tmp_path: Path) -> None:
    file = tmp_path / "c.tar.gz"
    writer.cifar_archive(file, writer.cifar_batches())
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"c\.tar\.gz cannot be read"):
        read_cifar(file, "train")


def jpegs(*sizes: tuple[int, int]) -> tuple[list[bytes], list[np.ndarray]]:
    """JPEG files of random pictures, and what Pillow reads from them."""
    random, files, pictures = np.random.default_rng(0), [], []
    for width, height in sizes:
        file = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(file, "JPEG")
        files.append(file.getvalue())
        pictures.append(np.asarray(Image.open(file)).transpose(2, 0, 1))
    return files, pictures


def pack(path: Path, files: list[bytes]) -> None:
    offsets = np.cumsum([0, *map(len, files)])
    labels = np.arange(len(files), dtype=np.uint8)
    np.savez(path, test_jpeg=np.frombuffer(b"".join(files), np.uint8), test_offsets=offsets, test_labels=labels)


def test_jpegs_in_an_npz_are_those_that_pillow_reads(tmp_path: Path) -> None:
    files, pictures = jpegs((16, 16), (16, 16), (16, 16))
    pack(tmp_path / "x.npz", files)
    images, labels = read_jpegs(tmp_path / "x.npz", "test")
    assert images.dtype == np.uint8
    assert np.array_equal(images, pictures)
    assert labels.tolist() == [0, 1, 2]


def test_a_broken_npz_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    broken = [b"not a zip", b""]
    for files in (jpegs((16, 16), (16, 8))[0], [b"not a JPEG"]):
        pack(file, files)
        broken.append(file.read_bytes())
    for labels in (np.array(3), np.array(["a"]), np.zeros((1, 1), int), np.array([0.5])):
        np.savez(file, test_jpeg=np.frombuffer(b"\0", np.uint8), test_offsets=[0, 1], test_labels=labels)
        broken.append(file.read_bytes())
    for content in broken:
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.npz cannot be read"):
            read_jpegs(file, "test")
    with pytest.raises(DataError, match=r"x\.npz"):
        read_jpegs(file, "train")


def test_an_npz_that_holds_a_program_does_not_run_it(tmp_path: Path) -> None:
    file, trace = tmp_path / "x.npz", tmp_path / "trace"
    np.savez(file, test_jpeg=np.array([Hostile(os.mkdir, str(trace))], object), test_offsets=[0], test_labels=[0])
    with pytest.raises(DataError):
        read_jpegs(file, "test")
    assert not trace.exists()
