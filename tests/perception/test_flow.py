"""Optical flow against known motion, warping against shifts, ramps and Pillow, masks and cuts against made scenes."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from impasto.device import configure_cpu
from impasto.evaluation.flicker import moving_photograph
from impasto.perception.flow import consistent, dense, inside, is_cut, warp

PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea")


def photograph(name: str, width: int = 320, height: int = 180) -> Tensor:
    """A part of the photograph with the frame's shape, [1, 3, H, W]."""
    picture = Image.fromarray(getattr(skimage.data, name)())
    scale = min(picture.width / width, picture.height / height)
    small = picture.resize((width, height), Image.Resampling.BICUBIC, box=(0, 0, width * scale, height * scale))
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].contiguous() / 255


def large(name: str) -> Tensor:
    return torch.from_numpy(getattr(skimage.data, name)()).permute(2, 0, 1)[None].contiguous() / 255


def uniform(x: float, y: float, height: int, width: int) -> Tensor:
    return torch.tensor([float(x), float(y)])[None, :, None, None].expand(1, 2, height, width).contiguous()


def two_frames(
    name: str, pan: tuple[float, float], zoom: float, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Previous frame, frame now, true flow from now to previous."""
    (previous, _), (now, flow) = moving_photograph(large(name), 2, pan=pan, zoom=zoom, size=size)
    return previous, now, flow


def squares(x: int) -> Tensor:
    """A textured square at column x, over a still textured background, [1, 1, 160, 240]."""
    rng = np.random.default_rng(0)
    background, square = (cv2.GaussianBlur(rng.random((160, 240)), (0, 0), 2.0) for _ in range(2))
    scene = 0.3 + 2 * (background - 0.5)
    scene[50:110, x : x + 60] = 0.7 + 2 * (square[:60, :60] - 0.5)
    return torch.from_numpy(scene.clip(0, 1).astype(np.float32))[None, None]


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(
    ("pan", "zoom"), [((3.3, -1.2), 1.0), ((17.0, 6.0), 1.0), ((0.0, 0.0), 1.02), ((2.0, 1.0), 0.97)]
)
def test_flow_of_a_panning_or_zooming_camera_is_found_to_a_third_of_a_pixel(
    name: str, pan: tuple[float, float], zoom: float
) -> None:
    previous, now, truth = two_frames(name, pan, zoom, (480, 270))
    flow = dense(now, previous)
    assert flow.shape == (1, 2, 270, 480)
    assert flow.dtype == torch.float32
    error = (flow - truth).norm(dim=1, keepdim=True)[inside(truth) == 1]
    assert error.mean() < 0.35
    assert error.median() < 0.25


def test_flow_of_a_stereo_pair_is_its_measured_disparity() -> None:
    left, right, disparity = skimage.data.stereo_motorcycle()
    frames = [torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 for frame in (left, right)]
    flow = dense(*frames)[0].numpy()
    seen = np.isfinite(disparity) & (disparity > 0)
    error = np.hypot(flow[0] + disparity, flow[1])[seen]  # what is at x on the left is at x - disparity on the right
    assert np.median(error) < 0.7
    assert np.mean(error > 3) < 0.25  # thin parts, and what only one of the two shows


def test_flow_of_a_large_frame_is_in_its_own_pixels() -> None:
    previous, now, truth = two_frames("coffee", (8.0, 4.0), 1.0, (1200, 500))
    error = (dense(now, previous) - truth).norm(dim=1, keepdim=True)[inside(truth) == 1]
    assert error.median() < 0.5


def test_grey_frames_are_taken_and_a_still_picture_does_not_move() -> None:
    grey = photograph("chelsea").mean(1, keepdim=True)
    torch.testing.assert_close(dense(grey, grey), torch.zeros(1, 2, 180, 320), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (16, 500), (33, 21), (500, 3)])
def test_frames_of_any_size_have_a_flow_a_mask_and_a_warp(height: int, width: int) -> None:
    first, second = torch.rand(2, 1, 3, height, width)
    flow = dense(first, second)
    assert flow.shape == (1, 2, height, width)
    assert flow.isfinite().all()
    assert consistent(flow, flow).shape == (1, 1, height, width)
    assert warp(first, flow).shape == first.shape
    assert not is_cut(first, first)


def test_opencv_takes_the_threads_that_torch_has() -> None:
    cv2.setNumThreads(7)
    dense(torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40))
    assert cv2.getNumThreads() == configure_cpu() == torch.get_num_threads()


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-40, 17)])
def test_warping_by_whole_pixels_shifts_and_repeats_the_border(x: int, y: int) -> None:
    noise = torch.rand(1, 3, 90, 160)
    rows, columns = (torch.arange(90) + y).clamp(0, 89), (torch.arange(160) + x).clamp(0, 159)
    shifted = noise[:, :, rows][..., columns]
    torch.testing.assert_close(warp(noise, uniform(x, y, 90, 160)), shifted, atol=5e-5, rtol=0)


def test_a_ramp_warps_exactly_by_any_flow() -> None:
    rows, columns = torch.arange(90.0)[:, None], torch.arange(160.0)
    ramp = (0.2 + columns / 400 + rows / 200)[None, None]
    flow = torch.rand(1, 2, 90, 160) * 5 - 2.5
    truth = 0.2 + (columns + flow[:, :1]) / 400 + (rows + flow[:, 1:]) / 200
    warped = warp(ramp, flow)
    torch.testing.assert_close(warped[..., 4:-4, 4:-4], truth[..., 4:-4, 4:-4], atol=1e-6, rtol=0)


def test_warping_by_a_fraction_is_the_bicubic_filter_of_pillow() -> None:
    picture = photograph("astronaut")[:, :1]
    moved = np.asarray(
        Image.fromarray(picture[0, 0].numpy()).resize(
            (300, 160), Image.Resampling.BICUBIC, box=(5.3, 7.8, 305.3, 167.8)
        )
    )
    warped = warp(picture, uniform(5.3, 7.8, 180, 320))[0, 0, :160, :300]
    np.testing.assert_allclose(warped[2:-2, 2:-2].numpy(), moved[2:-2, 2:-2], atol=1e-5)


def test_a_frame_warped_along_the_true_flow_matches_the_next() -> None:
    previous, now, flow = two_frames("coffee", (2.4, -1.7), 1.01, (320, 180))
    seen = inside(flow).bool().expand_as(now)
    assert (warp(previous, flow) - now)[seen].square().mean() < 2e-4
    assert (warp(previous, -flow) - now)[seen].square().mean() > 1e-3


def test_thirty_warps_there_and_back_keep_edges_and_do_not_ring_or_darken() -> None:
    picture = once = photograph("coffee")
    for step in range(30):
        once = warp(once, uniform(*(0.5, 0.5) if step % 2 else (-0.5, -0.5), 180, 320))
    inner, before = once[..., 20:-20, 20:-20], picture[..., 20:-20, 20:-20]
    kept = inner.diff(dim=3).square().mean() / before.diff(dim=3).square().mean()
    assert 0.2 < kept < 1  # bilinear keeps less than a tenth; a kernel that amplifies gives more than 1
    assert inner.min() > before.min() - 0.2
    assert inner.max() < before.max() + 0.2  # 1.4 too much with the amplifying one
    assert (inner.mean() - before.mean()).abs() < 1e-4


def test_warping_has_the_gradient_of_its_picture_and_flow() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    flow = (torch.rand(1, 2, 6, 7, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(warp, (picture, flow))


def test_inside_is_where_the_flow_does_not_leave_the_picture() -> None:
    mask = inside(uniform(10, -3, 40, 60))[0, 0]
    truth = torch.zeros(40, 60)
    truth[3:, :50] = 1
    torch.testing.assert_close(mask, truth)


def test_a_uniform_motion_and_its_opposite_are_consistent_wherever_they_stay_inside() -> None:
    there, back = uniform(-5, 2, 40, 60), uniform(5, -2, 40, 60)
    torch.testing.assert_close(consistent(there, back), inside(back))
    assert consistent(there, there).sum() == 0


def test_flows_that_miss_each_other_are_inconsistent_from_the_published_distance_on() -> None:
    # |w + ŵ|² > 0.01 (|w|² + |ŵ|²) + 0.5 with ŵ = (10, 0), w = (-10 + d, 0): d² > 0.01 (100 + (10 - d)²) + 0.5.
    limit = (-0.2 + (0.2**2 + 4 * 0.99 * 2.5) ** 0.5) / (2 * 0.99)
    for distance, trusted in ((limit - 0.01, 1), (limit + 0.01, 0)):
        mask = consistent(uniform(-10 + distance, 0, 40, 60), uniform(10, 0, 40, 60))
        assert mask[0, 0, 20, 20] == trusted


def test_with_true_flows_exactly_the_uncovered_strip_and_the_boundaries_are_left_out() -> None:
    forward, backward = uniform(0, 0, 160, 240), uniform(0, 0, 160, 240)
    forward[:, 0, 50:110, 80:140] = 12  # the square of the previous frame
    backward[:, 0, 50:110, 92:152] = -12  # the square now
    truth = torch.ones(160, 240)
    truth[50:110, 80:92] = 0
    truth[49:51, 92:152] = truth[109:111, 92:152] = 0  # central differences reach one pixel to each side
    truth[50:110, 91:93] = truth[50:110, 151:153] = 0
    torch.testing.assert_close(consistent(forward, backward)[0, 0], truth)


def test_what_a_moving_square_uncovers_is_hidden_and_the_rest_is_trusted() -> None:
    previous, now = squares(80), squares(92)  # moves 12 pixels to the right
    mask = consistent(dense(previous, now), dense(now, previous))[0, 0]
    assert mask[60:100, 81:91].mean() < 0.3  # uncovered: it has no match in the previous frame
    assert mask[60:100, 102:142].mean() > 0.95  # the square's inside, which moved
    assert mask[:30].mean() > 0.95  # the background, which did not


def test_a_step_in_the_motion_is_a_boundary() -> None:
    back = uniform(0, 0, 40, 60)
    back[:, 0, :, 30:] = 0.5  # not enough to be hidden
    mask = consistent(-back, back)[0, 0]
    assert mask[:, 29:31].sum() == 0
    assert mask[:, :28].all()


@pytest.mark.parametrize("first", PHOTOGRAPHS)
@pytest.mark.parametrize("second", PHOTOGRAPHS)
def test_a_change_of_picture_is_a_cut_and_none_is_not(first: str, second: str) -> None:
    assert is_cut(photograph(first), photograph(second)) == (first != second)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(
    ("pan", "zoom"), [((15.0, 0.0), 1.0), ((-9.0, 6.0), 1.0), ((0.0, 0.0), 1.1), ((0.0, 0.0), 0.9), ((4.0, 2.0), 1.03)]
)
def test_pans_and_zooms_are_no_cuts(name: str, pan: tuple[float, float], zoom: float) -> None:
    previous, now, _ = two_frames(name, pan, zoom, (320, 180))
    assert not is_cut(previous, now)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_flashes_and_fades_are_no_cuts(name: str) -> None:
    frame = photograph(name)
    for flash in (frame * 1.5, frame + 0.3, frame * 0.6):
        assert not is_cut(frame, flash.clamp(0, 1))
        assert not is_cut(flash.clamp(0, 1), frame)
    for light in torch.linspace(1, 0, 11)[:-1].tolist():
        darker = (frame * (light - 0.1) * 255).round() / 255
        assert not is_cut(frame * light, darker)
        assert not is_cut(darker, frame * light)


@pytest.mark.parametrize(("first", "second"), [("astronaut", "coffee"), ("rocket", "chelsea")])
def test_a_cross_fade_in_eight_steps_is_no_cut(first: str, second: str) -> None:
    a, b = photograph(first), photograph(second)
    steps = [a * (1 - part) + b * part for part in torch.linspace(0, 1, 9).tolist()]
    assert not any(is_cut(*pair) for pair in pairwise(steps))


def test_noise_and_a_flicker_of_the_light_do_not_hide_a_cut() -> None:
    torch.manual_seed(0)
    a, b = photograph("astronaut"), photograph("coffee")
    noisy = [(frame + 0.08 * torch.randn(frame.shape)).clamp(0, 1) for frame in (a, a, b)]
    assert not is_cut(noisy[0], noisy[1])
    assert is_cut(noisy[1], noisy[2])
    assert is_cut(a, b * 0.5)
