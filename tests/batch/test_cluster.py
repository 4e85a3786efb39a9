"""A Ray cluster of two workers paints everything once, though one of them is killed."""

import time
from dataclasses import replace

import psutil
import pytest

from impasto.batch import cluster
from impasto.batch.run import running
from impasto.batch.tasks import Task
from impasto.errors import SettingsError
from impasto.style.settings import Settings

pytest.importorskip("ray")


def painter() -> psutil.Process:
    """A worker of Ray's that is at a picture now."""
    while True:
        for child in psutil.Process().children(recursive=True):
            if child.name().startswith("ray::paint"):
                return child
        time.sleep(0.01)


@pytest.mark.timeout(900)  # workers that start anew import everything, which on a busy machine takes minutes
def test_a_worker_that_dies_is_replaced_and_nothing_is_lost_or_done_twice(
    tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "usable_cpus", lambda: 2)
    tasks[5].content.write_bytes(b"no picture")
    folder = tasks[0].output.parent
    killed, records = 0, []
    for at in running([replace(task, settings=Settings(steps=10)) for task in tasks], folder, cluster.run):
        if at.record:
            records.append(at.record)
            if not killed:
                victim = painter()
                victim.kill()
                killed = victim.pid
    assert (at.done, at.failed) == (4, 2)
    assert len({record["output"] for record in records}) == len(records) == 6
    assert sum(record["worker"].endswith(f":{killed}") for record in records) <= 1  # what it had done before
    assert all(task.output.is_file() for task in tasks[:4])


def test_a_cluster_that_is_not_there_is_one_line(tasks: list[Task]) -> None:
    for address in ("127.0.0.1:1", "nowhere"):
        with pytest.raises(SettingsError, match="no Ray cluster"):
            next(cluster.run(tasks, address))
