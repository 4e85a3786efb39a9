"""One way into a network: what a run saw in training is what every command shows it."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from impasto.data import load
from impasto.data.square import Square, of_run


def every_kind(folder: Path) -> None:
    """A picture of each kind: transparent, grey, with a palette, of 16 bits, turned, in inks, tall and wide."""
    random = np.random.default_rng(0)

    def pixels(channels: int, height: int = 20, width: int = 14) -> np.ndarray:
        return random.integers(0, 256, (height, width, channels), np.uint8)

    folder.mkdir()
    Image.fromarray(pixels(4)).save(folder / "rgba.png")
    Image.fromarray(pixels(2), "LA").save(folder / "la.png")
    Image.fromarray(pixels(1)[..., 0]).save(folder / "grey.png")
    Image.fromarray(pixels(3)).quantize(8).save(folder / "palette.png", transparency=0)
    (folder / "deep.png").write_bytes(imagecodecs.png_encode(random.integers(0, 65536, (20, 14, 3), np.uint16)))
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels(3)).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(pixels(4), "CMYK").save(folder / "inks.jpg")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels(3)).save(folder / "profile.png", icc_profile=profile)
    Image.fromarray(pixels(3, 10, 40)).save(folder / "wide.bmp")
    Image.fromarray(pixels(3, 40, 10)).save(folder / "tall.webp", lossless=True)


@pytest.mark.parametrize("options", ["size=8", "size=8&crop=none", "size=9&channels=1", "size=30&channels=1&crop=none"])
def test_a_command_sees_each_picture_as_training_saw_it(tmp_path: Path, options: str) -> None:
    every_kind(tmp_path / "all")
    name = f"folder:{tmp_path / 'all'}?{options}"
    for split in ("train", "validation", "test"):
        data = load(name, split)
        view = of_run({"config": {"size": data.size, "channels": data.channels}, "data": {"name": name}})
        files = sorted((tmp_path / "all").iterdir())
        batch = data.batch(torch.arange(len(data))).images
        seen = [view.seen(file) for file in files]
        for image in batch:
            assert any(torch.equal(image, one[0]) for one in seen)
        assert len(torch.cat(seen).flatten(1).unique(dim=0)) == len(files)


def test_colours_under_full_transparency_do_not_count(tmp_path: Path) -> None:
    for name, hidden in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        pixels = np.full((8, 8, 4), 90, np.uint8)
        pixels[:4] = (*hidden, 0)
        pixels[4:, :, 3] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    red, blue = (Square(4).seen(tmp_path / f"{name}.png") for name in ("red", "blue"))
    assert torch.equal(red, blue)
    assert red[0, :, 0].min() > 0.98  # white, and no fringe of what is hidden


def test_old_runs_say_their_crop_in_the_name_of_their_data() -> None:
    model = {"size": 28, "channels": 1}
    assert of_run({"config": model}) == Square(28, "centre", 1)
    assert of_run({"config": model, "data": {"name": "mnist"}}) == Square(28, "centre", 1)
    assert of_run({"config": model, "data": {"name": "folder:gone?size=64&crop=none"}}) == Square(28, "none", 1)
