"""The warping error against closed forms, and the moving photograph against what a camera does."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from impasto.evaluation.flicker import estimated, known, moving_photograph, warping_error
from impasto.perception.flow import inside, warp

COFFEE = torch.from_numpy(skimage.data.coffee()).permute(2, 0, 1)[None].contiguous() / 255
STILL = torch.zeros(1, 2, 90, 160)


def clip(n: int, pan: tuple[float, float] = (2.5, -1.0), zoom: float = 1.01) -> tuple[list[Tensor], list[Tensor]]:
    """Frames, and the flows from each but the first to the one before."""
    frames, flows = zip(*moving_photograph(COFFEE, n, pan=pan, zoom=zoom, size=(320, 180)), strict=True)
    return list(frames), list(flows[1:])


def test_a_photograph_that_moves_has_next_to_no_warping_error() -> None:
    frames, flows = clip(5)
    assert 0 < warping_error(frames, known(flows)) < 2e-4
    assert 0 < warping_error(frames, estimated(frames)) < 3e-4
    assert warping_error(frames, known([torch.zeros_like(flow) for flow in flows])) > 3e-3  # not moved to match


def test_a_still_clip_has_no_warping_error() -> None:
    frame = torch.rand(1, 3, 90, 160)
    assert warping_error([frame] * 4, known([STILL] * 3)) == pytest.approx(0, abs=1e-9)


def test_white_noise_has_twice_its_variance() -> None:
    torch.manual_seed(0)
    noise = [0.5 + 0.1 * torch.randn(1, 3, 90, 160) for _ in range(6)]
    assert warping_error(noise, known([STILL] * 5)) == pytest.approx(2 * 0.1**2, rel=0.02)


def test_noise_on_a_clip_adds_to_its_error_with_the_flow_of_the_clean_one() -> None:
    # Now has all of the noise's variance s². Of the frame before, a flow of whole pixels keeps all too: 2 s².
    torch.manual_seed(0)
    frames, _ = clip(4, pan=(3.0, 2.0), zoom=1.0)
    noisy = [frame + 0.1 * torch.randn(frame.shape) for frame in frames]
    flows = [torch.tensor([3.0, 2.0])[None, :, None, None].expand(1, 2, 180, 320)] * 3
    assert warping_error(noisy, known(flows)) == pytest.approx(
        2 * 0.1**2 + warping_error(frames, known(flows)), rel=0.03
    )


def test_pairs_count_the_same_and_masked_pixels_do_not_count() -> None:
    black, white = torch.zeros(1, 3, 90, 160), torch.ones(1, 3, 90, 160)
    half, whole = torch.zeros(1, 1, 90, 160), torch.ones(1, 1, 90, 160)
    half[..., :80] = 1
    left_white = white * half
    links = [(STILL, half), (STILL, whole), (STILL, 1 - half)]
    # black to left half white, seen there: 1; to white, everywhere: 1/2; to left half white, seen on the right: 1.
    assert warping_error([black, left_white, white, left_white], links) == pytest.approx((1 + 0.5 + 1) / 3)
    assert math.isnan(warping_error([black, white], [(STILL, 0 * whole)]))
    assert math.isnan(warping_error([black], []))


def test_links_must_be_one_fewer_than_frames() -> None:
    with pytest.raises(ValueError):
        warping_error([torch.rand(1, 3, 90, 160)] * 3, known([STILL] * 3))


def test_a_cut_links_nothing() -> None:
    frames, _ = clip(2)
    other = torch.from_numpy(skimage.data.astronaut()[:180, :320]).permute(2, 0, 1)[None].contiguous() / 255
    masks = [mask.mean().item() for _, mask in estimated([*frames, other])]
    assert masks[0] > 0.9
    assert masks[1] == 0


def test_the_error_is_taken_frame_by_frame_and_holds_no_clip() -> None:
    read: list[int] = []

    def reading() -> Iterator[Tensor]:
        for number in range(6):
            read.append(number)
            yield torch.zeros(1, 3, 90, 160)

    def links() -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(5):
            assert read[-1] == number + 1  # the pair's two frames have been read, and none beyond
            yield STILL, torch.ones(1, 1, 90, 160)

    assert warping_error(reading(), links()) == 0


@pytest.mark.parametrize(("pan", "zoom"), [((2.5, -1.0), 1.0), ((0.0, 0.0), 1.05), ((-1.0, 3.0), 0.97)])
def test_the_flow_of_the_moving_photograph_leads_to_the_same_thing(pan: tuple[float, float], zoom: float) -> None:
    # A photograph whose red is its column and green its row says in each pixel which part of it one sees.
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 400), torch.linspace(0, 1, 600), indexing="ij")
    chart = torch.stack([columns, rows, 0 * rows])[None]
    frames = list(moving_photograph(chart, 4, pan=pan, zoom=zoom, size=(160, 90)))
    for (previous, _), (now, flow) in pairwise(frames):
        seen = inside(flow)[..., 5:-5, 5:-5].bool()
        difference = (warp(previous, flow) - now).abs()[..., 5:-5, 5:-5].amax(1, keepdim=True)[seen]
        assert difference.quantile(0.98) < 1e-4  # a pixel is 6e-3 wide; at the border, half a pixel may be missing
        assert difference.max() < 3e-3
    assert (frames[0][0] - frames[1][0]).abs().max() > 1e-3


def test_the_camera_moves_as_asked_and_its_path_fills_the_photograph() -> None:
    rows, columns = torch.meshgrid(torch.arange(400.0) / 400, torch.arange(600.0) / 600, indexing="ij")
    chart = torch.stack([columns, rows, 0 * rows])[None]
    (first, _), (_, _), (last, flow) = moving_photograph(chart, 3, pan=(10.0, 0.0), zoom=1.0, size=(130, 75))
    # Three frames 130 wide and 10 apart span 150 pixels, the photograph 600: 4 of its pixels for each.
    np.testing.assert_allclose(flow[0, 0].numpy(), 10)
    np.testing.assert_allclose(flow[0, 1].numpy(), 0)
    assert (last[0, 0, 40, 60] - first[0, 0, 40, 60]).item() == pytest.approx(2 * 10 * 4 / 600, abs=1e-4)
    assert first[0, 0, 40, 10].item() == pytest.approx((10.5 * 4 - 0.5) / 600, abs=1e-4)


def test_a_photograph_much_larger_than_the_frame_is_filtered() -> None:
    rows, columns = torch.meshgrid(torch.arange(720), torch.arange(1280), indexing="ij")
    checkerboard = ((rows + columns) % 2).float().expand(1, 3, 720, 1280).contiguous()
    (frame, _), _ = moving_photograph(checkerboard, 2, pan=(1.3, 0.4), zoom=1.0, size=(160, 90))
    torch.testing.assert_close(frame[..., 2:-2, 2:-2], torch.full((1, 3, 86, 156), 0.5), atol=0.01, rtol=0)
