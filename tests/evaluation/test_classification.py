"""Accuracy, confusion and mistakes of a classifier that reads its answer from the pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from impasto.data.dataset import Stored
from impasto.errors import DataError
from impasto.evaluation import classification

NAMES = ("cat", "dog", "owl")


class Reader(nn.Module):
    """Takes the first three pixels for the probabilities of three classes."""

    config = SimpleNamespace(classes=3)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def probabilities(self, images):
        values = self.weight * images.flatten(1)[:, :3]
        return values / values.sum(1, keepdim=True)


def data(pixels, labels, names=NAMES):
    images = torch.zeros(len(pixels), 1, 8, 8, dtype=torch.uint8)
    if len(pixels):
        images[:, 0, 0, :3] = torch.tensor(pixels, dtype=torch.uint8)
    return Stored("pets", images, torch.tensor(labels, dtype=torch.int64), names)


PIXELS = [(80, 10, 10), (10, 70, 20), (10, 60, 30), (90, 5, 5), (30, 30, 40)]
LABELS = [0, 1, 2, 1, 2]  # right, right, wrong (0.3 left), wrong (0.05 left), right


def test_predictions_are_those_of_every_picture_in_order(monkeypatch):
    monkeypatch.setattr(classification, "CHUNK", 2)
    probabilities, labels = classification.predictions(Reader(), data(PIXELS, LABELS))
    torch.testing.assert_close(probabilities, torch.tensor(PIXELS) / 100)
    assert labels.tolist() == LABELS


def test_confusion_counts_true_classes_in_rows_and_answers_in_columns():
    found = classification.confusion(torch.tensor(PIXELS) / 100, torch.tensor(LABELS))
    assert found.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]


def test_the_worst_mistakes_left_least_to_the_truth():
    probabilities, labels = torch.tensor(PIXELS) / 100, torch.tensor(LABELS)
    assert classification.worst(probabilities, labels, 10).tolist() == [3, 2]
    assert classification.worst(probabilities, labels, 1).tolist() == [3]


def test_a_classifier_without_mistakes_has_no_worst():
    assert classification.worst(torch.eye(3), torch.arange(3), 10).tolist() == []


@pytest.mark.parametrize("pets", [data([], []), data(PIXELS, LABELS, NAMES[:2]), data(PIXELS, LABELS, ())])
def test_data_of_other_classes_or_without_pictures_are_refused(pets):
    with pytest.raises(DataError, match="pets has"):
        classification.predictions(Reader(), pets)


@pytest.mark.parametrize("classes", [3, 30])
def test_the_confusion_picture_is_darkest_where_the_answers_are(tmp_path, classes):
    file = tmp_path / "confusion.png"
    counts = torch.eye(classes, dtype=torch.int64) * 50
    counts[0, 0], counts[0, 1] = 0, 50  # all of the first class are taken for the second
    classification.draw_confusion(counts, tuple(f"class {i}" for i in range(classes)), file)
    with Image.open(file) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    blue = (pixels == torch.tensor([8, 48, 107])).all(2)  # the dark end of the colour map
    rows, columns = (blue.any(axis).nonzero() for axis in (1, 0))
    height, width = (int(found[-1] - found[0]) + 1 for found in (rows, columns))
    # Dark are the diagonal without its first cell, and the second cell of the first row: one column is left out.
    assert height / width == pytest.approx(classes / (classes - 1), rel=0.05)
    assert blue.sum() == pytest.approx(classes * (height / classes) ** 2, rel=0.15)


def test_an_empty_row_is_no_share(tmp_path):
    counts = torch.tensor([[2, 0], [0, 0]])
    classification.draw_confusion(counts, ("a", "b"), tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mistakes_are_drawn_and_nothing_else(tmp_path, channels):
    images = torch.zeros(3, channels, 8, 8, dtype=torch.uint8)
    shades = (60, 120, 180)
    for image, shade in zip(images, shades, strict=True):
        image[:] = shade
    pets = Stored("pets", images, torch.tensor([0, 1, 2]), NAMES)
    probabilities = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8], [0.7, 0.2, 0.1]])  # right, wrong, wrong
    file = tmp_path / "mistakes.png"
    classification.draw_mistakes(pets, probabilities, pets.labels, file, rows=1, columns=3)
    with Image.open(file) as image:
        counts = torch.tensor(image.convert("L").histogram())
    place = {shade: int(counts[shade]) for shade in shades}
    assert place[60] < 100 and min(place[120], place[180]) > 2000
    with Image.open(file) as image:
        grey = torch.from_numpy(np.array(image.convert("L")))
    first, second = ((grey == shade).nonzero()[:, 1].double().mean() for shade in (180, 120))
    assert first < second  # the worse mistake stands first


def test_any_name_of_a_class_can_be_drawn(tmp_path):
    pets = data([(10, 80, 10)] * 3, [0, 1, 2], ("$x", "$\\frac{$", "_^"))
    probabilities = torch.tensor([[0.1, 0.8, 0.1]] * 3)
    counts = classification.confusion(probabilities, pets.labels)
    classification.draw_confusion(counts, pets.class_names, tmp_path / "confusion.png")
    classification.draw_mistakes(pets, probabilities, pets.labels, tmp_path / "mistakes.png")
    assert all((tmp_path / name).stat().st_size > 0 for name in ("confusion.png", "mistakes.png"))


def test_no_mistakes_is_a_picture_too(tmp_path):
    pets = data(PIXELS[:2], [0, 1])
    classification.draw_mistakes(pets, torch.eye(3)[:2], pets.labels, tmp_path / "none.png")
    with Image.open(tmp_path / "none.png") as image:
        assert image.width > image.height
