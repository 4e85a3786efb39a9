"""A batch from end to end: leave out what is done, paint the rest, write everything down."""

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from impasto import provenance, weights
from impasto.batch import manifest
from impasto.batch.manifest import Manifest, Record
from impasto.batch.tasks import Task
from impasto.batch.work import failure
from impasto.errors import ImpastoError, SettingsError

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
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        records = Manifest(folder)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written: {error.strerror}") from error
    for part in folder.rglob(".impasto-*"):  # what a killed process left half-written
        part.unlink()
    before = manifest.read(folder)
    hashes: dict[Path, str] = {}
    keys: dict[Task, str] = {}
    broken: list[tuple[Task, Record]] = []
    waiting: list[Task] = []
    for task in tasks:
        try:
            for file in (task.content, *task.styles):
                if file not in hashes:
                    hashes[file] = provenance.sha256(file)
        except ImpastoError as error:
            broken.append((task, failure(str(error))))
            continue
        keys[task] = task.key(hashes)
        old = before.get(_name(task, folder), {})
        if not (old.get("status") == "done" and old.get("key") == keys[task] and task.output.is_file()):
            waiting.append(task)
    for network in {settings.chosen().network for settings in {task.settings for task in waiting}}:
        weights.path(network)  # fetched once, not by each worker
    skipped = len(tasks) - len(waiting) - len(broken)
    done = failed = 0
    yield Progress(len(tasks), skipped, done, failed, 0.0, None)
    begun = time.perf_counter()
    with closing(records), closing(engine(waiting)) as painting:
        for task, result in itertools.chain(broken, painting):
            record = {
                "output": _name(task, folder),
                "key": keys.get(task),
                "content": task.content.name,
                "styles": [style.name for style in task.styles],
                **result,
            }
            records.add(record)
            done += record["status"] == "done"
            failed += record["status"] == "failed"
            yield Progress(len(tasks), skipped, done, failed, time.perf_counter() - begun, record)


def _name(task: Task, folder: Path) -> str:
    return task.output.relative_to(folder).as_posix()
