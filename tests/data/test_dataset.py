"""Data sets in memory, the order of their pictures, and the table of contents."""

import subprocess
import sys

import pytest
import torch

import impasto.data
from impasto.data import Stored, load, order
from impasto.data.dataset import drawn
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


def test_a_batch_is_where_the_data_are_kept() -> None:
    images, labels = (torch.zeros(shape, dtype=torch.uint8, device="meta") for shape in ((5, 1, 2, 2), (5,)))
    batch = Stored("elsewhere", images, labels, ("a",)).batch(torch.tensor([0, 3]))  # the indices are here
    assert batch.labels is not None
    assert (batch.images.device.type, batch.labels.device.type) == ("meta", "meta")


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
    with pytest.raises(SettingsError, match="size goes from 1"):
        load(name, "test", size=0)


def test_the_table_of_contents_names_what_is_there() -> None:
    assert all(hasattr(impasto.data, name) for name in impasto.data.__all__)
    with pytest.raises(AttributeError):
        impasto.data.nothing  # noqa: B018


def test_the_table_of_contents_does_not_load_torch() -> None:
    code = "import sys, impasto.data; impasto.data.NAMES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def of_classes(*counts: int) -> Stored:
    """So many pictures of each class, in the order of the classes."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Stored(
        "some", torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels, tuple("abcdefghij"[: len(counts)])
    )


@pytest.mark.parametrize("seed", range(5))
def test_pictures_are_drawn_in_proportion_to_their_classes(seed: int) -> None:
    data = of_classes(600, 300, 90, 10)
    assert data.labels is not None
    chosen = drawn(data, 100, seed)
    assert len(chosen.unique()) == 100
    for found, share in zip(data.labels[chosen].bincount(minlength=4).tolist(), (60, 30, 9, 1), strict=True):
        assert abs(found - share) <= 1
    half = data.labels[chosen][:50].bincount(minlength=4)
    assert 18 <= half[0] <= 42  # and in no order: the first of them are a mixture, too


def test_the_seed_decides_which_pictures_are_drawn() -> None:
    data = of_classes(50, 50)
    assert torch.equal(drawn(data, 10, 1), drawn(data, 10, 1))
    assert not torch.equal(drawn(data, 10, 1), drawn(data, 10, 2))


def test_every_picture_is_drawn_as_often_as_the_others() -> None:
    data = of_classes(7, 13)
    often = torch.cat([drawn(data, 5, seed) for seed in range(2000)]).bincount(minlength=20)
    assert often.sum() == 10_000
    assert (often - 500).abs().max() < 100  # 4.6 standard deviations


def test_all_pictures_come_in_their_own_order() -> None:
    assert drawn(of_classes(3, 2), 5).tolist() == drawn(of_classes(3, 2)).tolist() == [0, 1, 2, 3, 4]


def test_pictures_without_classes_are_drawn_all_over() -> None:
    bare = Stored("bare", torch.zeros(1000, 1, 2, 2, dtype=torch.uint8))
    chosen = drawn(bare, 100)
    assert chosen.min() < 50 and chosen.max() >= 950 and len(chosen.unique()) == 100
