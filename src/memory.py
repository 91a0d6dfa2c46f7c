"""Memory of this process."""

from pathlib import Path


def peak_memory() -> float:
    """Largest resident memory of this process so far, in GiB.

    Not ``ru_maxrss``, which starts at the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20
