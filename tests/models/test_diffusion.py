"""Diffusion against the papers' formulas, models whose answer is known, and diffusers itself."""

import functools
import itertools
import math
from dataclasses import replace

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, FlowMatchEulerDiscreteScheduler, UNet2DModel
from torch import Tensor, nn

from impasto.data.dataset import Batch
from impasto.data.levels import brightness
from impasto.errors import ModelError, SettingsError
from impasto.models.diffusion import LEVELS, SAMPLERS, SCHEDULES, Diffusion, DiffusionConfig, log_gaussian
from impasto.training.contract import KnownPixels

TINY = DiffusionConfig(size=8, patch=1, widths=(8, 16), layers=1)
OBJECTIVES = list(SAMPLERS)
LEVELLED = [("flow", "cosine"), *itertools.product(("v", "epsilon"), SCHEDULES)]  # every way to mix in noise
EVERY_SAMPLER = [(objective, sampler) for objective in OBJECTIVES for sampler in SAMPLERS[objective]]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(seed: int = 0, **changes: object) -> Diffusion:
    """An untrained model whose last layer is not silent."""
    torch.manual_seed(seed)
    model = Diffusion(replace(TINY, **changes)).eval()  # type: ignore[arg-type]
    nn.init.normal_(model.unet.conv_out.weight, std=0.1)
    return model


def stripes(n: int, generator: torch.Generator | None = None, shifted: float = 0.1) -> tuple[Tensor, Tensor]:
    """Pictures [n, 1, 8, 8] with lying (class 0) or standing (class 1) stripes, and their classes.

    The share `shifted` of them has black and white exchanged.
    """
    labels = torch.randint(2, (n,), generator=generator)
    phase = (torch.rand(n, generator=generator) < shifted).view(-1, 1, 1, 1)
    row, column = torch.arange(8).view(1, 1, 8, 1), torch.arange(8).view(1, 1, 1, 8)
    line = torch.where(labels.view(-1, 1, 1, 1) == 0, row, column)
    return ((line + phase) % 2).float().expand(n, 1, 8, 8).contiguous(), labels


@functools.cache
def trained(objective: str) -> Diffusion:
    """A tiny model that learned stripes."""
    torch.manual_seed(0)
    model = Diffusion(replace(TINY, objective=objective, classes=2, widths=(16,)))
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), fused=True)
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 100)
        loss = next(model.updates(Batch(*stripes(32)))).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


MEAN, DEVIATION = 0.2, 0.3


class Gaussian(Diffusion):
    """Knows the data, pixels from N(MEAN, DEVIATION^2), so its estimate is the best there is; and is asked when."""

    def predict(self, x: Tensor, times: Tensor, labels: Tensor | None = None, guidance: float = 1.0) -> Tensor:
        self.asked = [*getattr(self, "asked", []), times[0].item()]
        alpha, sigma = (rate.double() for rate in self.rates(times))
        pull = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
        x0 = MEAN + pull * (x - alpha * MEAN)  # E[x0 | x]
        return self.target(x0, (x - alpha * x0) / sigma, alpha, sigma).float()


def gaussian(objective: str, schedule: str = "cosine") -> Gaussian:
    return Gaussian(replace(TINY, objective=objective, schedule=schedule, size=16, widths=(8,)))


class Known(Diffusion):
    """Knows the data, pixels that are black or white by the toss of a coin, so its estimate is the best there is."""

    def predict(self, x: Tensor, times: Tensor, labels: Tensor | None = None, guidance: float = 1.0) -> Tensor:
        alpha, sigma = self.rates(times)
        x0 = torch.tanh(alpha * x / sigma**2)  # E[x0 | x] for x0 = -1 or 1 with probability 1/2
        return self.target(x0, (x - alpha * x0) / sigma, alpha, sigma)


# Levels of noise


