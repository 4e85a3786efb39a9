"""Looks as files: against FFmpeg's own filters, another reader, and damaged files."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from impasto.errors import PictureError
from impasto.media import lut
from impasto.media.lut import Lut, identity
from impasto.media.picture import Picture, read


@pytest.fixture
def look() -> Lut:
    """Warm lights, blue shadows, more contrast: curved, and of every channel a mix."""
    colours = identity()
    mixed = colours @ torch.tensor([[0.9, 0.1, 0.0], [0.05, 0.85, 0.1], [0.1, 0.0, 0.9]])
    return Lut((mixed**1.3 * torch.tensor([1.0, 0.95, 0.8]) + torch.tensor([0.0, 0.02, 0.08])).clamp(0, 1))


@pytest.fixture
def photo() -> Tensor:
    return torch.from_numpy(data.chelsea()[:200, :300]).permute(2, 0, 1)[None].float() / 255


def filtered(photo: Tensor, *filters: tuple[str, str]) -> Tensor:
    """`photo` after filters of FFmpeg."""
    frame = av.VideoFrame.from_ndarray((photo[0].permute(1, 2, 0) * 255).round().byte().numpy(), format="rgb24")
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=1)
    nodes = [source, *(graph.add(*one) for one in filters), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    shown = graph.pull().to_ndarray(format="rgb24")
    return torch.from_numpy(shown.astype(np.float32)).permute(2, 0, 1)[None] / 255


def test_a_cube_is_what_ffmpeg_makes_of_it(look: Lut, photo: Tensor, tmp_path: Path) -> None:
    look.save(tmp_path / "look.cube")
    theirs = filtered(photo, ("lut3d", f"file={tmp_path / 'look.cube'}"))
    assert ((look(photo) - theirs).abs().mean() * 255).item() < 1 and (look(photo) - photo).abs().mean() > 0.05


def test_another_reader_finds_the_same_table(look: Lut, tmp_path: Path) -> None:
    colour = pytest.importorskip("colour")
    look.save(tmp_path / "look.cube")
    found = colour.read_LUT(str(tmp_path / "look.cube"))
    assert found.size == 33 and found.domain.tolist() == [[0, 0, 0], [1, 1, 1]]
    # Theirs is [red, green, blue].
    np.testing.assert_allclose(found.table, look.table.permute(2, 1, 0, 3).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["look.cube", "look.png"])
def test_what_is_written_is_read_again(look: Lut, photo: Tensor, tmp_path: Path, name: str) -> None:
    look.save(tmp_path / name)
    again = lut.read(tmp_path / name)
    assert len(again.table) == (33 if name.endswith("cube") else 64)
    torch.testing.assert_close(again(photo), look(photo), atol=2e-3, rtol=0)


def test_a_haldclut_of_an_editor_is_read(photo: Tensor, tmp_path: Path) -> None:
    """As ImageMagick's `hald:4` and FFmpeg's `haldclutsrc` draw it, 8 bits, here with red and blue changed over."""
    at = np.arange(64 * 64)
    red, green, blue = at % 16, at // 16 % 16, at // 256
    table = np.stack([blue, green, red], 1).reshape(64, 64, 3) * 17
    Picture(torch.from_numpy(table.astype(np.float32)).permute(2, 0, 1)[None] / 255).save(tmp_path / "hald.png")
    torch.testing.assert_close(lut.read(tmp_path / "hald.png")(photo), photo.flip(1), atol=1e-5, rtol=0)


def test_trilinear_between_the_points(photo: Tensor) -> None:
    torch.testing.assert_close(Lut(identity(2))(photo), photo, atol=1e-6, rtol=0)  # a line stays a line
    corner = identity(2)
    corner[1, 0, 1] = torch.tensor([0.0, 1.0, 0.0])  # blue and red together become green
    pixel = torch.tensor([0.5, 0.25, 1.0]).view(1, 3, 1, 1)  # r, g, b: half of the way, three quarters
    expected = 0.5 * 0.75 * torch.tensor([0.0, 1, 0]) + 0.5 * 0.25 * torch.tensor([1.0, 1, 1])
    expected = expected + 0.5 * 0.75 * torch.tensor([0.0, 0, 1]) + 0.5 * 0.25 * torch.tensor([0.0, 1, 1])
    torch.testing.assert_close(Lut(corner)(pixel).flatten(), expected)


def test_a_domain_is_heeded(tmp_path: Path) -> None:
    text = "DOMAIN_MIN -1 -1 -1\nDOMAIN_MAX 1 1 1\n#a comment\nLUT_3D_SIZE 2\n\n"
    rows = [f"{r} {g} {b}" for b in (-1, 1) for g in (-1, 1) for r in (-1, 1)]
    (tmp_path / "wide.cube").write_text(text + "\n".join(rows))
    found = lut.read(tmp_path / "wide.cube")
    pixel = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1)
    torch.testing.assert_close(found(pixel), pixel)
    found.save(tmp_path / "again.cube")
    assert lut.read(tmp_path / "again.cube").lowest == (-1, -1, -1)


def test_a_weakened_look_lies_between(look: Lut, photo: Tensor) -> None:
    torch.testing.assert_close(look.weakened(0)(photo), photo, atol=1e-5, rtol=0)
    torch.testing.assert_close(look.weakened(0.25)(photo), torch.lerp(photo, look(photo), 0.25), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no LUT_3D_SIZE"),
        ("LUT_3D_SIZE", "no LUT_3D_SIZE"),
        ("LUT_3D_SIZE 1e9", "no LUT_3D_SIZE"),
        ("LUT_3D_SIZE nan", "no LUT_3D_SIZE"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1", "each channel alone"),
        ("LUT_3D_SIZE 2\n0 0 0", "1 colours; 2 points a side are 8"),
        ("LUT_3D_SIZE 2\n0 0", "line 2: a colour has three numbers, not 2"),
        ("LUT_3D_SIZE 2\nred green blue", "line 2: 'red green blue' is no colour"),
        ("LUT_3D_SIZE 2\n" + "nan 0 0\n" * 8, "numbers that are none"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 0 1 1\n" + "0 0 0\n" * 8, "a domain without a size"),
        ("LUT_3D_SIZE 2\nDOMAIN_MIN 0\n" + "0 0 0\n" * 8, "a domain without a size"),
    ],
)
def test_a_damaged_cube_is_said_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.cube").write_text(text)
    with pytest.raises(PictureError, match=says) as error:
        lut.read(tmp_path / "bad.cube")
    assert "bad.cube" in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_look_is_said(photo: Tensor, tmp_path: Path) -> None:
    Picture(photo).save(tmp_path / "photo.png")
    with pytest.raises(PictureError, match=r"no HaldCLUT: one is a square of .* not 300 × 200"):
        lut.read(tmp_path / "photo.png")
    with pytest.raises(PictureError, match=r"none\.cube cannot be read"):
        lut.read(tmp_path / "none.cube")
    with pytest.raises(PictureError, match=r"written as \.cube or \.png"):
        Lut(identity(2)).save(tmp_path / "look.3dl")


def test_what_is_written_is_a_picture_of_16_bits(look: Lut, tmp_path: Path) -> None:
    look.save(tmp_path / "look.png")
    shown = read(tmp_path / "look.png").pixels
    assert shown.shape == (1, 3, 512, 512) and len(shown.unique()) > 256
