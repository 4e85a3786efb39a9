"""Data sets in memory, the order of their pictures, and the table of contents."""

import subprocess
import sys

import pytest
import torch

import impasto.data
from impasto.data import Stored, load, order
from impasto.errors import SettingsError


def test_a_batch_has_the_pictures_asked_for_in_0_to_1() -> None:
    images = torch.arange(5 * 12, dtype=torch.uint8).reshape(5, 3, 2, 2) * 4
    data = Stored("five", images, torch.tensor([4, 3, 2, 1, 0]), ("a", "b", "c", "d", "e"))
    batch = data.batch(torch.tensor([3, 0, 3]))
    assert (len(data), data.channels, data.size) == (5, 3, 2)
    assert batch.images.dtype == torch.float32
    assert torch.equal(batch.images * 255, images[[3, 0, 3]].float())
    assert batch.labels is not None
    assert batch.labels.tolist() == [1, 4, 1]


def test_a_data_set_without_classes_gives_no_labels() -> None:
    assert Stored("bare", torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).batch(torch.tensor([1])).labels is None


@pytest.mark.parametrize(("length", "batch"), [(10, 5), (10, 4), (7, 3), (3, 8), (1, 2)])
def test_every_epoch_has_every_picture_once(length: int, batch: int) -> None:
    steps = 3 * length  # whole epochs: as many as a batch has pictures, three times
    drawn = torch.cat([order(length, batch, step * batch, seed=1) for step in range(steps)])
    for epoch in drawn.split(length):
        assert epoch.sort().values.tolist() == list(range(length))


def test_every_epoch_and_every_seed_has_its_own_order() -> None:
    orders = [order(50, 50, step * 50, seed).tolist() for step in range(3) for seed in range(3)]
    assert len({tuple(o) for o in orders}) == 9


def test_the_order_depends_on_its_arguments_alone() -> None:
    whole = [order(20, 6, step * 6, seed=3) for step in range(10)]
    torch.manual_seed(99)
    torch.rand(5)
    assert all(torch.equal(order(20, 6, step * 6, seed=3), whole[step]) for step in reversed(range(10)))


def test_an_unknown_data_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean fashion-mnist"):
        load("fashion_mnist", "train")


def test_an_unknown_split_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean train"):
        load("glyphs", "training")


@pytest.mark.parametrize("name", ["glyphs", "folder:."])
def test_a_size_below_one_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="at least 1 pixel"):
        load(name, "test", size=0)


def test_the_table_of_contents_names_what_is_there() -> None:
    assert all(hasattr(impasto.data, name) for name in impasto.data.__all__)
    with pytest.raises(AttributeError):
        impasto.data.nothing  # noqa: B018


def test_the_table_of_contents_does_not_load_torch() -> None:
    code = "import sys, impasto.data; impasto.data.NAMES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