def test_cosine_levels_follow_nichol_and_dhariwal() -> None:
    model = tiny(objective="v", schedule="cosine")
    f = lambda t: math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2  # noqa: E731
    expected = [f(t + 1) / f(0) for t in range(990)]  # later ones have their beta cut at 0.999
    alpha, sigma = model.rates(torch.arange(990))
    assert torch.allclose(alpha.flatten() ** 2, torch.tensor(expected), atol=1e-5)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones(()), atol=1e-6)


def test_linear_levels_follow_ho() -> None:
    kept, expected = 1.0, []
    for t in range(1000):
        kept *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999)
        expected.append(kept)
    alpha, _ = tiny(objective="epsilon", schedule="linear").rates(torch.arange(1000))
    assert torch.allclose(alpha.flatten() ** 2, torch.tensor(expected), rtol=1e-3, atol=1e-7)


def test_a_flow_goes_straight_from_picture_to_noise() -> None:
    alpha, sigma = tiny().rates(torch.tensor([0.0, 250.0, 1000.0]))
    assert alpha.flatten().tolist() == [1, 0.75, 0]
    assert sigma.flatten().tolist() == [0, 0.25, 1]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_noise_and_targets_are_those_of_diffusers(objective: str) -> None:
    model = tiny(objective=objective)
    x0, noise, times = torch.rand(4, 1, 8, 8) * 2 - 1, torch.randn(4, 1, 8, 8), torch.tensor([0, 100, 600, 990])
    if objective == "flow":
        flow = FlowMatchEulerDiscreteScheduler()
        times = flow.timesteps[[990, 700, 400, 0]]
        noisy, velocity = flow.scale_noise(x0, times, noise), noise - x0
    else:
        scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
        noisy = scheduler.add_noise(x0, noise, times)
        velocity = scheduler.get_velocity(x0, noise, times) if objective == "v" else noise
    alpha, sigma = model.rates(times)
    assert torch.allclose(alpha * x0 + sigma * noise, noisy, atol=1e-5)
    assert torch.allclose(model.target(x0, noise, alpha, sigma), velocity, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_right_prediction_gives_the_picture_back(objective: str) -> None:
    model = tiny(objective=objective)
    times = torch.tensor([1, 300, 800])
    x0, noise = torch.rand(3, 1, 8, 8, generator=seeded()) * 2 - 1, torch.randn(3, 1, 8, 8, generator=seeded(1))
    alpha, sigma = model.rates(times)
    found = model.clean(alpha * x0 + sigma * noise, model.target(x0, noise, alpha, sigma), alpha, sigma)
    assert torch.allclose(found, x0, atol=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_noising_goes_from_the_picture_to_noise(objective: str) -> None:
    images = torch.full((400, 1, 8, 8), 0.5)
    strip = tiny(objective=objective).noising(images, levels=5, generator=seeded())
    assert strip.shape == (5, 400, 1, 8, 8)
    spreads = strip.flatten(1).std(1)
    assert spreads[0] < 0.01
    assert (spreads.diff() > 0).all()
    # Noise of half the width of [-1, 1], cut at 0 and 1: E[min(z^2, 1)] / 4 for a standard normal z.
    tail = math.erfc(1 / math.sqrt(2))
    inside = 1 - tail - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert spreads[-1].item() == pytest.approx(math.sqrt((inside + tail) / 4), rel=0.02)


# Learning


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_trained_model_beats_the_mean_at_every_level_of_noise(objective: str) -> None:
    model = trained(objective)
    images, labels = stripes(64, seeded(1))
    x0, noise = images * 2 - 1, torch.randn(64, 1, 8, 8, generator=seeded(2))
    for level in range(25, LEVELS, 50):
        times = torch.full((64,), level)
        alpha, sigma = model.rates(times)
        target = model.target(x0, noise, alpha, sigma)
        with torch.no_grad():
            error = (model.predict(alpha * x0 + sigma * noise, times, labels) - target).square().mean()
        assert error < 0.8 * target.var(), level


def test_untrained_the_loss_is_the_mean_square_of_the_target() -> None:
    images = torch.randint(2, (512, 1, 8, 8), generator=seeded()).float()
    expected = {"flow": 2, "v": 1, "epsilon": 1}
    for objective in OBJECTIVES:
        loss = next(Diffusion(replace(TINY, objective=objective)).updates(Batch(images))).loss
        assert loss.item() == pytest.approx(expected[objective], rel=0.03)


def test_a_model_with_classes_sees_them() -> None:
    model = tiny(classes=2)
    x, times = torch.randn(2, 1, 8, 8), torch.full((2,), 500.0)
    zero, one = (model.predict(x, times, torch.full((2,), label)) for label in (0, 1))
    assert not torch.allclose(zero, one, atol=1e-4)


def test_guidance_moves_along_the_line_from_no_class_to_the_class() -> None:
    model = tiny(classes=2)
    x, times, labels = torch.randn(2, 1, 8, 8), torch.full((2,), 500.0), torch.tensor([0, 1])
    without, with_class = model.predict(x, times), model.predict(x, times, labels)
    assert torch.allclose(model.predict(x, times, labels, guidance=0), without, atol=1e-5)
    assert torch.allclose(model.predict(x, times, labels, guidance=3), without + 3 * (with_class - without), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_hidden_labels_train_the_null_class(share: float) -> None:
    model = tiny(classes=2, label_dropout=share)
    next(model.updates(Batch(*stripes(16)))).loss.backward()
    seen = model.unet.class_embedding.weight.grad.abs().sum(1) > 0
    assert seen.tolist() == [share == 0, share == 0, share == 1]


# Sampling


def test_samples_are_the_data_and_of_the_class_asked_for() -> None:
    drawn = list(trained("flow").sampling(16, labels=torch.tensor([0, 1]), generator=seeded()))
    assert all(x.shape == (16, 1, 8, 8) and x.min() >= 0 and x.max() <= 1 for x in drawn)
    pictures = drawn[-1].round()
    assert (drawn[-1] - pictures).abs().mean() < 0.1  # black and white
    lying = (pictures == pictures[..., :1]).float().mean((1, 2, 3))
    standing = (pictures == pictures[..., :1, :]).float().mean((1, 2, 3))
    assert ((lying > standing) == (torch.arange(16) % 2 == 0)).float().mean() >= 0.9


@pytest.mark.parametrize(("objective", "sampler"), EVERY_SAMPLER)
def test_every_sampler_finds_the_distribution_that_the_network_knows(objective: str, sampler: str) -> None:
    model = Known(replace(TINY, objective=objective))
    pictures = model.sample(64, sampler=sampler, steps=50, generator=seeded())
    white = pictures > 0.5
    assert ((pictures - white.float()).abs() < 0.02).float().mean() > 0.97
    assert white.float().mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("objective", "schedule"), LEVELLED)
def test_the_network_is_asked_once_a_step_from_the_last_level_down(objective: str, schedule: str) -> None:
    model = tiny(objective=objective, schedule=schedule)
    for steps in range(1, LEVELS):
        times = model.times(steps)
        assert len(times) == steps
        assert times[0] == (LEVELS if objective == "flow" else LEVELS - 1)
        assert (times.diff() < 0).all()
        assert times[-1] > 0 if objective == "flow" else times[-1] >= 0
        if steps > 1:  # evenly, but for the rounding
            assert times.diff().max() - times.diff().min() <= 1.001


@pytest.mark.parametrize(("objective", "schedule"), LEVELLED)
def test_every_sampler_tends_to_the_truth_with_more_steps(objective: str, schedule: str) -> None:
    # Many counts divide LEVELS badly: the old samplers of diffusers were asked at -1, or stepped to other levels.
    model = gaussian(objective, schedule)
    ways = [(sampler, {}) for sampler in SAMPLERS[objective]]
    ways += [("ddim", {"eta": eta}) for eta in (0.5, 1.0) if "ddim" in SAMPLERS[objective]]
    for sampler, options in ways:
        errors = []
        for steps in (2, 10, 33, 61, 222, 333):
            model.asked = []
            x = model.sample(32, generator=seeded(), steps=steps, sampler=sampler, **options) * 2 - 1
            assert len(set(model.asked)) == len(model.asked) == steps
            # Last levels that still hold a little of the picture ("scaled_linear": alpha = 0.07) cost a little.
            assert x.mean().item() == pytest.approx(MEAN, abs=0.015)
            errors.append(abs(x.std().item() - DEVIATION))
        found = [f"{sampler} {options}", *errors]
        assert errors[0] > errors[1] > errors[2], found
        assert max(errors[2:]) < 0.07, found
        assert max(errors[4:]) < 0.025, found


@pytest.mark.parametrize(("objective", "sampler"), EVERY_SAMPLER)
def test_the_last_count_of_steps_finds_the_truth(objective: str, sampler: str) -> None:
    x = gaussian(objective).sample(8, generator=seeded(), steps=LEVELS - 1, sampler=sampler) * 2 - 1
    assert x.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert x.std().item() == pytest.approx(DEVIATION, abs=0.012)


def test_ddim_takes_the_mean_and_the_deviation_where_its_formula_says() -> None:
    # Every step is linear in x, so the deviation has a closed form: a product over the steps really made.
    model = gaussian("v")
    for steps in (7, 61, 222):
        deviation = 1.0
        rates = [tuple(rate.item() for rate in model.rates(time.view(1))) for time in model.times(steps)]
        for (alpha, sigma), (next_alpha, next_sigma) in itertools.pairwise([*rates, (1.0, 0.0)]):
            pull = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
            deviation *= next_alpha * pull + next_sigma * (1 - alpha * pull) / sigma
        noise = model.latents(64, seeded())
        x = model.sample(64, generator=seeded(), steps=steps, sampler="ddim") * 2 - 1
        assert x.std().item() == pytest.approx(deviation * noise.std().item(), rel=5e-3)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("steps", [20, 61, 225])
def test_pixels_beside_known_ones_have_their_own_distribution(objective: str, steps: int) -> None:
    known = torch.arange(16).expand(1, 1, 16, 16) < 8
    images = (MEAN + DEVIATION * torch.randn(64, 1, 16, 16, generator=seeded(9)) + 1) / 2
    x = gaussian(objective).sample(64, given=KnownPixels(images, known), steps=steps, generator=seeded()) * 2 - 1
    assert x[..., 8:].mean().item() == pytest.approx(MEAN, abs=0.01)
    assert x[..., 8:].std().item() == pytest.approx(DEVIATION, abs=0.08 if steps == 20 else 0.02)
    assert torch.allclose(x[..., :8], images[..., :8] * 2 - 1, atol=1e-6)


class Halves(Diffusion):
    """Knows pictures that are one grey all over, -0.5 or 0.5 with probability 1/4 and 3/4."""

    def predict(self, x: Tensor, times: Tensor, labels: Tensor | None = None, guidance: float = 1.0) -> Tensor:
        alpha, sigma = (rate.double() for rate in self.rates(times))
        brighter = (alpha * x / sigma**2).sum((1, 2, 3), keepdim=True) + math.log(3)
        x0 = (brighter.sigmoid() - 0.5).expand_as(x)
        return self.target(x0, (x - alpha * x0) / sigma, alpha, sigma).float()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_picture_is_completed_as_the_known_part_says(objective: str) -> None:
    model = Halves(replace(TINY, objective=objective, widths=(8,)))
    alone = model.sample(400, steps=33, generator=seeded()).mean((1, 2, 3))
    assert torch.allclose((alone - 0.5).abs(), torch.full((400,), 0.25), atol=0.02)
    assert (alone > 0.5).float().mean().item() == pytest.approx(0.75, abs=0.08)
    known = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., :4, :] = True
    images = torch.where(torch.arange(400) % 2 == 0, 0.25, 0.75).view(-1, 1, 1, 1).expand(400, 1, 8, 8)
    by_default, without_noise = (
        ((model.sample(400, given=KnownPixels(images, known), generator=seeded(), **way) - images).abs() > 0.05)
        .flatten(1).any(1).float().mean()
        for way in ({"steps": 33}, {"steps": 33, "sampler": "dpm++"})
    )  # fmt: skip
    assert by_default < 0.05  # of 400 pictures; replacing the known part is no exact conditioning
    assert without_noise > 2 * by_default  # why the default is another one


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_few_steps_and_much_noise_stay_finite(objective: str, schedule: str) -> None:
    model = tiny(objective=objective, schedule=schedule, classes=2)
    for steps, sampler in itertools.product((1, 2, 5), SAMPLERS[objective]):
        eta = {"eta": 1.0} if sampler == "ddim" else {}
        x = model.sample(2, steps=steps, sampler=sampler, guidance=3.0, generator=seeded(), **eta)
        assert x.isfinite().all()


@pytest.mark.parametrize(("objective", "sampler"), EVERY_SAMPLER)
def test_sampling_yields_once_a_step_and_repeats_with_its_seed(objective: str, sampler: str) -> None:
    model = tiny(objective=objective)
    for steps in (1, 2, 7):
        first = list(model.sampling(2, steps=steps, sampler=sampler, generator=seeded()))
        assert len(first) == steps
        assert torch.equal(first[-1], model.sample(2, steps=steps, sampler=sampler, generator=seeded()))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_network_that_answers_with_nan_draws_no_picture(objective: str) -> None:
    model = tiny(objective=objective)
    nn.init.constant_(model.unet.conv_out.bias, math.nan)
    for draw in (lambda: model.sample(1), lambda: model.decode(model.latents(1))):
        with pytest.raises(ModelError, match="NaN"):
            draw()


def test_decoding_is_sampling_from_chosen_noise() -> None:
    model = tiny(classes=2)
    labels = torch.tensor([0, 1, 0])
    latents = model.latents(3, seeded())
    assert torch.equal(model.decode(latents, labels), model.sample(3, labels=labels, generator=seeded()))
    assert torch.equal(model.decode(latents), model.decode(latents))


def test_guidance_is_that_of_the_settings_unless_another_is_asked_for() -> None:
    plain, guided = tiny(classes=2), tiny(classes=2, guidance=3.0)
    guided.load_state_dict(plain.state_dict())
    labels = torch.tensor([0, 1])

    def drawn(model: Diffusion, **options: float) -> Tensor:
        return model.sample(2, labels=labels, generator=seeded(), steps=2, **options)

    assert torch.equal(drawn(guided), drawn(plain, guidance=3.0))
    assert torch.equal(drawn(guided, guidance=1.0), drawn(plain))
    assert not torch.equal(drawn(guided), drawn(plain))
    latents = plain.latents(2, seeded())
    *_, wanted = plain._walk(latents, labels, "dpm++", steps=20, guidance=3.0)
    assert torch.equal(guided.decode(latents, labels), wanted)


def test_ddim_with_noise_differs_from_ddim_without() -> None:
    model = tiny(objective="v")
    plain, noisy = (model.sample(2, sampler="ddim", eta=eta, generator=seeded()) for eta in (0.0, 1.0))
    assert not torch.allclose(plain, noisy, atol=1e-3)


@pytest.mark.parametrize(("objective", "sampler"), EVERY_SAMPLER)
def test_known_pixels_stay(objective: str, sampler: str) -> None:
    images = torch.rand(3, 1, 8, 8, generator=seeded())
    known = torch.rand(3, 1, 8, 8, generator=seeded(1)) < 0.5
    found = tiny(objective=objective).sample(3, given=KnownPixels(images, known), sampler=sampler, steps=4)
    assert torch.allclose(found[known], images[known], atol=1e-6)
    assert not torch.allclose(found[~known], images[~known], atol=0.1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_without_labels_a_picture_is_completed_in_the_class_that_its_known_pixels_show(objective: str) -> None:
    images, labels = stripes(64, seeded(3), shifted=0.0)
    known = torch.arange(8).view(1, 1, 8, 1).expand(1, 1, 8, 8) < 4
    found = trained(objective).sample(64, given=KnownPixels(images, known), generator=seeded())
    rows_alike = (found[:, :, 4:].round() == found[:, :, 4:5].round()).float().mean((1, 2, 3)) > 0.9
    assert (rows_alike == (labels == 1)).float().mean() > 0.9  # of random classes, half would be


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_unknown_pixels_fit_the_known_ones(objective: str) -> None:
    images, labels = stripes(16, seeded(3), shifted=1.0)  # the rarer kind, to be seen from the known pixels alone
    known = torch.arange(8).view(1, 1, 1, 8).expand(1, 1, 8, 8) < 4
    model = trained(objective)
    found = model.sample(16, labels=labels, given=KnownPixels(images, known), generator=seeded())
    alone = model.sample(16, labels=labels, generator=seeded())
    fits, by_chance = ((x.round() == images)[..., 4:].float().mean() for x in (found, alone))
    assert fits > by_chance + 0.3


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"objective": "v"}, {"sampler": "euler"}, "sampler"),
        ({}, {"sampler": "ddim"}, "sampler"),
        ({}, {"eta": 0.5}, "eta"),
        ({}, {"steps": 0}, "steps"),
        ({}, {"guidance": 2.0}, "without classes"),
        ({"objective": "v"}, {"steps": 1000}, "steps"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    changes: dict[str, object], options: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        tiny(**changes).sample(1, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 28, "widths": (8,) * 4}, "8 equal parts"),
        ({"widths": ()}, "widths"),
        ({"attention": (2,)}, "positions 0 to 1"),
        ({"patch": 3}, "6 equal parts"),
        ({"guidance": 2.0}, "guidance"),
    ],
)
def test_settings_that_cannot_work_together_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Diffusion(replace(TINY, **changes))  # type: ignore[arg-type]


