"""A draft of any size: tiles show no seams, masks and blends do what they say."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from torch import Tensor

from impasto import weights
from impasto.errors import WeightsError
from impasto.gaussian import measure
from impasto.media.picture import resize
from impasto.style import draft
from impasto.style.anystyle import REACH, AnyStyle
from impasto.style.draft import Canvas, Seen, maps, region_of
from impasto.style.objective import Region


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


def region(model: AnyStyle, *styles: Tensor, shares: tuple[float, ...] = (1.0,), mask: Tensor | None = None) -> Region:
    return region_of([Canvas(model, style).seen() for style in styles], shares, mask)


def painted(model: AnyStyle, content: Tensor, style: Tensor, strength: float = 1.0, freedom: float = 0.5) -> Tensor:
    return Canvas(model, content).painted([region(model, style)], strength, freedom)


def test_a_picture_painted_in_tiles_is_the_one_painted_at_once(model: AnyStyle, style: Tensor) -> None:
    content = picture(data.astronaut(), 700, 467)  # no multiples of 16
    results = []
    for tile in (4096, 256):
        canvas = Canvas(model, content, tile=tile)
        results.append((canvas.moments(), canvas.painted([region(model, style)])))
    (whole, at_once), (summed, tiled) = results
    for name, one in whole.items():
        torch.testing.assert_close(summed[name].second, one.second, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(summed[name].weight, one.weight)
    # A rounding may turn a close choice between two points; all else is the same.
    assert ((tiled - at_once).abs() > 2e-3).float().mean() < 0.01


def test_points_of_a_style_are_the_same_in_tiles(model: AnyStyle) -> None:
    style = picture(data.coffee(), 301, 430)
    whole, parts = (Canvas(model, style, tile=tile).seen().points for tile in (4096, 256))
    assert whole is not None and parts is not None
    assert len(whole.patches) == 38 * 54 - 1  # of the last place, less than half lies in the picture
    torch.testing.assert_close(parts.patches, whole.patches, atol=2e-3, rtol=1e-3)
    assert torch.equal(parts.neighbours, whole.neighbours)


def test_pixels_beyond_the_halo_have_no_say(model: AnyStyle, style: Tensor) -> None:
    content = picture(data.astronaut(), 448, 448)
    canvas, wanted = Canvas(model, content), region_of([Seen(Canvas(model, style).moments())])
    moves = [maps(wanted, canvas.moments())]
    changed = content.clone()
    changed[..., 224 + REACH :] = 0  # column 416 and beyond
    before, after = (Canvas(model, c).painted([wanted], moves=moves)[..., :224] for c in (content, changed))
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


def untrained(model: AnyStyle) -> AnyStyle:
    """One that adds nothing to what is matched."""
    found = AnyStyle(model.config)
    for name in ("scale_0", "scale_1", "scale_2", "scale_3"):
        found.get_buffer(name).fill_(1)
    return found


def test_each_place_of_a_painting_finds_itself(model: AnyStyle) -> None:
    style = picture(data.coffee(), 256, 320)
    torch.testing.assert_close(painted(untrained(model), style, style), style, atol=1e-4, rtol=0)


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_matched_gets_the_colours_of_the_whole_style(model: AnyStyle, style: Tensor, masked: bool) -> None:
    night, muted = picture(data.rocket(), 256, 320)[..., :128, :], 0.3 + 0.4 * style  # nothing is cut off at 0 or 1
    mask = torch.zeros_like(night[:, :1]) if masked else None
    if mask is not None:
        mask[..., :160] = 1
    canvas = Canvas(untrained(model), night, tile=128)  # several tiles, which share one map
    wanted = region(model, muted, mask=mask)
    guide = canvas.guide(wanted, maps(wanted, canvas.moments(mask)))
    assert guide is not None

    def off(guide: draft.Guide) -> float:
        found, aim = measure(canvas.painted([wanted], guides=[guide]), mask), measure(muted)
        spread, wanted_spread = (each.second - each.mean.outer(each.mean) for each in (found, aim))
        return ((found.mean - aim.mean).norm() / aim.mean.norm()).item() + (
            (spread - wanted_spread).norm() / wanted_spread.norm()
        ).item()

    as_they_are = off(dataclasses.replace(guide, colours=None))
    assert as_they_are > 0.3 and off(guide) < 0.05


def test_there_is_no_edge_between_places(model: AnyStyle) -> None:
    content, style = picture(data.rocket(), 256, 320), picture(data.coffee(), 256, 320)
    seen = region_of([Canvas(model, style).seen()])
    canvas = Canvas(model, content)
    guide = canvas.guide(seen, maps(seen, canvas.moments()))
    assert guide is not None
    steps = guide.features(guide.places)["pixels"].diff(dim=3).abs().mean((0, 1, 2))  # from each column to the next
    across = steps[7::8].mean()
    within = torch.cat([steps[6::8], steps[8::8]]).mean()
    assert across < 1.3 * within  # of votes that all count alike 2.1


def test_a_picture_is_made_of_places_of_the_painting(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    """Judged by itself: 8x8 pixels anywhere in the result have their like in the painting, a photograph's have not."""

    def far(pixels: Tensor) -> float:
        ours, theirs = (torch.nn.functional.unfold(p, 8, stride=step)[0].T for p, step in ((pixels, 7), (style, 2)))
        return torch.cdist(ours, theirs).amin(1).mean().item()

    result = painted(model, content, style)
    moved = Canvas(model, content).painted([region_of([Seen(Canvas(model, style).moments())])])
    assert far(result) < 0.85 * far(moved) and far(result) < 0.7 * far(content)


