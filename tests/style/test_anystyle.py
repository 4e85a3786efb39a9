"""The any-style network: where it starts, what its loss is, that it learns."""

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from impasto.data.dataset import Batch
from impasto.errors import SettingsError
from impasto.media.picture import fit
from impasto.style.anystyle import STAGES, AnyStyle, AnyStyleConfig, guided, queries_for, votes_for
from impasto.style.cloud import Cloud, averages_of, collected, places


@pytest.fixture(scope="module")
def pair() -> Tensor:
    """A content and a style [1, 6, 128, 128]."""
    content, style = (
        torch.from_numpy(picture[:400, :400]).permute(2, 0, 1)[None].float() / 255
        for picture in (data.astronaut(), data.coffee())
    )
    return torch.cat([fit(content, 128), fit(style, 128)], 1)


@pytest.fixture
def model() -> AnyStyle:
    torch.manual_seed(0)
    return AnyStyle(AnyStyleConfig(size=128, widths=(8, 8, 8, 8)))


def one_step(model: AnyStyle, pair: Tensor) -> tuple[Tensor, dict[str, Tensor | float]]:
    torch.manual_seed(1)  # of the flow
    (update,) = model.updates(Batch(pair))
    return update.loss, update.metrics


def test_it_begins_with_places_of_the_painting_side_by_side(model: AnyStyle, pair: Tensor) -> None:
    one_step(model, pair)  # finds the scales of the features
    model.shown = torch.cat([pair[:, 3:], pair[:, 3:]], 1)
    (painted,) = model.sampling(1)
    torch.testing.assert_close(painted, pair[:, 3:], atol=1e-5, rtol=1e-5)  # each place finds itself
    model.shown = pair
    (painted,) = model.sampling(1)
    content, style = (model.encode(pair[:, i : i + 3]) for i in (0, 3))
    cloud = Cloud(collected(every := places(128, 128), [(every.patches[:, 0], style)]))
    votes = votes_for(cloud, queries_for(cloud, averages_of(guided(content, style).moved)))[0].flatten(1)
    known = F.unfold(pair[:, 3:], 8, stride=8)[0].T.double()
    laid = torch.zeros(3, 128, 128, dtype=torch.float64)
    for place in range(256):
        y, x = divmod(place, 16)
        # The neighbour above speaks most of all at the upper border: there its own middle is as near as ours.
        near = (1.5 - (torch.arange(8.0) / 8 - 7 / 16 + torch.tensor([[-1.0], [0], [1]])).abs()).double()  # [3, 8]
        said = [(vote, k) for k, vote in enumerate(votes[:, place].tolist()) if vote >= 0]
        shares = torch.stack([torch.outer(near[k // 3], near[k % 3]).repeat(3, 1) for _, k in said]).flatten(1)
        square = (known[[vote for vote, _ in said]] * shares).sum(0) / shares.sum(0)
        laid[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = square.view(3, 8, 8)
    # All in the painting's colours: moved by one affine map to their mean and covariance.
    guess = guided(content, style).matched["pixels"][0].double()
    torch.testing.assert_close(painted[0].double(), guess.clamp(0, 1), atol=1e-6, rtol=0)
    rows, aim = (pixels.flatten(1) for pixels in (guess, pair[0, 3:].double()))
    torch.testing.assert_close(rows.mean(1), aim.mean(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.cov(), aim.cov(), atol=1e-4, rtol=0.01)
    given = torch.cat([laid.flatten(1), torch.ones_like(rows[:1])]).T
    fitted = torch.linalg.lstsq(given, rows.T).solution
    torch.testing.assert_close(given @ fitted, rows.T, atol=1e-5, rtol=0)


def test_only_the_decoder_learns_and_is_saved(model: AnyStyle, pair: Tensor) -> None:
    before = [p.clone() for p in model.encoder.parameters()]
    loss, _ = one_step(model, pair)
    loss.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.encoder.parameters(), strict=True))
    saved = {name.split(".")[0] for name in model.state_dict()}
    assert saved == {"stages", "last", *(f"scale_{i}" for i in range(4))}


def test_the_gradient_is_that_of_the_loss(model: AnyStyle, pair: Tensor) -> None:
    loss, _ = one_step(model, pair)
    loss.backward()
    direction = model.last.bias.grad
    assert direction is not None
    step = 2e-3 * direction / direction.norm()
    values = []
    with torch.no_grad():
        for sign in (1, -1):
            model.last.bias.add_(sign * step)
            values.append(one_step(model, pair)[0])
            model.last.bias.sub_(sign * step)
    slope = (values[0] - values[1]) / (2 * step.norm())
    torch.testing.assert_close(slope, direction.norm(), rtol=0.03, atol=0)


def test_the_loss_is_the_sum_of_its_parts(model: AnyStyle, pair: Tensor) -> None:
    torch.nn.init.normal_(model.last.weight, std=0.1)
    loss, parts = one_step(model, pair)
    assert parts["outside"] > 0 and parts["flicker"] > 0
    whole = parts["style"] + parts["content"]
    whole = whole + model.config.range_weight * parts["outside"] + model.config.temporal_weight * parts["flicker"]
    torch.testing.assert_close(loss, torch.as_tensor(whole), rtol=1e-5, atol=0)


def test_it_learns_a_pair_by_heart(pair: Tensor) -> None:
    torch.manual_seed(0)
    model = AnyStyle(AnyStyleConfig(size=128, widths=(16, 16, 16, 16)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        loss, _ = one_step(model, pair)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_what_is_tied_to_the_grid_flickers(pair: Tensor, model: AnyStyle) -> None:
    one_step(model, pair)
    # The matched places move along and so do not flicker; with weights that draw the same pattern in each square of two
    # by two it does: the moved painting has the pattern moved, the painting of the moved content where it was.
    still = torch.as_tensor(one_step(model, pair)[1]["flicker"])
    with torch.no_grad():
        model.last.bias.copy_(torch.tensor([0.2, -0.2, -0.2, 0.2]).repeat(3))
    patterned = torch.as_tensor(one_step(model, pair)[1]["flicker"])
    assert still < 1e-6
    # Two independent signs of 0.2 differ by 0.08 in the mean of squares; interpolating one between pixels takes some.
    assert 0.04 < patterned - still < 0.08


def test_a_batch_is_learnt_picture_by_picture(pair: Tensor) -> None:
    model = AnyStyle(AnyStyleConfig(size=128, widths=(8, 8, 8, 8), temporal_weight=0.0))  # its loss sees the first only
    other = pair.flip(3)[:, [3, 4, 5, 0, 1, 2]]
    one_step(model, pair)
    together = one_step(model, torch.cat([pair, other]))[0].item()
    assert together == pytest.approx((one_step(model, pair)[0].item() + one_step(model, other)[0].item()) / 2, rel=1e-4)


def test_every_feature_is_given_to_the_decoder_once() -> None:
    names = [name for stage in STAGES for name in stage]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("size", [100, 130])
def test_sizes_that_cannot_be_looked_at_are_refused(size: int) -> None:
    with pytest.raises(SettingsError, match="multiple of 16"):
        AnyStyle(AnyStyleConfig(size=size))


def test_the_content_is_told_as_far_as_there_is_no_freedom(pair: Tensor, model: AnyStyle) -> None:
    torch.nn.init.normal_(model.last.weight, std=0.1)
    one_step(model, pair)  # finds the scales of the features
    seen = guided(model.encode(pair[:, :3]), model.encode(pair[:, 3:]))
    for layer, always in (("1/block1_conv1", False), ("1/block2_conv1", False), ("1/block3_conv1", True)):
        changed = seen.moved | {layer: seen.moved[layer] + 1}
        assert torch.equal(model(seen.moved, seen.matched, 1.0), model(changed, seen.matched, 1.0)) != always
        assert not torch.equal(model(seen.moved, seen.matched, 0.5), model(changed, seen.matched, 0.5))


def test_the_loss_is_that_of_fine_with_the_points_it_was_given(pair: Tensor, model: AnyStyle) -> None:
    """The first guess of a painting in its own manner has nothing wrong but what the content loses."""
    itself = torch.cat([pair[:, 3:], pair[:, 3:]], 1)
    one_step(model, itself)
    _, terms = one_step(model, itself)
    assert torch.as_tensor(terms["style"]) < 1e-4 and torch.as_tensor(terms["content"]) < 1e-4
    _, terms = one_step(model, pair)
    assert torch.as_tensor(terms["style"]) > 0.1
