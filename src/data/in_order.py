"""Work on many items on all cores: results in the order of the items, a bounded number in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in the order of the items.

    Threads, not processes: decoding and encoding release the interpreter's lock, results need no copying, and
    processes cannot be forked once MindSpore runs. An exception is raised where its result would have been.

    Args:
        workers: number of threads; None: one per core. At most twice as many items are at work, waiting, or with the
            caller.
    """
    workers = workers or cores()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))
