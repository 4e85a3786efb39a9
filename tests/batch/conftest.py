"""Small pictures to paint, and the processes that paint them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.batch.tasks import Task, crossed
from impasto.bundled import ASSETS
from impasto.style.settings import Settings


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three pictures of 64 x 48 pixels."""
    draw = np.random.default_rng(0)
    files = [tmp_path / f"{name}.png" for name in "abc"]
    for file in files:
        small = Image.fromarray(draw.integers(0, 255, (6, 8, 3), dtype=np.uint8))
        small.resize((64, 48), Image.Resampling.BICUBIC).save(file)
    return files


@pytest.fixture
def tasks(photos: list[Path], tmp_path: Path) -> list[Task]:
    """Six tasks for the folder `out`, quick ones."""
    styles = [ASSETS / "styles" / f"{name}.jpg" for name in ("swirl", "ink")]
    return crossed(photos, styles, tmp_path / "out", Settings(quality="draft"))
