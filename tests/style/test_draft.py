"""A draft of any size: tiles show no seams, masks and blends do what they say."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from torch import Tensor

from impasto import weights
from impasto.errors import WeightsError
from impasto.gaussian import merge
from impasto.media.picture import resize
from impasto.style import draft
from impasto.style.anystyle import REACH, AnyStyle
from impasto.style.draft import Canvas, maps


def picture(pixels: "object", height: int, width: int) -> Tensor:
    return resize(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, height, width)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> AnyStyle:
    return draft.load()


@pytest.fixture(scope="module")
def content() -> Tensor:
    return picture(data.astronaut(), 150, 181)


@pytest.fixture(scope="module")
def style() -> Tensor:
    return picture(data.coffee(), 130, 170)


@pytest.fixture(scope="module")
def other() -> Tensor:
    return picture(data.rocket(), 128, 128)


def painted(model: AnyStyle, content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
    canvas = Canvas(model, content)
    return canvas.painted([(maps(canvas.moments(), Canvas(model, style).moments(), strength), None)], strength)


def test_a_picture_painted_in_tiles_is_the_one_painted_at_once(model: AnyStyle, style: Tensor) -> None:
    content = picture(data.astronaut(), 700, 467)  # no multiples of 16
    wanted = Canvas(model, style).moments()
    results = []
    for tile in (4096, 256):
        canvas = Canvas(model, content, tile=tile)
        found = canvas.moments()
        results.append((found, canvas.painted([(maps(found, wanted), None)])))
    (whole, at_once), (summed, tiled) = results
    for name, one in whole.items():
        torch.testing.assert_close(summed[name].second, one.second, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(summed[name].weight, one.weight)
    torch.testing.assert_close(tiled, at_once, atol=2e-3, rtol=0)


def test_pixels_beyond_the_halo_have_no_say(model: AnyStyle, style: Tensor) -> None:
    content = picture(data.astronaut(), 448, 448)
    canvas = Canvas(model, content)
    moves = [(maps(canvas.moments(), Canvas(model, style).moments()), None)]
    changed = content.clone()
    changed[..., 224 + REACH :] = 0  # column 416 and beyond
    before, after = (Canvas(model, c).painted(moves)[..., :224] for c in (content, changed))
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(16, 16), (17, 300), (97, 131)])
def test_any_size_is_painted_and_kept(model: AnyStyle, style: Tensor, size: tuple[int, int]) -> None:
    result = painted(model, picture(data.astronaut(), *size), style)
    assert result.shape[2:] == size and result.isfinite().all() and 0 <= result.min() <= result.max() <= 1


def test_the_style_decides_the_colours(model: AnyStyle, content: Tensor, style: Tensor, other: Tensor) -> None:
    for wanted in (style, other):
        result = painted(model, content, wanted)
        distance = (result.mean((2, 3)) - wanted.mean((2, 3))).norm()
        assert distance < 0.35 * (content.mean((2, 3)) - wanted.mean((2, 3))).norm()


def test_strength_leads_from_the_content_to_the_style(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    distances = [(painted(model, content, style, s) - content).square().mean().item() for s in (0, 0.5, 1)]
    assert distances == sorted(distances)
    canvas = Canvas(model, content)
    own = canvas.painted([(maps(canvas.moments(), canvas.moments()), None)], 0)  # moved onto itself, with all details
    torch.testing.assert_close(painted(model, content, style, 0), own, atol=2e-3, rtol=0)


def test_a_mask_keeps_its_style_to_itself(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    mask = torch.zeros_like(content[:, :1])
    mask[..., :90] = 1
    canvas = Canvas(model, content)
    result = canvas.painted([(maps(canvas.moments(mask), Canvas(model, style).moments()), mask)])
    assert torch.equal(result[..., 90:], content[..., 90:])
    assert (result - content)[..., :60].abs().mean() > 0.02


def test_two_masks_paint_as_one_where_they_agree(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    canvas, wanted = Canvas(model, content), Canvas(model, style).moments()
    halves = [torch.zeros_like(content[:, :1]) for _ in range(2)]
    halves[0][..., :96] = 1
    halves[1][..., 96:] = 1
    move = maps(canvas.moments(), wanted)
    torch.testing.assert_close(
        canvas.painted([(move, half) for half in halves]), canvas.painted([(move, None)]), atol=2e-3, rtol=0
    )


def test_statistics_within_a_mask_are_those_of_the_part(model: AnyStyle, content: Tensor) -> None:
    mask = torch.zeros_like(content[:, :1])
    mask[..., :80] = 1
    inside = Canvas(model, content).moments(mask)["pixels"]
    torch.testing.assert_close(inside.mean, content[..., :80].mean((0, 2, 3)), atol=2e-3, rtol=1e-3)


def test_styles_blend(model: AnyStyle, content: Tensor, style: Tensor, other: Tensor) -> None:
    canvas = Canvas(model, content)
    one, two = (Canvas(model, s).moments() for s in (style, other))
    results = []
    for share in (1.0, 0.5, 0.0):
        blend = {name: merge([one[name], two[name]], (share, 1 - share)) for name in one}
        results.append(canvas.painted([(maps(canvas.moments(), blend), None)]))
    torch.testing.assert_close(results[0], painted(model, content, style), atol=1e-4, rtol=0)
    torch.testing.assert_close(results[2], painted(model, content, other), atol=1e-4, rtol=0)
    reds = [result[:, 0].mean() for result in results]
    assert min(reds[0], reds[2]) < reds[1] < max(reds[0], reds[2])


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"compact.safetensors does not hold weights of the any-style network"):
        draft.load(weights.path("compact"))
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"broken"):
        draft.load(tmp_path / "broken.safetensors")
    save_file({"last.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other"):
        draft.load(tmp_path / "other.safetensors")
