"""Two halves of a work at the same time: what comes is prepared while what is there is still worked on."""

import contextvars
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

from impasto.device import configure_cpu

T = TypeVar("T")


def ahead(items: Iterator[T], most: int = 2) -> Iterator[T]:
    """The same `items`, computed in a thread of their own while those before are used: at most so many ahead.

    Torch's threads are shared between the two: where there are two processors each half has one, and nobody waits at
    the barriers of others. What goes wrong there is raised here, in its turn.
    """
    configure_cpu()
    count = torch.get_num_threads()
    half, coming = max(1, count // 2), deque[Future[list[T]]]()

    def following() -> list[T]:
        return list(islice(items, 1))  # none at the end

    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(half,)) as thread:
        try:
            while True:
                while len(coming) < most:
                    coming.append(thread.submit(contextvars.copy_context().run, following))
                if not (found := coming.popleft().result()):
                    return
                torch.set_num_threads(half)
                yield found[0]
        finally:
            for future in coming:
                future.cancel()
            torch.set_num_threads(count)
