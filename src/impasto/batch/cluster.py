"""A Ray cluster: the same work as tasks of Ray, which starts them anew where a worker dies.

Every machine needs Impasto, and the same paths: a shared folder.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Generator, Sequence
from typing import Any

from impasto.batch.local import TRIES
from impasto.batch.manifest import Record
from impasto.batch.tasks import Task
from impasto.batch.work import failure, paint
from impasto.device import usable_cpus
from impasto.errors import SettingsError
from impasto.style.settings import DEFAULT_MEMORY

AHEAD = 2  # tasks in Ray's hands for each core or GPU: no worker waits, and a million tasks do not fill its tables
STORE = 100_000_000  # bytes of Ray's object store on this machine: pictures go through files, not through it


def run(tasks: Sequence[Task], address: str | None = None) -> Generator[tuple[Task, Record]]:
    """Do `tasks` on the cluster at `address`, or on one of this machine's cores. Closing the generator ends them.

    Raises:
        SettingsError: Ray is not installed, or there is no cluster.
    """
    if not tasks:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told
    try:
        import ray
    except ImportError as error:
        raise SettingsError("ray is not installed: pip install 'impasto[ray]'") from error
    if address and address != "auto":
        _check_reachable(address)
    stops = signal.getsignal(signal.SIGTERM)
    own: dict[str, Any] = {"num_cpus": usable_cpus(), "object_store_memory": STORE, "include_dashboard": False}
    try:
        ray.init(
            address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **({} if address else own)
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        token = "; if your cluster asks for a token, set RAY_AUTH_MODE=token" if address else ""
        raise SettingsError(f"Ray does not answer: {error}{token}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stops)  # Ray sets its own, by which a batch would end without a word
    try:
        resources = ray.cluster_resources()
        cores, gpus = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
        memory = min(DEFAULT_MEMORY, resources["memory"] / cores / 1e9)
        remote = ray.remote(num_cpus=1, num_gpus=min(1, gpus), max_retries=TRIES - 1)(paint)
        waiting = iter(tasks)
        running: dict[ray.ObjectRef, Task] = {}
        while True:
            while len(running) < AHEAD * (gpus or cores) and (task := next(waiting, None)):
                running[remote.remote(task, memory)] = task
            if not running:
                return
            done, _ = ray.wait(list(running))
            for reference in done:
                task = running.pop(reference)
                try:
                    yield task, ray.get(reference)
                except ray.exceptions.RayError as error:
                    yield task, failure(f"Ray gave it up: {str(error).splitlines()[0]}")
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise SettingsError(f"there is no Ray cluster at {address}: {error}") from error
