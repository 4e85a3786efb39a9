import contextvars
import threading
from collections.abc import Iterator

import pytest
import torch

from impasto.ahead import ahead

NAME = contextvars.ContextVar("NAME", default="nobody")


def test_the_same_items_come_in_their_order_from_another_thread() -> None:
    here = threading.get_ident()
    found = list(ahead((i, threading.get_ident()) for i in range(7)))
    assert [i for i, _ in found] == list(range(7))
    assert here not in {thread for _, thread in found} and len({thread for _, thread in found}) == 1
    assert list(ahead(iter(()))) == []


def test_no_more_are_computed_ahead_than_was_said() -> None:
    begun: list[int] = []
    allowed = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for i in range(20):
            begun.append(i)
            yield i
            allowed.release()  # asked for the next one

    found = ahead(items(), most=3)
    for i in range(10):
        assert next(found) == i
        assert len(begun) <= i + 1 + 3
    for _ in range(9):
        assert allowed.acquire(timeout=60)  # and they are computed, though nobody waits for them
    found.close()  # type: ignore[attr-defined]  # a generator


def test_both_halves_work_at_the_same_time() -> None:
    """Each waits for the other: one after the other they would never end."""
    met = threading.Barrier(2, timeout=60)

    def items() -> Iterator[int]:
        yield 0
        met.wait()
        yield 1

    found = ahead(items(), most=1)
    assert next(found) == 0
    later = threading.Thread(target=met.wait)  # what is done with the first
    later.start()
    assert list(found) == [1]
    later.join()


def test_what_goes_wrong_is_raised_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third is damaged")

    found = ahead(items())
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="the third is damaged"):
        next(found)


def test_the_context_is_that_of_who_asks() -> None:
    NAME.set("the visitor")
    assert list(ahead(NAME.get() for _ in range(2))) == ["the visitor"] * 2


def test_torch_has_its_threads_again_afterwards() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        found = ahead(torch.get_num_threads() for _ in range(9))
        assert next(found) == 3 and torch.get_num_threads() == 3
        found.close()  # type: ignore[attr-defined]  # a generator
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)
