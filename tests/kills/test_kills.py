"""Whatever write a kill comes at, whoever goes on has in the end what nobody interrupted would have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "kills.py"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


# Of many moments every so many; the numbers are prime to the writes of one file, so that all kinds are met.
@pytest.mark.parametrize(
    ("job", "every", "least"),
    [
        ("train", 7, 4),
        ("style", 1, 3),
        ("batch", 5, 3),
        ("frames", 17, 2),
        ("keyed", 17, 2),
        ("film", 13, 2),
        ("graded", 19, 2),
    ],
)
def test_going_on_after_a_kill_gives_the_same(tmp_path: Path, job: str, every: int, least: int) -> None:
    words = [sys.executable, SCRIPT, job, tmp_path, str(every)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= least