def test_freedom_leads_away_from_the_photograph(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    edges = [content.diff(dim=3), *(painted(model, content, style, freedom=f).diff(dim=3) for f in (0, 0.5, 1))]
    photo, *others = (e.abs().mean(1).flatten() for e in edges)
    likeness = [torch.corrcoef(torch.stack([photo, other]))[0, 1].item() for other in others]
    assert likeness == sorted(likeness, reverse=True) and likeness[0] > likeness[2] + 0.1


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
    whole = content[..., :144, :176]
    own = painted(model, whole, whole)  # in its own manner
    torch.testing.assert_close(painted(model, whole, style, 0), own, atol=2e-3, rtol=0)


def test_a_mask_keeps_its_style_to_itself(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    mask = torch.zeros_like(content[:, :1])
    mask[..., :90] = 1
    result = Canvas(model, content).painted([region(model, style, mask=mask)])
    assert torch.equal(result[..., 90:], content[..., 90:])
    assert (result - content)[..., :60].abs().mean() > 0.02


def test_two_masks_paint_as_one_where_they_agree(model: AnyStyle, content: Tensor, style: Tensor) -> None:
    canvas = Canvas(model, content)
    halves = [torch.zeros_like(content[:, :1]) for _ in range(2)]
    halves[0][..., :96] = 1
    halves[1][..., 96:] = 1
    wanted = Seen(Canvas(model, style).moments())  # of points others would be sought-after in each half
    parts = [region_of([wanted], mask=half) for half in halves]
    moves = [maps(part, canvas.moments()) for part in parts]
    both, whole = canvas.painted(parts, moves=moves), canvas.painted([region_of([wanted])])
    torch.testing.assert_close(both, whole, atol=2e-3, rtol=0)


def test_statistics_within_a_mask_are_those_of_the_part(model: AnyStyle, content: Tensor) -> None:
    mask = torch.zeros_like(content[:, :1])
    mask[..., :80] = 1
    inside = Canvas(model, content).moments(mask)["pixels"]
    torch.testing.assert_close(inside.mean, content[..., :80].mean((0, 2, 3)), atol=2e-3, rtol=1e-3)


def test_styles_blend(model: AnyStyle, content: Tensor, style: Tensor, other: Tensor) -> None:
    canvas = Canvas(model, content)
    results = [canvas.painted([region(model, style, other, shares=(share, 1 - share))]) for share in (1.0, 0.5, 0.0)]
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
