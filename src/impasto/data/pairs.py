"""Pairs of a content and a style, cropped at random from two folders, for training the any-style network."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from impasto.data.dataset import Batch
from impasto.data.folder import first_readable, listed, pictures_in
from impasto.errors import DataError
from impasto.media.picture import read, resize

ITSELF = 1 / 8  # of the contents get themselves as style, so that the network learns to leave alone what is right


@dataclass(frozen=True)
class Pairs:
    """A content [3, S, S] with a style [3, S, S] behind it in the channels; the order of the contents is the index.

    Styles, crops, scales and mirrorings are drawn from torch's global generator.
    """

    name: str
    contents: tuple[Path, ...]
    styles: tuple[Path, ...]
    size: int
    channels: int = 6
    class_names: tuple[str, ...] = ()
    labels: None = None
    mirrored: bool = False
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.contents)

    def batch(self, indices: Tensor) -> Batch:
        """Random crops of the contents of `indices` [N] and of as many styles: [N, 6, S, S]."""
        pairs = []
        for index in indices.tolist():
            content = self._crop(self.contents, index)
            own = torch.rand(()) < ITSELF
            style = content if own else self._crop(self.styles, int(torch.randint(len(self.styles), ())))
            pairs.append(torch.cat([content, style], 1))
        return Batch(torch.cat(pairs))

    def _crop(self, files: tuple[Path, ...], index: int) -> Tensor:
        """A crop [1, 3, S, S], reduced by any factor that leaves it whole; of the next file where one is broken."""
        _, pixels = first_readable(self.name, files, index, lambda file: read(file).on_white())
        height, width = pixels.shape[2:]
        smallest = self.size / min(height, width)
        scale = math.exp(torch.rand(()).item() * math.log(smallest)) if smallest < 1 else smallest
        height, width = (max(self.size, round(side * scale)) for side in (height, width))
        top, left = (int(torch.randint(side - self.size + 1, ())) for side in (height, width))
        crop = resize(pixels, height, width)[..., top : top + self.size, left : left + self.size]
        return crop.flip(3) if torch.rand(()) < 0.5 else crop


def load(contents: Path, styles: Path, size: int) -> tuple[Pairs, Pairs]:
    """Pairs for training, and for validation (a twentieth of the contents, 64 at most), of the pictures in two folders.

    Raises:
        DataError: a folder is missing, or has too few pictures.
    """
    shown, painted = _files(contents), _files(styles)
    name = f"{contents.name} x {styles.name}"
    held_out = shown[:: max(20, -(-len(shown) // 64))]  # from all over the folder
    kept = set(held_out)
    rest = tuple(file for file in shown if file not in kept)
    if not rest:
        raise DataError(f"{contents} has one picture; two are needed at least, one of them for validation")
    known = listed(contents, shown) + listed(styles, painted)
    return Pairs(name, rest, painted, size, fingerprint=known), Pairs(name, held_out, painted, size, fingerprint=known)


def _files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    return tuple(folder / file for file in pictures_in(folder))
