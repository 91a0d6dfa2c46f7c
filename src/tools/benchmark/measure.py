"""Repeat a piece of work and time it."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from src.memory import peak_memory


@dataclass(frozen=True)
class Work:
    """What is measured: one call of ``step`` handles ``images`` images; ``what`` describes its input."""

    step: Callable[[], object]
    images: int
    what: str
    parameters: int | None = None  # trained ones of the whole network, where it is run


def measure(work: Work, warmup: int, steps: int) -> dict[str, Any]:
    """Time ``work``; the first call, which compiles, is reported on its own."""
    from src import device

    start = time.perf_counter()
    work.step()
    first = time.perf_counter() - start
    device.pin_threads()
    for _ in range(warmup):
        work.step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        work.step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return {
        "first_seconds": round(first, 3),
        "median_seconds": round(median, 4),
        "slowest_seconds": round(max(seconds), 4),
        "images_per_second": round(work.images / median, 2),
        "peak_memory_gib": round(peak_memory(), 2),
        "steps": steps,
        "warmup": warmup,
        "seconds": seconds,
    }
