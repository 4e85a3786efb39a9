"""Small files in the formats of the data sets, written byte by byte from their descriptions."""

import gzip
import io
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def idx(array: np.ndarray) -> bytes:
    """The IDX file of an array of bytes: two zeros, 8 for unsigned bytes, the dimensions, the sizes, the bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def python_2_batch(images: np.ndarray, labels: list[int], by_columns: bool = False) -> bytes:
    """A batch of CIFAR-10 as Python 2 pickled it: {"data": an array [N, 3072] of bytes, "labels": a list}."""

    def text(letters: bytes) -> bytes:
        return b"U" + bytes([len(letters)]) + letters

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    flat = images.reshape(len(images), -1)
    raw = flat.tobytes("F" if by_columns else "C")
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR"
    kind = b"cnumpy\ndtype\n(" + text(b"u1") + b"K\x00K\x01tR(K\x03" + text(b"|") + b"NNN" + 2 * number(-1) + b"K\x00tb"
    shape = b"(" + number(len(flat)) + number(flat.shape[1]) + b"t"
    state = b"(K\x01" + shape + kind + (b"\x88" if by_columns else b"\x89") + b"T" + struct.pack("<i", len(raw)) + raw
    numbers = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + state + b"tb" + text(b"labels") + numbers + b"u."


class Writer:
    """Writes data sets of random pictures into a folder, and keeps what it wrote."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.random = np.random.default_rng(0)
        self.images: dict[str, np.ndarray] = {}  # "train" or "test": [N, C, S, S]
        self.labels: dict[str, np.ndarray] = {}

    def draw(self, split: str, n: int, *shape: int) -> None:
        self.images[split] = self.random.integers(0, 256, (n, *shape), np.uint8)
        self.labels[split] = self.random.integers(0, 10, n, np.uint8)

    def mnist(self, folder: Path | None = None, packed: bool = True, **counts: int) -> None:
        folder = folder or self.folder
        folder.mkdir(parents=True, exist_ok=True)
        for split, n in (counts or {"train": 36, "test": 5}).items():
            self.draw(split, n, 1, 8, 8)
            start = "t10k" if split == "test" else "train"
            for name, array in (("images-idx3", self.images[split][:, 0]), ("labels-idx1", self.labels[split])):
                file = folder / f"{start}-{name}-ubyte"
                if packed:
                    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(idx(array), mtime=0))
                else:
                    file.write_bytes(idx(array))

    def cifar_batches(self, by_columns: bool = False) -> dict[str, bytes]:
        self.draw("train", 20, 3, 32, 32)
        self.draw("test", 3, 3, 32, 32)
        parts: list[tuple[str, Any, Any]] = [("test_batch", self.images["test"], self.labels["test"])]
        for i in range(5):
            rows = slice(4 * i, 4 * i + 4)
            parts.append((f"data_batch_{i + 1}", self.images["train"][rows], self.labels["train"][rows]))
        return {name: python_2_batch(images, labels.tolist(), by_columns) for name, images, labels in parts}

    def cifar_archive(self, file: Path, batches: dict[str, bytes]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(file, "w:gz") as archive:
            for name in sorted(batches, reverse=True):  # as in the original, in no order
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(batches[name])
                archive.addfile(member, io.BytesIO(batches[name]))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "data")
