"""What comes out of a process, and how it ends: warnings, closed streams, narrow encodings, signals."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="of POSIX shells")


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A line of sh in which `impasto` is this one."""
    start = f'impasto() {{ "{sys.executable}" -m impasto "$@"; }}\n'
    return subprocess.run(["sh", "-c", start + line], capture_output=True, text=True, env={**os.environ, **environment})


def chatting(*lines: str) -> str:
    """What is on standard error after a command during which these lines of Python ran."""
    body = "".join(f"\n    {line}" for line in lines)
    code = (
        "import sys, logging, warnings\nfrom impasto import errors, weights\nfrom impasto.cli import main\n"
        f"def listing():{body}\n    return []\n"
        "weights.listing = listing\nsys.argv = ['impasto', 'weights', 'list']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr


def test_a_warning_is_one_line_and_comes_once() -> None:
    said = chatting("errors.warn('a.png:\\n  odd')", "errors.warn('a.png:\\n  odd')", "errors.warn('b.png \\x1b[2J')")
    assert said == "warning: a.png: odd\nwarning: b.png \N{REPLACEMENT CHARACTER}[2J\n"


def test_what_libraries_say_among_themselves_is_not_shown() -> None:
    said = chatting(
        "warnings.warn('of a library')",
        "warnings.warn('old', DeprecationWarning)",
        "logging.getLogger('libav').error('x')",
        "log = logging.getLogger('own'); log.addHandler(logging.StreamHandler()); log.critical('x')",
        "errors.warn('ours')",
    )
    assert said == "warning: ours\n"


@POSIX
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_keep_nobody_from_the_work(tmp_path: Path, closed: str) -> None:
    Image.linear_gradient("L").convert("RGB").resize((32, 32)).save(tmp_path / "a.png")
    line = f"cd '{tmp_path}'; impasto style a.png swirl -o out.png --quality draft {closed}"
    done = shell(line)
    assert (done.returncode, done.stderr) == (0, "")
    assert Image.open(tmp_path / "out.png").size == (32, 32)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "out.png"}


@POSIX
def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    many = " ".join(["a.png"] * 3000)
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    for words in (f"inspect --json {many}", "styles", "--help"):
        done = shell(f"cd '{tmp_path}'; {{ impasto {words}; echo $? >code; }} | head -n 1")
        assert done.stderr == "" and done.stdout.count("\n") == 1
        assert (tmp_path / "code").read_text().strip() in ("0", "141")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_an_encoding_lacks_is_replaced(tmp_path: Path, encoding: str) -> None:
    name = "mål × 日本.png"
    Image.new("RGB", (16, 16)).save(tmp_path / name)
    words = [sys.executable, "-m", "impasto", "inspect", str(tmp_path / name)]
    done = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert name.encode(encoding, "replace") in done.stdout


@POSIX
def test_what_is_ignored_stays_so() -> None:
    code = (
        "import signal; from impasto.cli.terminal import attend; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "attend(); assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN; "
        "from impasto.cli.train import _signals\nwith _signals(): signal.raise_signal(signal.SIGHUP)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("width", ["0", "00", ""])
def test_help_needs_no_width(width: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "impasto", "models", "list"], capture_output=True, env={**os.environ, "COLUMNS": width}
    )
    assert done.returncode == 0 and b"mnist-gan" in done.stdout


@POSIX
@pytest.mark.parametrize("number", [2, 15, 1])
def test_what_is_stopped_writes_what_it_has(tmp_path: Path, number: int) -> None:
    Image.linear_gradient("L").convert("RGB").resize((48, 48)).save(tmp_path / "a.png")
    words = ["style", "a.png", "swirl", "-o", "out.png", "--steps", "100000", "--json"]
    run = subprocess.Popen(
        [sys.executable, "-m", "impasto", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stdout is not None and run.stderr is not None
    run.stdout.readline()
    time.sleep(0.1)
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert err.startswith(b"stopped: out.png is the picture so far") and err.count(b"\n") == 1
    assert Image.open(tmp_path / "out.png").size == (48, 48)
