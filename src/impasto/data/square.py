"""How a picture file becomes what a network sees: one way in for training, evaluation and every command."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from torch import Tensor

from impasto.configs import OneOf, Within, check
from impasto.errors import SettingsError
from impasto.media.picture import PictureLike, opened, read, resize

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in grey (BT.601, as Pillow and OpenCV have it)


@dataclass(frozen=True)
class Square:
    """How a picture becomes a square."""

    size: Annotated[int, Within(1, 4096)] = 64  # side, pixels
    crop: Annotated[str, OneOf(("centre", "none"))] = "centre"  # what is too long is cut off, or all of it squeezed
    channels: int = 3  # or 1: grey

    def __post_init__(self) -> None:
        check(self)
        if self.channels not in (1, 3):
            raise SettingsError(f"a picture has 1 channel (grey) or 3, not {self.channels}")

    def of(self, given: PictureLike) -> Tensor:
        """A picture as a square [channels, size, size] uint8, on white where it is transparent.

        Raises:
            PictureError: it cannot be read.
        """
        return self.cut(opened(given).on_white())[0].mul(255).round().byte()

    def seen(self, given: PictureLike) -> Tensor:
        """The same as a network takes it: [1, channels, size, size] in [0, 1]."""
        return self.of(given)[None].float() / 255

    def mask(self, file: Path) -> Tensor:
        """[1, 1, size, size] bool: where the picture in `file` is white, squared as pictures are.

        Raises:
            PictureError: it cannot be read.
        """
        marked = read(file)  # as elsewhere: what is black or transparent stays
        alpha = 1 if marked.alpha is None else marked.alpha
        return replace(self, channels=1).cut(marked.pixels * alpha) >= 0.5

    def cut(self, pixels: Tensor) -> Tensor:
        """The square [1, channels, size, size] of `pixels` [1, 3, H, W], both in [0, 1]."""
        height, width = pixels.shape[2:]
        if self.crop == "centre":
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            pixels = pixels[:, :, top : top + side, left : left + side]
        if self.channels == 1:
            pixels = (pixels * pixels.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True).clamp(0, 1)
        return resize(pixels, self.size, self.size)


def located(name: str) -> tuple[Path, dict[str, str]]:
    """The folder that "folder:PATH?size=..." names, and the options behind it; a "?" may be part of PATH, too."""
    location, options = os.path.expanduser(name.removeprefix("folder:")), ""  # noqa: PTH111  # of anyone: never raises
    if "?" in location and not is_folder(location):
        location, _, options = location.rpartition("?")
    return Path(location), dict(parse_qsl(options, keep_blank_values=True))


def is_folder(path: str | Path) -> bool:
    """As `Path.is_dir`, but also of names that no file can have, such as those that are too long."""
    return os.path.isdir(path)  # noqa: PTH112


def of_run(config: Mapping[str, Any]) -> Square:
    """How the pictures were squared that a run learned from, by its config.json."""
    data = config.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    options = located(name)[1] if isinstance(name, str) and name.startswith("folder:") else {}
    model = config["config"]
    return Square(model.get("size", 28), options.get("crop", "centre"), model.get("channels", 1))
