"""Processes of this machine paint what one would, and one that dies is replaced."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import impasto
from impasto.batch import local
from impasto.batch.tasks import Task
from impasto.style.settings import DEFAULT_MEMORY, Settings

TWO = local.Layout(processes=2, threads=1, memory=1.0)


def test_two_processes_paint_what_one_paints(tasks: list[Task], tmp_path: Path) -> None:
    done = dict(local.run(tasks, TWO))
    assert set(done) == set(tasks) and {record["status"] for record in done.values()} == {"done"}
    assert len({record["worker"] for record in done.values()}) == 2
    alone = impasto.stylize(tasks[1].content, tasks[1].styles[0], quality="draft", memory=1.0)
    alone.save(tmp_path / "alone.png")
    assert (tmp_path / "alone.png").read_bytes() == tasks[1].output.read_bytes()
    assert done[tasks[1]]["recipe"] == alone.recipe


def test_what_cannot_be_painted_is_said_and_the_rest_goes_on(tasks: list[Task], photos: list[Path]) -> None:
    photos[1].write_bytes(b"no picture")
    done = dict(local.run(tasks, local.Layout(1, 1, 1.0)))
    failed = {task.output.stem: record["error"] for task, record in done.items() if record["status"] == "failed"}
    assert failed.keys() == {"b--swirl", "b--ink"} and "is a text, which is not read here" in failed["b--ink"]


def children() -> list[psutil.Process]:
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]  # as Ray leaves
    return [child for child in living if "spawn_main" in " ".join(child.cmdline())]


def test_a_process_that_is_killed_is_replaced_and_nothing_is_lost(tasks: list[Task]) -> None:
    tasks = [replace(task, settings=Settings(steps=3)) for task in tasks[::2]]
    found = []
    for task, record in local.run(tasks, TWO):
        if not found:
            children()[-1].kill()
        found.append((task, record["status"]))
    assert sorted(found, key=str) == sorted(((task, "done") for task in tasks), key=str)
    assert all(task.output.is_file() for task in tasks) and not children()


def test_a_picture_whose_process_always_dies_is_given_up(tasks: list[Task]) -> None:
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            for child in children():
                child.kill()
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        ((task, record),) = local.run(tasks[:1], TWO)
    finally:
        over.set()
        killer.join()
    assert task == tasks[0] and record["status"] == "failed" and f"died {local.TRIES} times" in record["error"]


def test_closing_leaves_no_process_behind(tasks: list[Task]) -> None:
    run = local.run(tasks, TWO)
    next(run)
    assert children()
    run.close()
    assert not children()


@pytest.mark.parametrize(
    ("cpus", "gigabytes", "tasks", "asked", "wanted"),
    [(8, 64, 100, None, (8, 1)), (8, 64, 3, None, (3, 2)), (8, 4.3, 100, None, (3, 2)), (8, 0.5, 100, None, (1, 8)),
     (2, 64, 0, None, (1, 2)), (8, 64, 100, 2, (2, 4)), (2, 64, 100, 5, (5, 1))],
)  # fmt: skip
def test_processes_share_cores_and_memory(
    monkeypatch: pytest.MonkeyPatch,
    cpus: int,
    gigabytes: float,
    tasks: int,
    asked: int | None,
    wanted: tuple[int, int],
) -> None:
    monkeypatch.setattr(local, "usable_cpus", lambda: cpus)
    monkeypatch.setattr(local, "free_memory", lambda: int(gigabytes * 1e9))
    found = local.layout(tasks, "cpu", asked)
    assert (found.processes, found.threads) == wanted
    assert found.processes * found.memory <= 0.7 * gigabytes + 1e-9 and found.memory <= DEFAULT_MEMORY


def test_each_gpu_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_gpus", lambda: 4)
    monkeypatch.setattr(local, "usable_cpus", lambda: 16)
    found = local.layout(100)
    assert (found.processes, found.threads, found.gpus) == (4, 4, 4)
    assert local.layout(100, "cuda:1").processes == 1
