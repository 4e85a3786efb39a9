"""The examples' drawn material; that each example runs to its end takes minutes, so that is done by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import rocket

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def beside_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "products", raising=False)


def test_masks_are_white_where_the_things_are() -> None:
    from products import garment, products

    things = {**products(), "garment": garment()}
    assert len(things) == 5
    for name, (picture, mask) in things.items():
        cover = np.asarray(mask.convert("L")) / 255
        assert 0.05 < cover.mean() < 0.6, name
        assert cover.max() == 1 and cover[:5].max() == 0  # whole inside, and clear of the border
        colours = np.asarray(picture, dtype=float)
        inside, outside = colours[cover == 1].mean(0), colours[cover == 0].mean(0)
        assert np.abs(inside - outside).max() > 10, name


def test_a_walk_moves_slowly_and_stays_inside() -> None:
    from products import walk

    frames = [np.asarray(frame, dtype=float) for frame in walk(24, Image.fromarray(rocket()))]
    assert {frame.shape for frame in frames} == {(270, 480, 3)}
    near, far = (np.abs(frame - frames[0]).mean() for frame in (frames[1], frames[-1]))
    assert 0.1 < near < 0.5 * far
