"""The formats that data sets come in: IDX (MNIST), CIFAR-10's Python batches, and JPEG files in a row in an npz.

Nothing here runs what a file says, so files from strangers are safe to read.
"""

import gzip
import io
import itertools
import math
import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import DataError


def read_idx(path: Path) -> np.ndarray:
    """The bytes of an IDX file, compressed or not: [N] for labels, [N, H, W] for pictures.

    Raises:
        DataError: not such a file, or not whole.
    """
    with _reading(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        start = file.read(4)
        if len(start) < 4 or start[:3] != b"\0\0\x08":  # 8: unsigned bytes
            raise DataError(f"{path} is not an IDX file of bytes; get the original")
        shape = [int(n) for n in np.frombuffer(file.read(4 * start[3]), ">u4")]
        data = file.read()
        if len(shape) != start[3] or len(data) != math.prod(shape):
            raise DataError(f"{path} is not whole: {len(data)} bytes for {' × '.join(map(str, shape))}; get it again")
        return np.frombuffer(data, np.uint8).reshape(shape)


def read_cifar(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, 3, 32, 32] uint8 and labels [N] of CIFAR-10: from the archive, or the folder that was in it.

    Args:
        split: "train" or "test".

    Raises:
        DataError: not CIFAR-10's Python batches, or not whole.
    """
    wanted = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
    with _reading(path):
        if path.is_dir():
            files = {name: (path / name).read_bytes() for name in wanted if (path / name).is_file()}
        else:
            with tarfile.open(path) as archive:
                members = ((Path(member.name).name, archive.extractfile(member)) for member in archive)
                files = {name: file.read() for name, file in members if file and name in wanted}
    for name in wanted:
        if name not in files:
            raise DataError(f"{path} has no {name}; get the data set again")
    batches = []
    for name in wanted:
        with _reading(path / name):
            batches.append(_batch(files[name]))
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return images, labels


class _Inert:
    """Stands for whatever a pickle names: keeps the state it is given, and does nothing."""

    state: tuple[Any, ...] = ()

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _InertUnpickler(pickle.Unpickler):
    """Reads a pickle without its one danger: no name in it is looked up, each becomes `_Inert`."""

    def find_class(self, module: str, name: str) -> type[_Inert]:
        return _Inert


def _batch(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels of one batch: a dictionary that Python 2 pickled, its picture bytes in a numpy array."""
    batch = _InertUnpickler(io.BytesIO(data), encoding="bytes").load()
    shape, _type, by_columns, raw = batch[b"data"].state[-4:]  # as numpy's arrays pickle themselves
    images = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if by_columns else "C")
    return images.reshape(-1, 3, 32, 32), np.array(batch[b"labels"], np.int64)


def read_jpegs(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, 3, H, W] uint8 and labels [N] from an npz with the arrays "train_jpeg" (JPEG files end to end,
    uint8), "train_offsets" (where each begins, and the end of the last) and "train_labels"; or the same for "test".

    Raises:
        DataError: not such a file, or a picture in it is damaged or of another size.
    """
    import imagecodecs

    with _reading(path), np.load(path, allow_pickle=False) as arrays:
        jpeg, offsets, labels = (arrays[f"{split}_{part}"] for part in ("jpeg", "offsets", "labels"))
        if not all(array.ndim == 1 and array.dtype.kind in "iu" for array in (jpeg, offsets, labels)):
            raise ValueError("rows of integers")
        files = (jpeg[a:b].tobytes() for a, b in itertools.pairwise(offsets))
        images = np.stack([imagecodecs.jpeg8_decode(file, outcolorspace="RGB") for file in files])
        return np.moveaxis(images, -1, 1), labels


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say in one line what keeps a file from being read."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # on damaged files the readers raise nearly every kind there is
        why = getattr(error, "strerror", None) or "it is damaged, or in another format than its name says"
        raise DataError(f"{path} cannot be read: {why}; get it again") from error