def test_patches_keep_every_pixel_in_its_place() -> None:
    model = tiny(patch=2)
    model.unet.forward = lambda x, *_: type("Out", (), {"sample": x})  # type: ignore[method-assign]
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(model.predict(x, torch.zeros(2)), x)


# The bound


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_bound_of_the_best_model_is_the_entropy_of_the_data(objective: str) -> None:
    # Coin tosses have an entropy of log 2 a pixel. The decoder, a Gaussian that may reach past the first bin's edge,
    # costs a little more, and by how much is known.
    model = Known(replace(TINY, objective=objective))
    images = torch.randint(2, (64, 1, 8, 8), generator=seeded()).float()
    alpha, sigma = (rate.item() for rate in model.rates(torch.zeros(1, dtype=torch.long)))
    scale = sigma / alpha if objective != "flow" else 0.004 / 0.996
    decoder = math.log(0.5 * math.erfc(-1 / 255 / scale / math.sqrt(2)))
    found = model.log_likelihood(images, generator=seeded(), terms=32).mean().item() / 64
    assert found - decoder == pytest.approx(-math.log(2), rel=0.02)


def test_more_terms_make_the_bound_less_noisy_and_no_different() -> None:
    model = Known(replace(TINY, objective="v"))
    images = torch.randint(2, (256, 1, 8, 8), generator=seeded()).float()
    few, many = (model.log_likelihood(images, generator=seeded(1), terms=terms) for terms in (1, 16))
    assert many.std() < few.std() / 4  # as fast as by independent draws, or faster
    assert (few.mean() - many.mean()).abs() < 4 * few.std() / math.sqrt(256)


