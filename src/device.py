"""Choice and set-up of the back end: device, execution mode, threads."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mindspore as ms

from src import parallel
from src.errors import UserError
from src.native import library
from src.native.build import BuildError
from src.native.start import start
from src.signals import in_main_thread

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}


@contextmanager
def execution_mode(mode: str) -> Iterator[None]:
    """Use ``graph`` or ``pynative`` in this thread for a while; every thread of MindSpore has a mode of its own."""
    before = ms.get_context("mode")
    ms.set_context(mode=MODES[mode])
    try:
        yield
    finally:
        ms.set_context(mode=before)


def setup(target: str = "auto", mode: str = "graph", native: str = "auto") -> str:
    """Select the device and the execution mode, join the other workers if any; return the device that is used.

    Args:
        target: ``auto`` takes the first of Ascend, GPU and CPU that this MindSpore and machine offer.
        mode: ``graph`` (compiled) or ``pynative``.
        native: whether a CPU uses the native kernels: ``auto`` (if they can be compiled), ``on`` or ``off``.

    Raises:
        UserError: the requested device is not available, or the native kernels are ``on`` and not available.
    """
    available = [name for name in ("Ascend", "GPU") if ms.hal.is_available(name)] + ["CPU"]
    chosen = available[0] if target == "auto" else target
    if chosen not in available:
        raise UserError(
            f"device.target: {chosen} is not available here (this MindSpore offers {', '.join(available)}); "
            "use auto, or install the MindSpore build for that device"
        )
    ms.set_device(chosen)
    ms.set_context(mode=MODES[mode])
    if chosen == "CPU":
        settle_pynative()
        start_native(native)
    parallel.start()
    return chosen


def start_native(mode: str) -> None:
    """Load the native kernels; this machine's workers share its cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        start(mode, max(1, cores // parallel.local_world_size()))
    except BuildError as error:
        raise UserError(f"device.native: on, but the native kernels cannot be used: {error}; use auto or off") from None


def settle_pynative() -> None:
    """Run PyNative's operators one after the other on a CPU.

    Its pipeline of waiting threads takes the cores from the operators and makes a training step several times slower
    (docs/performance.md).
    """
    ms.set_context(pynative_synchronize=True)


def keep_signal_handlers() -> None:
    """Give Ctrl-C and SIGTERM back to Python: MindSpore takes them over whenever it compiles a graph.

    Its own handler ends the process at once, without saving. Call this after anything that may have compiled.
    """
    if in_main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number))


def pin_threads() -> None:
    """Give each of MindSpore's CPU worker threads a core of its own.

    Two of them often share a core while another one is idle; pinning makes steps faster. Call it after the first step,
    when the threads exist. Does nothing where there is no /proc (not Linux), and where the native kernels do most of
    the work: theirs are other threads.
    """
    tasks = Path("/proc/self/task")
    if library.loaded() or not tasks.is_dir():
        return
    cores = sorted(os.sched_getaffinity(0))
    workers = [task for task in sorted(tasks.iterdir()) if _name(task).startswith(("ActorThread", "KernelThread"))]
    for index, task in enumerate(workers):
        os.sched_setaffinity(int(task.name), {cores[index % len(cores)]})


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:  # the thread has ended since the folder was listed
        return ""
