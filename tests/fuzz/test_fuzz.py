"""A sample of `make fuzz`: damaged files end in one line, soon, and in little memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = 16  # files, two of each kind


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_damaged_files_end_in_one_line(tmp_path: Path) -> None:
    words = [sys.executable, Path(__file__).parent / "fuzz.py", str(SAMPLE)]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{SAMPLE} files, 0 faults")
