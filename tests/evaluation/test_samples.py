"""Sample quality against closed forms and distributions whose figures are known."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from impasto.evaluation import samples


class Corner(nn.Module):
    """A classifier whose features are the first pixels, and whose class is the brightest of them."""

    config = SimpleNamespace(classes=3)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def features(self, images):
        return self.weight * images.flatten(1)[:, :3]

    def classify(self, images):
        return self.features(images)


def normal(n, seed=0, size=4):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_of_two_gaussians_is_the_closed_form():
    scales = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = samples.frechet(normal(200_000), 5 + scales * normal(200_000, seed=1))
    assert found == pytest.approx(4 * 25 + (scales - 1).square().sum().item(), rel=0.01)


def test_frechet_distance_to_itself_is_nothing():
    assert samples.frechet(normal(500), normal(500)) == pytest.approx(0, abs=1e-6)


def test_samples_of_the_same_distribution_have_high_precision_and_recall():
    precision, recall = samples.precision_recall(normal(1000), normal(1000, seed=1))
    assert precision > 0.7 and recall > 0.7


def test_samples_of_one_corner_are_precise_but_recall_little():
    real = normal(1000)
    precision, recall = samples.precision_recall(real, 0.05 * normal(1000, seed=1))
    assert precision > 0.99 and recall < 0.1


def test_samples_far_away_are_neither():
    assert samples.precision_recall(normal(300), 100 + normal(300, seed=1)) == (0, 0)


def test_precision_and_recall_follow_the_definition_point_by_point():
    real, fake, k = normal(40), normal(30, seed=1), 3
    expected = 0
    for point in fake:
        for centre in real:
            radius = sorted((other - centre).norm().item() for other in real)[k]  # the 0th is the centre itself
            if (point - centre).norm().item() <= radius:
                expected += 1
                break
    assert samples.precision_recall(real, fake, k)[0] == pytest.approx(expected / len(fake))


def test_spread_of_normal_points_is_that_of_their_differences():
    # |x - y| of two 3-dimensional standard normal points: sqrt(2) times a chi variable with 3 degrees of freedom
    chi = math.sqrt(2) * math.gamma(2) / math.gamma(1.5)
    assert samples.spread(normal(100_000, size=3)) == pytest.approx(math.sqrt(2) * chi, rel=0.01)


def test_quality_of_the_real_pictures_themselves_is_perfect():
    real = torch.rand(400, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    brightest = real.flatten(1)[:, :3].argmax(1)
    quality = samples.compare(Corner(), real, real, brightest)
    assert quality.frechet == pytest.approx(0, abs=1e-6)
    assert (quality.precision, quality.recall, quality.diversity, quality.accuracy) == (1, 1, 1, 1)
    assert quality.shares == pytest.approx((brightest.bincount() / 400).tolist())


def test_half_the_labels_wrong_is_half_the_accuracy():
    real = torch.rand(400, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = real.flatten(1)[:, :3].argmax(1)
    labels[::2] = (labels[::2] + 1) % 3
    assert samples.compare(Corner(), real, real, labels).accuracy == 0.5
    assert samples.compare(Corner(), real, real).accuracy is None
