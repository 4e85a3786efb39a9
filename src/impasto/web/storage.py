"""The files of visitors: each upload and each job has a folder, which counts towards a quota and goes by age."""

import contextlib
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import OutputError
from impasto.web.limits import Limits

SMALLEST = 50_000  # bytes that a folder counts for beside its files: there shall not be too many of them
ALL = ""  # visitors


@dataclass
class Kept:
    """A folder, and whose it is."""

    visitor: str
    session: str  # of the open page that it goes with; "" for none
    bytes: int = 0
    since: float | None = None  # when its work was done; None while it lasts
    left: bool = False  # its page was closed meanwhile


class Storage:
    """All folders below `root`, within the quotas of `limits`."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root, self.limits = root, limits
        self._kept: dict[Path, Kept] = {}
        self._bytes: Counter[str] = Counter()  # by visitor; of all under ALL
        self._lock = threading.RLock()

    def new(self, visitor: str, session: str = "") -> Path:
        """A new folder, whose name cannot be guessed.

        Raises:
            OutputError: a quota is used up.
        """
        folder = self.root / secrets.token_urlsafe(24)
        with self._lock:
            self._check(visitor, SMALLEST)
            folder.mkdir(parents=True)
            self._kept[folder] = Kept(visitor, session)
            self._count(folder, SMALLEST)
        return folder

    def grow(self, folder: Path, count: int) -> None:
        """Count bytes that come into `folder`, before they are written.

        Raises:
            OutputError: a quota does not have so many.
        """
        with self._lock:
            self._check(self._kept[folder].visitor, count)
            self._count(folder, count)

    def settle(self, folder: Path) -> None:
        """The work on `folder` is done: from now on it grows old."""
        with self._lock:
            kept = self._kept[folder]
            kept.since = time.time()
            written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            self._count(folder, SMALLEST + written - kept.bytes)
            if kept.left:
                self.discard(folder)

    def discard(self, folder: Path) -> None:
        """Delete `folder`."""
        with self._lock:
            shutil.rmtree(folder, ignore_errors=True)
            if kept := self._kept.get(folder):
                self._count(folder, -kept.bytes)
                del self._kept[folder]

    def leave(self, session: str) -> None:
        """Delete what was made for a page that is closed, now or when its work is done."""
        with self._lock:
            for folder, kept in [(f, k) for f, k in self._kept.items() if session and k.session == session]:
                kept.left = True
                if kept.since is not None:
                    self.discard(folder)

    def sweep(self, needed: Iterable[Path] = ()) -> None:
        """Delete what is too old, and files of Gradio's own, too, but no folder with a file that is `needed`."""
        oldest = time.time() - self.limits.max_hours * 3600
        spared = {folder for file in needed for folder in file.parents}
        with self._lock:
            for folder, kept in list(self._kept.items()):
                if kept.since is not None and kept.since < oldest and folder not in spared:
                    self.discard(folder)
            for entry in self.root.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if entry not in self._kept and max(map(_changed, [entry, *entry.rglob("*")])) < oldest:
                        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    @contextlib.contextmanager
    def swept(self, needed: Callable[[], Iterable[Path]]) -> Iterator[None]:
        """Sweep now and then while this lasts, but not what is `needed` then."""
        over = threading.Event()

        def now_and_then() -> None:
            while not over.wait(min(60, self.limits.max_hours * 900)):
                self.sweep(needed())

        threading.Thread(target=now_and_then, name="sweep", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _count(self, folder: Path, count: int) -> None:
        kept = self._kept[folder]
        kept.bytes += count
        for whose in (kept.visitor, ALL):
            self._bytes[whose] += count
            if not self._bytes[whose]:
                del self._bytes[whose]

    def _check(self, visitor: str, count: int) -> None:
        for whose, name, limit in (
            (visitor, "your files here", self.limits.max_visitor),
            (ALL, "all files here", self.limits.max_stored),
        ):
            if self._bytes[whose] + count > limit * 1e6:
                raise OutputError(
                    f"{name} would be more than the limit of {limit:g} MB; close a page with results, or wait: "
                    f"after {self.limits.max_hours:g} hours files go"
                )


def _changed(path: Path) -> float:
    return path.lstat().st_mtime
