"""This machine's cores or GPUs: a process for each, with its share of threads and memory. One that dies is replaced."""

import contextlib
import logging
import math
import multiprocessing
import os
import shutil
import signal
import sys
import warnings
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from impasto.batch.manifest import Record
from impasto.batch.tasks import Task
from impasto.batch.work import failure
from impasto.device import free_memory, usable_cpus
from impasto.style.settings import DEFAULT_MEMORY

TRIES = 3  # at a picture whose process dies, before it is given up
LEAST_MEMORY = 1.0  # GB for a process: PyTorch, the network, and a tile


@dataclass(frozen=True)
class Layout:
    """How many processes share this machine, and what each has of it."""

    processes: int
    threads: int
    memory: float  # GB
    gpus: int = 0  # one process each


def layout(tasks: int, device: str = "auto", processes: int | None = None) -> Layout:
    """A process for each GPU, or for each core as far as memory reaches: threads of one would wait for each other.

    Args:
        device: where pictures are painted, as in `Settings`.
        processes: how many, where the user knows better.
    """
    cpus, free = usable_cpus(), 0.7 * free_memory() / 1e9
    gpus = _gpus() if device == "auto" else 0
    if processes is None:
        single = device != "cpu" if device != "auto" else sys.platform == "darwin"  # one GPU is all there is
        processes = gpus or (1 if single else min(cpus, math.floor(free / LEAST_MEMORY)))
    processes = max(1, min(processes, tasks))
    return Layout(processes, max(1, cpus // processes), min(DEFAULT_MEMORY, max(0.1, free / processes)), gpus)


def run(tasks: Sequence[Task], shape: Layout) -> Generator[tuple[Task, Record]]:
    """Do `tasks` in processes of their own, in any order. Closing the generator ends them."""
    waiting = deque(tasks)
    deaths: Counter[Task] = Counter()
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.task for worker in workers):
            while len(workers) < min(shape.processes, len(tasks)):
                slot = min(set(range(shape.processes)) - {worker.slot for worker in workers})
                workers.append(_Worker.start(slot, shape))
            for worker in workers:
                if worker.task is None and waiting:
                    worker.give(waiting.popleft())
            busy = {worker.line: worker for worker in workers if worker.task}
            for line in wait(list(busy)):
                worker = busy[line]  # type: ignore[index]
                task, worker.task = worker.task, None
                assert task is not None
                try:
                    record = worker.line.recv()
                except (EOFError, OSError):  # it died: killed, or out of memory
                    workers.remove(worker)
                    worker.stop()
                    deaths[task] += 1
                    if deaths[task] < TRIES:
                        waiting.append(task)
                        continue
                    record = failure(f"its process died {TRIES} times; was there enough memory?")
                yield task, record
    finally:
        for worker in workers:
            worker.stop()


@dataclass
class _Worker:
    """A process, the line to it, and what it is at."""

    slot: int  # of its GPU, too
    process: multiprocessing.process.BaseProcess
    line: Connection
    task: Task | None = None

    @classmethod
    def start(cls, slot: int, shape: Layout) -> "_Worker":
        # Spawned, not forked: torch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        ours, its = context.Pipe()
        environment = {"OMP_NUM_THREADS": str(shape.threads)}
        if shape.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(slot % shape.gpus)
        process = context.Process(target=_serve, args=(its, shape.memory, environment), daemon=True)
        process.start()
        its.close()  # ours would keep it open, and we would not see the process die
        return cls(slot, process, ours)

    def give(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # it died; whoever waits for it will see
            self.line.send(task)

    def stop(self) -> None:
        self.process.kill()  # files appear whole or not at all, so nothing is lost
        self.process.join()
        self.line.close()


def _serve(line: Connection, memory: float, environment: dict[str, str]) -> None:
    os.environ.update(environment)  # before torch is imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who gave the work
    warnings.simplefilter("ignore")  # of libraries as they are imported; ours are in the records
    logging.disable()
    from impasto.batch.work import paint

    with contextlib.suppress(EOFError, OSError):  # that one is gone
        while True:
            line.send(paint(line.recv(), memory))


def _gpus() -> int:
    if shutil.which("nvidia-smi") is None:  # without one, torch need not be imported here
        return 0
    import torch

    return torch.cuda.device_count()
