"""What belongs on a terminal, and what does not."""

import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from impasto.errors import ImpastoWarning, SettingsError


class Stopped(Exception):
    """Ctrl-C or another signal, with a message about what is left of the work."""

    def __init__(self, message: str, signal: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.code = 128 + signal  # what shells report for a program that it ended


def one_line(text: object) -> str:
    """Make one line of plain text: names and recipes come from anyone, and may hold what moves the cursor."""
    line = " ".join(part.strip() for part in str(text).splitlines())  # spaces inside stay: they may be a file's name
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def show_warnings() -> None:
    """Show our own warnings as lines of their own, each once, and no library's; `python -W` shows those again."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
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
