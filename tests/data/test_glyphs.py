"""The drawn digits: legible, balanced, like MNIST, always the same."""

import torch

from impasto.data import Dataset, glyphs, load


def ink(data: Dataset) -> torch.Tensor:
    return data.batch(torch.arange(len(data))).images[:, 0]


def labels(data: Dataset) -> torch.Tensor:
    found = data.batch(torch.arange(len(data))).labels
    assert found is not None
    return found


def test_every_split_has_its_number_of_digits_each_as_often() -> None:
    for split, count in (("train", 20_000), ("validation", 2_000), ("test", 2_000)):
        data = load("glyphs", split)
        assert (len(data), data.channels, data.size) == (count, 1, 28)
        assert data.class_names == tuple("0123456789")
        assert labels(data).bincount().tolist() == [count // 10] * 10


def test_the_digits_are_the_same_every_time() -> None:
    data, again = glyphs.load("test"), glyphs.load.__wrapped__("test")
    assert torch.equal(data.images, again.images)
    assert torch.equal(labels(data), labels(again))


def test_no_picture_comes_twice_in_all_splits() -> None:
    pictures = torch.cat([glyphs.load(split).images for split in ("train", "validation", "test")])
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(pictures)


def test_digits_are_told_apart_by_what_was_learnt_from_others() -> None:
    # Ridge regression on the pixels, far from the best classifier; wrong labels or scribbles would give 10 %.
    train, test = load("glyphs", "train"), load("glyphs", "test")
    x, y = ink(train).flatten(1), torch.eye(10)[labels(train)]
    weights = torch.linalg.solve(x.T @ x + 10 * torch.eye(784), x.T @ y)
    right = (ink(test).flatten(1) @ weights).argmax(1) == labels(test)
    assert right.float().mean() > 0.8


def test_digits_look_like_those_of_mnist() -> None:
    pictures = ink(load("glyphs", "validation"))
    # MNIST's test set: brightness 0.133, standard deviation 0.310, 19.7 pixels high and 15.1 wide.
    assert abs(pictures.mean() - 0.133) < 0.02
    assert abs(pictures.std() - 0.310) < 0.02
    assert abs((pictures.amax(2) > 0.25).sum(1).float().mean() - 19.7) < 1
    assert abs((pictures.amax(1) > 0.25).sum(1).float().mean() - 15.1) < 1
    assert pictures.amax((1, 2)).min() > 0.8  # white on black
    assert pictures[:, [0, -1]].mean() < 0.002


def test_digits_are_centred() -> None:
    pictures = ink(load("glyphs", "validation"))
    place = torch.arange(28.0)
    weight = pictures.sum((1, 2))
    for axis in (1, 2):
        centre = (pictures.sum(3 - axis) * place).sum(1) / weight
        assert abs(centre.mean() - 13.5) < 0.3
        assert (centre - 13.5).abs().max() < 4


def test_another_size_is_the_same_digit_resampled() -> None:
    small, large = load("glyphs", "test"), load("glyphs", "test", size=56)
    assert large.size == 56
    assert torch.equal(labels(large), labels(small))
    halved = torch.nn.functional.avg_pool2d(ink(large)[:, None], 2)[:, 0]
    assert (halved - ink(small)).abs().mean() < 0.02
