"""The map of the latent plane, the scatter on it, and the way between two latents."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from impasto.data.dataset import Stored
from impasto.errors import ModelError, SettingsError
from impasto.models import latent


class Painter(nn.Module):
    """A picture is its latents as pixels, and the class is one pixel more; an encoder reads the pixels back."""

    def __init__(self, dimensions=2, classes=0):
        super().__init__()
        self.dimensions, self.classes = dimensions, classes

    def latents(self, n, generator=None):
        return torch.randn(n, self.dimensions, generator=generator)

    def decode(self, latents, labels=None):
        shown = torch.zeros(len(latents)) if labels is None else labels.float()
        return torch.cat([latents, shown[:, None]], 1)[:, None, None, :]

    def classes_for(self, n, labels, generator=None):
        if labels is None:
            return torch.randint(self.classes, (n,), generator=generator) if self.classes else None
        return labels.repeat(n)[:n]

    def encode(self, images, labels=None):
        return images[:, 0, 0, :2]


def test_columns_and_rows_of_the_map_are_the_inverse_cdf_of_equal_shares():
    points = latent.map_latents(30).view(30, 30, 2)
    expected = scipy.stats.norm.ppf((np.arange(30) + 0.5) / 30)
    for row in points:
        np.testing.assert_allclose(row[:, 0], expected, rtol=1e-5, atol=1e-6)
    for column in points.transpose(0, 1):
        np.testing.assert_allclose(column[:, 1], expected[::-1], rtol=1e-5, atol=1e-6)


def test_a_place_of_the_plane_has_the_latents_that_the_map_has_there():
    side, row, column = 10, 2, 7  # row 2 from above
    place = latent.latents_at((column + 0.5) / side, 1 - (row + 0.5) / side)
    assert torch.allclose(place, latent.map_latents(side)[row * side + column])


def test_the_map_shows_each_point_in_its_place():
    pictures = latent.latent_map(Painter(), side=5)
    assert torch.equal(pictures[:, 0, 0, :2], latent.map_latents(5))
    assert len(latent.latent_map(Painter())) == 30 * 30


def test_the_map_of_a_conditional_model_is_of_the_class_asked_for():
    pictures = latent.latent_map(Painter(classes=10), side=3, labels=torch.tensor([7]))
    assert (pictures[..., 2] == 7).all()
    with pytest.raises(SettingsError, match="one class"):
        latent.latent_map(Painter(classes=10))


def test_only_two_latents_make_a_map():
    with pytest.raises(ModelError, match="5 latents; train a VAE with --preset map"):
        latent.latent_map(Painter(5))


def test_a_model_without_latents_is_named():
    with pytest.raises(ModelError, match="Linear has no latents"):
        latent.latent_map(nn.Linear(1, 1))
    with pytest.raises(ModelError, match="Linear has no latents"):
        latent.interpolations(nn.Linear(1, 1), 1, 2)
    with pytest.raises(ModelError, match="Linear does not encode"):
        latent.encoded(nn.Linear(1, 1), None, 1)


def test_encoded_pictures_keep_their_classes(monkeypatch):
    monkeypatch.setattr(latent, "CHUNK", 3)
    images = torch.arange(7 * 4).view(7, 1, 2, 2).byte()
    data = Stored("seven", images, torch.arange(7), tuple("abcdefg"))
    latents, labels = latent.encoded(Painter(), data, 5)
    torch.testing.assert_close(latents, images[labels, 0, 0].float() / 255)
    assert len(labels.unique()) == 5
    assert len(latent.encoded(Painter(), data, 100)[0]) == 7
    assert latent.encoded(Painter(), Stored("bare", images), 5)[1] is None


@pytest.mark.parametrize("classes", [3, 12])
def test_the_scatter_shows_each_class_in_its_own_colour(tmp_path, monkeypatch, classes):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k)))
    latents = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    labels, names = torch.arange(60) % classes, tuple("abcdefghijkl"[:classes])
    latent.scatter(latents, labels, names, tmp_path / "points.png", {"command": "latent"})
    axes = figures[0].axes[0]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(names)
    for index, points in enumerate(axes.collections):
        np.testing.assert_allclose(points.get_offsets(), latents[labels == index])
    assert len({tuple(points.get_facecolor()[0]) for points in axes.collections}) == classes
    assert Image.open(tmp_path / "points.png").format == "PNG"


def test_few_points_are_of_every_class():
    images, labels = torch.zeros(400, 1, 2, 2, dtype=torch.uint8), torch.arange(400) // 100
    _, found = latent.encoded(Painter(), Stored("in order", images, labels, tuple("abcd")), 40)
    assert found.bincount().tolist() == [10, 10, 10, 10]


def test_any_name_of_a_class_is_written_as_it_is(tmp_path, monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k)))
    names = ("$x", "_hidden", "$\\frac{$", "a_b^c")
    latent.scatter(torch.randn(8, 2), torch.arange(8) % 4, names, tmp_path / "points.png", {})
    assert tuple(text.get_text() for text in figures[0].legends[0].get_texts()) == names


def test_the_scatter_of_data_without_classes_has_one_colour(tmp_path):
    latent.scatter(torch.randn(60, 2), None, (), tmp_path / "points.png", {"command": "latent"})
    pixels = np.asarray(Image.open(tmp_path / "points.png").convert("HSV")).reshape(-1, 3)
    hues = pixels[pixels[:, 1] > 150, 0]
    assert len(hues) > 60
    assert np.ptp(hues) < 8


def test_the_way_between_two_latents_starts_and_ends_at_them():
    start, end = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    way = latent.between(start, end, 7)
    torch.testing.assert_close(way[0], start)
    torch.testing.assert_close(way[-1], end)


def test_the_way_is_an_arc_walked_at_one_speed():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    angles = torch.linspace(0, math.pi / 2, 4)
    torch.testing.assert_close(latent.between(start, end, 4), 2 * torch.stack([angles.cos(), angles.sin()], 1))


def test_latents_on_the_way_are_as_likely_long_as_those_at_its_ends():
    starts, ends = torch.randn(2, 200, 400, generator=torch.Generator().manual_seed(0))
    middles = torch.stack([latent.between(a, b, 3)[1] for a, b in zip(starts, ends, strict=True)])
    assert middles.norm(dim=1).mean().item() == pytest.approx(20, rel=0.01)  # √400; a straight line's: 14.1


@pytest.mark.parametrize("factor", [1.0, 3.0, -2.0])
def test_latents_in_one_line_are_joined_by_a_straight_line(factor):
    start = torch.tensor([1.0, -2.0, 0.5])
    torch.testing.assert_close(latent.between(start, factor * start, 3)[1], (1 + factor) / 2 * start)


def test_each_row_of_interpolations_is_a_way_of_its_own_in_one_class():
    pictures = latent.interpolations(
        Painter(6, classes=4), 3, 5, torch.tensor([2, 0, 3]), torch.Generator().manual_seed(1)
    ).view(3, 5, 7)
    assert pictures[:, :, 6].tolist() == [[2] * 5, [0] * 5, [3] * 5]
    ends = Painter(6).latents(6, torch.Generator().manual_seed(1))
    torch.testing.assert_close(pictures[:, 0, :6], ends[:3])
    torch.testing.assert_close(pictures[:, -1, :6], ends[3:])