@pytest.mark.parametrize("objective", ["v", "epsilon"])
def test_the_bound_is_the_sum_of_the_papers_divergences(objective: str) -> None:
    # Ho et al. (2020), eq. 5 to 7, written out with betas for every level and averaged over noise.
    model = Known(replace(TINY, objective=objective, schedule="linear", size=2, widths=(8,)))
    images = torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2)
    x0 = images * 2 - 1
    betas = torch.linspace(1e-4, 0.02, LEVELS)
    kept = (1 - betas).cumprod(0)
    generator = seeded()
    total = 0.5 * (kept[-1] * x0**2 - kept[-1] - (1 - kept[-1]).log()).sum()
    for t in range(1, LEVELS):
        x = kept[t].sqrt() * x0 + (1 - kept[t]).sqrt() * torch.randn(200, 1, 2, 2, generator=generator)
        estimate = torch.tanh(kept[t].sqrt() * x / (1 - kept[t]))
        variance = (1 - kept[t - 1]) / (1 - kept[t]) * betas[t]
        gap = kept[t - 1].sqrt() * betas[t] / (1 - kept[t]) * (x0 - estimate)  # of the two posteriors' means
        total = total + (gap**2 / (2 * variance)).sum((1, 2, 3)).mean()
    scale = ((1 - kept[0]) / kept[0]).sqrt().item()
    expected = log_gaussian(x0, x0, scale).item() - total.item()
    found = model.log_likelihood(images.expand(1000, 1, 2, 2), generator=seeded(), terms=16).mean().item()
    assert found == pytest.approx(expected, rel=0.02)


