"""A batch from end to end: leave out what is done, paint the rest, write everything down."""

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from impasto import provenance, weights
from impasto.batch import manifest, names, sheet
from impasto.batch.manifest import Manifest, Record
from impasto.batch.tasks import Task
from impasto.batch.work import failure
from impasto.errors import ImpastoError, OutputError, SettingsError
from impasto.files import identity, locked, remove_abandoned
from impasto.style.settings import GradeSettings

READERS = 16  # of inputs at once: on a shared disk, most of the time is waiting
Engine = Callable[[Sequence[Task]], Generator[tuple[Task, Record]]]


@dataclass(frozen=True)
class Progress:
    """How far a batch is, after each picture."""

    total: int
    skipped: int  # done by an earlier run
    done: int
    failed: int
    seconds: float  # since the first was begun
    record: Record | None  # of the picture that was just finished; None at the beginning

    @property
    def speed(self) -> float:
        """Pictures per second."""
        return (self.done + self.failed) / self.seconds if self.seconds else 0.0


def running(tasks: Sequence[Task], folder: Path, engine: Engine) -> Iterator[Progress]:
    """Paint what is not in `folder` yet, and yield after each picture. Closing it ends the work; it can go on later.

    A picture is done if the manifest says so of the same inputs and settings, and its file is there.

    Raises:
        SettingsError, WeightsError: the folder cannot be written, or a network is not to be had.
        OutputError: another process writes into the folder, or a result would take the place of an input.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written: {error.strerror}") from error
    with locked(folder / manifest.NAME):
        remove_abandoned(folder)
        _check_apart(tasks, folder)
        yield from _painting(tasks, folder, engine)


def _painting(tasks: Sequence[Task], folder: Path, engine: Engine) -> Iterator[Progress]:
    keys, broken = _waiting(tasks, folder)
    by_networks = {task.settings for task in keys if not isinstance(task.own, GradeSettings)}
    for network in {settings.resolved().network for settings in by_networks}:
        weights.path(network)  # fetched once, not by each worker
    skipped = len(tasks) - len(keys) - len(broken)
    done = failed = 0
    yield Progress(len(tasks), skipped, done, failed, 0.0, None)
    begun = time.perf_counter()
    with closing(Manifest(folder)) as records, closing(engine(list(keys))) as painting:
        for task, result in itertools.chain(broken, painting):
            record = {
                "output": _name(task, folder),
                "key": keys.get(task),
                "content": task.content.name if task.content else "",
                "styles": [style.name for style in task.styles],
                **result,
            }
            records.add(record)
            done += record["status"] == "done"
            failed += record["status"] == "failed"
            yield Progress(len(tasks), skipped, done, failed, time.perf_counter() - begun, record)


def _check_apart(tasks: Sequence[Task], folder: Path) -> None:
    """Refuse to write over what is read, be it by another task, and a result that the contact sheet would replace."""
    inputs = {found: file for task in tasks for file in task.inputs if (found := identity(file)) is not None}
    drawn = folder / sheet.NAME
    for output in (*(task.output for task in tasks), drawn):
        if (written := identity(output)) is not None and (read := inputs.get(written)) is not None:
            raise OutputError(f"{output} would take the place of {read}, which is read: choose another folder")
    place = names.folded(str(drawn.resolve()))
    if any(names.folded(str(task.output.resolve())) == place for task in tasks):
        raise OutputError(f"{drawn} is where the contact sheet goes: choose another output")


def _waiting(tasks: Sequence[Task], folder: Path) -> tuple[dict[Task, str], list[tuple[Task, Record]]]:
    """What is not done yet, with its key; and what has an input that cannot be read."""
    before = manifest.done(folder)
    hashes, unreadable = _hashes({file for task in tasks for file in task.inputs})
    keys: dict[Task, str] = {}
    broken: list[tuple[Task, Record]] = []
    for task in tasks:
        if why := [unreadable[file] for file in task.inputs if file in unreadable]:
            broken.append((task, failure(why[0])))
            continue
        key = task.key(hashes)
        if not (before.get(_name(task, folder)) == key and task.output.is_file()):
            keys[task] = key
    return keys, broken


def _hashes(files: Iterable[Path]) -> tuple[dict[Path, str], dict[Path, str]]:
    """The SHA-256 of each file; and of those that cannot be read, why."""
    hashes, unreadable = {}, {}

    def read(file: Path) -> None:
        try:
            hashes[file] = provenance.sha256(file)
        except ImpastoError as error:
            unreadable[file] = str(error)

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(read, files))
    return hashes, unreadable


def _name(task: Task, folder: Path) -> str:
    return task.output.relative_to(folder).as_posix()
