"""What belongs on a terminal, and what does not."""

import codecs
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from impasto.errors import ImpastoWarning, SettingsError, one_line

_killed: list[int] = []  # signals that came, other than that of Ctrl-C


class Stopped(Exception):
    """Ctrl-C or another signal, with a message about what is left of the work."""

    def __init__(self, message: str, signal: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.code = 128 + signal  # what shells report for a program that it ended


# Besides that of Ctrl-C, what ends services and jobs, and what a closed terminal sends (Windows has no such).
ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def attend() -> None:
    """Make this process ready for whatever started it: standard streams that are closed, or that know few characters.

    Signals that would end it are like Ctrl-C from here on, but for those that are ignored, as `nohup` has it.
    """
    if not os.environ.get("COLUMNS", "80").strip("0"):  # of no width, as some terminals say: nothing would be printed
        del os.environ["COLUMNS"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # a file opened next would take the number, and get what is meant for the stream
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    codecs.register_error("impasto", _as_it_can)
    sys.stdout.reconfigure(errors="impasto")  # type: ignore[union-attr]
    _killed.clear()

    def stop(number: int, _: object) -> None:
        _killed.append(number)
        raise KeyboardInterrupt

    for number in ENDINGS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def _as_it_can(error: UnicodeError) -> tuple[bytes | str, int]:
    """A character that the stream has no code for: the byte of a file name that was none, or else a question mark."""
    assert isinstance(error, UnicodeEncodeError)
    code = ord(error.object[error.start])
    return bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else "?", error.start + 1


def ended() -> int | None:
    """The exit code after a signal, as shells report it; None without one, or after Ctrl-C."""
    return 128 + _killed[0] if _killed else None


def drop_output() -> None:
    """Let go of what cannot be written any more; Python itself would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_warnings() -> None:
    """Show our own warnings as lines of their own, each once, and no library's; `python -W` shows those again."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        logging.disable()
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # what torch writes past Python
        os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("always", category=ImpastoWarning)  # "once" forgets whenever a library touches the filters
    plainly, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, ImpastoWarning):
            if str(message) not in said:
                print(one_line(f"warning: {message}"), file=sys.stderr)
            said.add(str(message))
        else:
            plainly(message, category, *where)

    warnings.showwarning = show  # type: ignore[assignment]


@contextmanager
def bar(shown: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error, where a person is watching: call what it yields with (what, done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    hidden = not (shown and sys.stderr.isatty())
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
        task = progress.add_task("")

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield show


def settings(given: Iterable[str]) -> dict[str, str]:
    """Name and value of each `--set name=value`.

    Raises:
        SettingsError: one without "=".
    """
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise SettingsError(f"--set takes name=value, not {name!r}")
    return {name: value for name, _, value in pairs}
