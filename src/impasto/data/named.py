"""The data sets known by name: MNIST, Fashion-MNIST and CIFAR-10, from the user's folder or the network."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from impasto import download
from impasto.data.dataset import Stored, fingerprint
from impasto.data.formats import read_cifar, read_idx, read_jpegs
from impasto.errors import DataError

RETRIES = 1  # of a download that breaks off or arrives damaged, before the next mirror
SEED = 0  # of the validation part
MANY = 100  # pictures whose mean brightness says which data set they are of

_Read = tuple[tuple[Path, Path], np.ndarray, np.ndarray]  # files of pictures and of labels; pictures; labels


@dataclass(frozen=True)
class Source:
    """Where a data set comes from."""

    class_names: tuple[str, ...]
    validation: int  # one in so many of the training pictures
    mirrors: tuple[str, ...]  # folders on the network, tried in turn
    md5: dict[str, str]  # of each original file
    counts: dict[str, tuple[int, ...]]  # pictures of each class in "train" and "test", validation included
    means: tuple[float, ...]  # of each channel over all training pictures, in [0, 1]
    mirrored: bool = False  # whether a mirror image shows the same class


SOURCES = {
    # LeCun, Bottou, Bengio and Haffner 1998
    "mnist": Source(
        class_names=tuple("0123456789"),
        validation=12,  # 5,000 of 60,000
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://dataset.bj.bcebos.com/mnist/",
        ),
        md5={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        counts={
            "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        },
        means=(0.1307,),
    ),
    # Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747
    "fashion-mnist": Source(
        class_names=(
            "T-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        validation=12,
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        md5={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        counts={"train": (6000,) * 10, "test": (1000,) * 10},
        means=(0.2860,),
    ),
    # Krizhevsky 2009
    "cifar10": Source(
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        validation=10,  # 5,000 of 50,000
        mirrors=("https://www.cs.toronto.edu/~kriz/", "https://dataset.bj.bcebos.com/cifar/"),
        md5={"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
        counts={"train": (5000,) * 10, "test": (1000,) * 10},
        means=(0.4914, 0.4822, 0.4465),
        mirrored=True,
    ),
}


def load(name: str, split: str, data_dir: str | os.PathLike[str] | None = None) -> Stored:
    """The "train", "validation" or "test" part of a data set of SOURCES; see `impasto.data.load`.

    Raises:
        DataError: files that cannot be had, or are broken.
    """
    source = SOURCES[name]
    read = _read_cifar if name == "cifar10" else _read_idx
    (images_file, labels_file), images, labels = read(name, "test" if split == "test" else "train", data_dir)
    height, width = images.shape[2:]
    if height != width:
        raise DataError(f"{images_file} has pictures of {height} × {width} pixels; they must be square")
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{labels_file} has {len(labels)} labels for {len(images)} pictures; get the data set again")
    top = len(source.class_names) - 1
    if labels.min() < 0 or labels.max() > top:
        raise DataError(f"{labels_file} has labels from {labels.min()} to {labels.max()}, but they go from 0 to {top}")
    _check_contents(name, split, images_file, images, labels)
    # RandomState gives the same numbers in every version for good (NEP 19): no picture ever changes sides.
    shuffled = np.random.RandomState(SEED).permutation(len(images))
    held_out = len(images) // source.validation
    part = {"train": shuffled[held_out:], "validation": shuffled[:held_out], "test": shuffled}[split]
    part.sort()
    images, labels = np.ascontiguousarray(images[part]), labels[part].astype(np.int64)
    known = fingerprint((images.data, labels.data))
    return Stored(name, torch.from_numpy(images), torch.from_numpy(labels), source.class_names, source.mirrored, known)


def _check_contents(name: str, split: str, file: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Refuse what bears the name of a data set and is another: MNIST and its successors share the names of their files.

    Parts of a data set pass, and small ones of another size or number, which are somebody's own.

    Raises:
        DataError: pictures of another brightness, or labels that are not those of the whole set.
    """
    source, part = SOURCES[name], "test" if split == "test" else "train"
    counts = tuple(np.bincount(labels, minlength=len(source.class_names)).tolist())
    side = 32 if name == "cifar10" else 28
    found = None
    if images.shape[1:] == (len(source.means), side, side) and len(images) >= MANY:
        bright = images.mean((2, 3), dtype=np.float64) / 255  # [N, C]
        off = np.abs(bright.mean(0) - source.means)
        if (off > 0.01 + 4 * bright.std(0) / len(images) ** 0.5).any():
            found = f"pictures of a mean brightness of {', '.join(f'{mean:.2f}' for mean in bright.mean(0))}"
            found += f" instead of {', '.join(f'{mean:.2f}' for mean in source.means)}"
    if found is None and sum(counts) == sum(source.counts[part]) and counts != source.counts[part]:
        found = "other numbers of pictures of its classes"
    if found is None and part == "train" and counts == source.counts["test"]:
        found = "the test pictures in place of the training pictures"
    if found is None and part == "test" and counts == source.counts["train"]:
        found = "the training pictures in place of the test pictures"
    if found:
        raise DataError(f"{file} is not {name}: it has {found}; put the original files there, or name another folder")


def _read_idx(name: str, split: str, data_dir: str | os.PathLike[str] | None) -> _Read:
    """Pictures [N, 1, H, W] of "train" or "test"."""
    start = "t10k" if split == "test" else "train"
    files, arrays = [], []
    for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
        file = f"{start}-{kind}-ubyte"
        path = _here(name, data_dir, (f"{file}.gz", file)) or _fetched(name, f"{file}.gz")
        array = read_idx(path)
        if array.ndim != dimensions:
            raise DataError(f"{path} has {array.ndim} dimensions instead of {dimensions}; get the original")
        files.append(path)
        arrays.append(array)
    return (files[0], files[1]), arrays[0][:, None], arrays[1]


def _read_cifar(name: str, split: str, data_dir: str | os.PathLike[str] | None) -> _Read:
    """Pictures [N, 3, 32, 32] of "train" or "test"."""
    archive = "cifar-10-python.tar.gz"
    choices = (archive, "cifar-10-batches-py/test_batch", "test_batch", "cifar10.npz")
    path = _here(name, data_dir, choices) or _fetched(name, archive)
    if path.suffix == ".npz":
        return (path, path), *read_jpegs(path, split)
    return (path, path), *read_cifar(path.parent if path.name == "test_batch" else path, split)


def _here(name: str, data_dir: str | os.PathLike[str] | None, files: tuple[str, ...]) -> Path | None:
    """The first of `files` in the user's folder or in its subfolder `name`."""
    root = data_dir or os.environ.get("IMPASTO_DATA")
    if not root:
        return None
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; correct --data-dir or IMPASTO_DATA")
    # The files of MNIST and Fashion-MNIST have the same names: a folder called after the one is not the other.
    folders = [root / name] if root.name in SOURCES and root.name != name else [root / name, root]
    return next((folder / file for folder in folders for file in files if (folder / file).exists()), None)


def _fetched(name: str, file: str) -> Path:
    """The original file in the folder `data` of IMPASTO_HOME, or else of the user's cache; fetched at first use."""
    source = SOURCES[name]
    target = download.home() / "data" / name / file
    by_hand = (
        f"get {source.mirrors[0]}{file} elsewhere and put it at {target}, or name its folder with --data-dir, "
        "or train on glyphs, which needs no files"
    )
    urls = [mirror + file for mirror in source.mirrors]
    download.fetch(target, urls, f"md5:{source.md5[file]}", retries=RETRIES, error=DataError, otherwise=by_hand)
    return target