def test_the_decoders_probabilities_add_up_to_one() -> None:
    values = brightness(torch.arange(256), 256).view(256, 1, 1, 1) * 2 - 1
    for mean, scale in [(0.0, 0.01), (-0.99, 0.003), (0.7, 0.5), (1.0, 0.05)]:
        means = torch.full_like(values, mean)
        assert log_gaussian(values, means, scale).exp().sum().item() == pytest.approx(1, abs=1e-5)


# diffusers


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_folder_opens_in_diffusers_and_draws_the_same(objective: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = tiny(objective=objective)
    model.extra_files(tmp_path)
    pipeline = DDPMPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(batch_size=2, num_inference_steps=5, generator=seeded(), output_type="np").images
    if objective == "flow":  # theirs steps to other levels than ours and does not clip: Euler's rule written out
        x, sigmas = model.latents(2, seeded()), [*torch.linspace(1, 0.001, 5).tolist(), 0.0]
        for sigma, following in itertools.pairwise(sigmas):
            with torch.no_grad():
                x = x + (following - sigma) * model.predict(x, torch.full((2,), sigma * LEVELS))
        ours = (x / 2 + 0.5).clamp(0, 1)
    else:
        ours = model.sample(2, sampler="ddpm", steps=5, generator=seeded())
    assert torch.allclose(torch.from_numpy(theirs).movedim(-1, 1), ours, atol=2e-3)


def test_a_conditional_network_opens_in_diffusers_and_predicts_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = tiny(classes=3, patch=2)
    model.extra_files(tmp_path)
    unet = UNet2DModel.from_pretrained(tmp_path, subfolder="unet").eval()
    x, times, labels = torch.randn(2, 1, 8, 8), torch.tensor([100.0, 900.0]), torch.tensor([2, 0])
    theirs = nn.functional.pixel_shuffle(unet(nn.functional.pixel_unshuffle(x, 2), times, labels).sample, 2)
    assert torch.allclose(theirs, model.predict(x, times, labels), atol=1e-5)
    assert FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path, subfolder="scheduler").config.shift == 1
