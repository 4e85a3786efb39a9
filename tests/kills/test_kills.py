"""Whatever write a kill comes at, whoever goes on has in the end what nobody interrupted would have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "kills.py"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


# Of many moments every so many; the numbers are prime to the writes of one file, so that all kinds are met.
@pytest.mark.parametrize(("job", "every", "least"), [("train", 5, 5), ("style", 1, 3), ("batch", 4, 3)])
def test_going_on_after_a_kill_gives_the_same_bytes(tmp_path: Path, job: str, every: int, least: int) -> None:
    assert killed(tmp_path, job, every)["kills"] >= least


@pytest.mark.parametrize(("job", "levels"), [("frames", 1), ("film", 4)])
def test_going_on_with_a_clip_gives_nearly_the_same_frames(tmp_path: Path, job: str, levels: float) -> None:
    found = killed(tmp_path, job, 11)
    assert found["kills"] >= 2 and found["farthest"] < levels


def killed(folder: Path, job: str, every: int) -> dict[str, float]:
    words = [sys.executable, SCRIPT, job, folder, str(every)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found
