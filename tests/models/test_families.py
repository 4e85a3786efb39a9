"""What every family promises: it learns, goes on after an interruption, draws as told, and takes any picture."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.data.dataset import Batch, Stored
from impasto.errors import ModelError, SettingsError
from impasto.models import FAMILIES, configure, family
from impasto.training import trainer
from impasto.training.contract import KnownPixels, Model

TINY: dict[str, dict[str, Any]] = {
    "cnn": {"widths": (8, 8)},
    "gan": {"latent": 4, "width": 4, "penalty_every": 2},
    "vae": {"latent": 4, "width": 32, "conditional": True, "kl_warmup": 4},
    "pixelcnn": {"width": 8, "gates": 8, "layers": 1, "head": 16},
    "pixelrnn": {"hidden": 8, "layers": 1},
    "diffusion": {"widths": (8, 16)},
}
DRAW = [name for name in FAMILIES if name != "cnn"]
COMPLETE = ["vae", "pixelcnn", "pixelrnn", "diffusion"]
AUTOREGRESSIVE = ["pixelcnn", "pixelrnn"]
PRESETS = [(name, preset) for name in FAMILIES for preset in family(name).presets]


def tiny(name: str, **changes: Any) -> Model:
    """A new model of pictures of 8 pixels a side in two classes, always the same."""
    torch.manual_seed(0)
    kind = family(name)
    return kind(kind.config_class(**{"size": 8, "classes": 2, **TINY[name], **changes}))


def pictures(n: int = 12, channels: int = 1, size: int = 8, classes: int = 2) -> Stored:
    """Random pictures, black and white so that no family draws their pixels anew."""
    images = torch.randint(2, (n, channels, size, size), generator=seeded()) * 255
    names = tuple(f"class {label}" for label in range(classes))
    return Stored("noise", images.to(torch.uint8), torch.arange(n) % classes, names)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_batch(n: int = 4) -> Batch:
    return pictures().batch(torch.arange(n))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "gan"])  # its two losses hold each other up
def test_one_batch_is_learnt(name: str) -> None:
    model, batch = tiny(name), a_batch()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        (update,) = model.updates(batch)
        optimiser.zero_grad()
        update.loss.backward()
        optimiser.step()
        losses.append(update.loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize("name", FAMILIES)
def test_interrupted_and_resumed_gives_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SHOW_EVERY", 0)  # a record at each step
    settings = trainer.Training(steps=6, batch=5, optimiser="muon", warmup=2, precision="float32")

    def train(run: str, until: int, resume: bool = False) -> Model:
        model = tiny(name)
        progress = trainer.train(model, pictures(), None, settings, tmp_path / run, resume=resume)
        while next(progress).step < until:
            pass
        progress.close()  # type: ignore[attr-defined]
        return model

    whole = train("whole", 6)
    train("parts", 3)
    torch.rand(5)  # nothing that happens in between matters
    parts = train("parts", 6, resume=True)
    ends = [torch.load(tmp_path / run / "state.pt") for run in ("whole", "parts")]
    for state in ("model", "average"):
        torch.testing.assert_close(ends[1][state], ends[0][state], rtol=0, atol=0)
    moments = [[o["state"] for built in end["optimisers"].values() for o in built] for end in ends]
    torch.testing.assert_close(moments[1], moments[0], rtol=0, atol=0)
    for group, parameters in whole.groups().items():
        assert all(torch.equal(a, b) for a, b in zip(parameters, parts.groups()[group], strict=True))
        assert any(not torch.equal(a, b) for a, b in zip(parameters, tiny(name).groups()[group], strict=True))


@pytest.mark.parametrize("name", DRAW)
def test_samples_are_pictures_that_the_seed_repeats(name: str) -> None:
    model = tiny(name, channels=3).eval()
    first, again, other = (model.sample(3, generator=seeded(seed)) for seed in (0, 0, 1))
    assert first.shape == (3, 3, 8, 8)
    assert first.dtype == torch.float32
    assert 0 <= first.min() < first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_family_that_draws_nothing_says_so() -> None:
    with pytest.raises(ModelError, match="does not draw"):
        tiny("cnn").sample(1)


@pytest.mark.parametrize("name", DRAW)
def test_labels_that_a_model_does_not_know_are_refused(name: str) -> None:
    for label in (-1, 2):
        with pytest.raises(SettingsError, match="labels go from 0 to 1"):
            tiny(name).eval().sample(1, labels=torch.tensor([label]))
    with pytest.raises(SettingsError, match="without classes"):
        tiny(name, conditional=False).eval().sample(1, labels=torch.tensor([0]))


@pytest.mark.parametrize("name", DRAW)
def test_a_model_that_is_not_conditional_learns_from_data_with_classes(name: str) -> None:
    images, losses = a_batch().images, []
    for labels in (torch.tensor([0, 1, 1, 0]), torch.tensor([1, 1, 0, 0]), None):
        model = tiny(name, conditional=False)
        torch.manual_seed(0)
        losses.append([update.loss.item() for update in model.updates(Batch(images, labels))])
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AUTOREGRESSIVE)
def test_a_pixel_is_predicted_from_earlier_ones_alone(name: str, channels: int) -> None:
    model = tiny(name, channels=channels, levels=4, classes=0).double()
    for parameter in model.parameters():  # new ones find all levels alike, whatever they see
        torch.nn.init.normal_(parameter, std=0.5)
    picture = torch.rand(1, channels, 8, 8, dtype=torch.float64, generator=seeded()).requires_grad_()
    (gradient,) = torch.autograd.grad(model(picture)[0, -1, :, 4, 3].square().sum(), picture)
    seen = gradient[0].permute(1, 2, 0).flatten() != 0  # in the order of drawing
    drawn = (4 * 8 + 3 + 1) * channels - 1  # before the last channel of this pixel
    assert seen[:drawn].any()
    assert not seen[drawn:].any()


def half_known(n: int) -> KnownPixels:
    known = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., :4] = True
    return KnownPixels(torch.rand(n, 1, 8, 8, generator=seeded(3)), known)


@pytest.mark.parametrize("name", COMPLETE)
def test_known_pixels_stay_and_the_rest_is_drawn(name: str) -> None:
    model = tiny(name).eval()
    for given in (half_known(2), half_known(1)):  # one for each picture, or one for all
        drawn = model.sample(2, given=given, generator=seeded())
        torch.testing.assert_close(drawn[..., :4], given.images[..., :4].expand(2, -1, -1, -1), rtol=0, atol=1e-6)
        assert not torch.equal(drawn[0, :, :, 4:], drawn[1, :, :, 4:])


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in COMPLETE])
def test_a_family_that_cannot_complete_a_picture_says_so(name: str) -> None:
    with pytest.raises(ModelError):
        tiny(name).eval().sample(1, given=half_known(1))


@pytest.mark.parametrize("name", COMPLETE)
def test_known_pixels_of_another_shape_are_refused(name: str) -> None:
    images, known = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    wrong = [
        KnownPixels(images.repeat(3, 1, 1, 1), known),
        KnownPixels(images.repeat(1, 3, 1, 1), known),
        KnownPixels(images[..., :7], known),
        KnownPixels(images, known[0]),
        KnownPixels(images, known.repeat(1, 2, 1, 1)),
    ]
    for given in wrong:
        with pytest.raises(SettingsError, match=r"the given (images|known) are \(.*\), not \(2, 1, 8, 8\)$"):
            tiny(name).eval().sample(2, given=given)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_in_bfloat16_has_a_finite_loss_in_float32(name: str) -> None:
    model = tiny(name)
    with torch.autocast("cpu", torch.bfloat16):
        for update in model.updates(a_batch()):
            assert update.loss.dtype == torch.float32
            assert update.loss.isfinite()
            update.loss.backward()
            gradients = [p.grad for p in model.groups()[update.group]]
            assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_every_preset_takes_digits_and_photographs(name: str, preset: str, channels: int, size: int) -> None:
    data = pictures(2, channels, size, classes=10)
    config, training = configure(family(name), data, preset)
    assert (config.channels, config.size, config.classes) == (channels, size, 10)
    assert training.steps > 0
    torch.manual_seed(0)
    losses: list[Tensor] = [update.loss for update in family(name)(config).updates(data.batch(torch.arange(2)))]
    assert losses
    assert all(loss.shape == () and loss.isfinite() for loss in losses)
