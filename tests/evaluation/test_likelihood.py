"""Likelihood of a model whose likelihood has a closed form."""

import math

import pytest
import torch

from impasto.data.dataset import Stored
from impasto.data.levels import quantise
from impasto.errors import DataError
from impasto.evaluation import likelihood
from impasto.training.contract import Config, Model


class Coin(Model):
    """Every pixel is white with probability 1/4 (two levels), or of any level alike."""

    likelihood = "exact"

    def __init__(self, levels=2):
        super().__init__(Config(size=2))
        self.config = type("C", (), {"levels": levels})
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def log_likelihood(self, images, labels=None, generator=None):
        if self.config.levels > 2:
            return torch.full((len(images),), -4 * math.log(self.config.levels))
        white = images.flatten(1).sum(1)
        return white * math.log(1 / 4) + (4 - white) * math.log(3 / 4)


def grey(n=250):
    return Stored("grey", torch.full((n, 1, 2, 2), 128, dtype=torch.uint8))


def last(found):
    *_, result = found
    return result


def test_two_level_models_are_measured_under_both_protocols_and_others_as_the_file_is():
    assert likelihood.protocols(Coin()) == ("dynamic", "fixed")
    assert likelihood.protocols(Coin(256)) == ("levels",)


def test_a_model_without_likelihood_is_not_measured():
    assert likelihood.protocols(torch.nn.Identity()) == ()


def test_dynamic_likelihood_of_a_coin_is_its_cross_entropy_with_the_brightness():
    found = last(likelihood.measuring(Coin(), grey(4000), "dynamic"))
    p = 128 / 255
    expected = -4 * (p * math.log(1 / 4) + (1 - p) * math.log(3 / 4))
    assert found.nats == pytest.approx(expected, abs=4 * found.error)
    assert found.error == pytest.approx(math.sqrt(4 * p * (1 - p) * math.log(3) ** 2 / 4000), rel=0.05)
    assert found.bits_per_dim == pytest.approx(found.nats / math.log(2) / 4)


def test_the_fixed_draw_is_the_same_for_every_seed_and_the_dynamic_one_is_not():
    fixed = [last(likelihood.measuring(Coin(), grey(), "fixed", seed=seed)).nats for seed in (1, 2)]
    dynamic = [last(likelihood.measuring(Coin(), grey(), "dynamic", seed=seed)).nats for seed in (1, 2)]
    assert fixed[0] == fixed[1]
    assert dynamic[0] != dynamic[1]


def test_the_fixed_draw_does_not_depend_on_how_pictures_are_batched(monkeypatch):
    by_batch = []
    for size in (7, 250):
        monkeypatch.setattr(likelihood, "BATCH", size)
        by_batch.append(last(likelihood.measuring(Coin(), grey(), "fixed")).nats)
    assert by_batch[0] == pytest.approx(by_batch[1])


class Recorder(Coin):
    """Remembers the pictures that it is shown, by the bytes of each."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def log_likelihood(self, images, labels=None, generator=None):
        self.shown += [image.numpy().tobytes() for image in images]
        return super().log_likelihood(images, labels, generator)


def test_some_pictures_are_drawn_from_all_classes_and_binarised_as_among_all():
    data = Stored("some", torch.full((90, 1, 8, 8), 128, dtype=torch.uint8), torch.arange(90) // 30, tuple("abc"))
    whole, some = Recorder(), Recorder()
    for model, pictures in ((whole, None), (some, 30)):
        found = last(likelihood.measuring(model, data, "fixed", pictures=pictures))
        assert (found.pictures, found.of) == (pictures or 90, 90)
    places = torch.tensor([whole.shown.index(picture) for picture in some.shown])  # 64 random bits: no two are alike
    assert (places // 30).bincount().tolist() == [10, 10, 10]


def test_one_picture_is_too_few():
    with pytest.raises(DataError, match=r"1 pictures .* it takes 2"):
        last(likelihood.measuring(Coin(), grey(1), "fixed"))


def test_all_256_levels_alike_are_eight_bits_per_dimension():
    assert last(likelihood.measuring(Coin(256), grey(), "levels")).bits_per_dim == pytest.approx(8)


def test_progress_counts_every_picture(monkeypatch):
    monkeypatch.setattr(likelihood, "BATCH", 10)
    assert [f for f in likelihood.measuring(Coin(), grey(25), "fixed") if isinstance(f, int)] == [10, 20, 25]


def test_binarised_pictures_are_black_and_white_with_the_right_mean():
    images = torch.full((500, 1, 4, 4), 0.3)
    drawn = likelihood.binarised(images)
    assert set(drawn.unique().tolist()) == {0, 1}
    assert drawn.mean() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(drawn, quantise(images, 2, torch.Generator().manual_seed(0)).float())
