"""All that is said of a model, of one that draws real pictures and of data that lie in the order of their classes."""

import pytest
import torch
from torch import nn

from impasto.data.dataset import Stored
from impasto.errors import DataError
from impasto.evaluation.evaluate import evaluating
from impasto.training.contract import Config, Model


class Judge(nn.Module):
    """Its features are the first four pixels; its class is the brighter half of the first two."""

    config = Config(classes=2)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def features(self, images):
        return self.weight * images.flatten(1)[:, :4] * 10

    def classify(self, images):
        return self.features(images)[:, :2]


def in_order(n, seed):
    """Pictures of two classes, `n` of each, dark ones first and bright ones behind."""
    random = torch.Generator().manual_seed(seed)
    values = torch.cat([torch.randint(low, low + 60, (n, 1, 2, 2), generator=random) for low in (0, 190)])
    return Stored("in order", values.byte(), torch.arange(2).repeat_interleave(n), ("dark", "bright"))


class Perfect(Model):
    """Draws real pictures, those of `data`, at random."""

    def __init__(self, data):
        super().__init__(Config(size=2, classes=0))
        self.data = data

    def sampling(self, n, *, labels=None, given=None, generator=None):
        yield self.data.batch(torch.randperm(len(self.data), generator=generator)[:n]).images


def figures(n, test, train, seed=0):
    *_, found = evaluating(Perfect(in_order(1000, 2)), test, classifier=Judge(), train=train, n=n, seed=seed)
    return found.figures["samples"]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_perfect_model_reaches_the_floor_on_few_of_the_pictures_of_an_ordered_set(seed):
    found = figures(200, in_order(1000, 0), in_order(1000, 1), seed)
    far = 4 * (10 * 190 / 255 / 2) ** 2  # between all pictures and those of one class: the means alone, squared
    assert found["frechet"] < far / 50 and found["floor"] < far / 50
    assert found["precision"] > 0.9 and found["recall"] > 0.9
    assert found["diversity"] == pytest.approx(1, abs=0.15)
    assert (found["n"], found["real"], found["of"]) == (200, 200, 2000)


def test_diversity_of_a_whole_ordered_set_is_that_of_a_shuffled_one():
    assert figures(2000, in_order(1000, 0), in_order(1000, 1))["diversity"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("few", ["test", "train"])
def test_fewer_pictures_than_a_neighbourhood_are_refused_before_the_work(few):
    sets = {"test": in_order(50, 0), "train": in_order(50, 1)} | {few: in_order(1, 3)}
    with pytest.raises(DataError, match="2 pictures where samples are compared; 4 are needed"):
        next(evaluating(Perfect(in_order(9, 2)), sets["test"], classifier=Judge(), train=sets["train"]))
