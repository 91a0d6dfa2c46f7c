"""Where a result comes from: the time, the commit of the program, and what it runs on. Needs no MindSpore."""

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("mindspore", "numpy", "opencv-python-headless")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def commit() -> str | None:
    """The commit of the program, with ``-dirty`` where files differ from it; None without git."""
    root = str(Path(__file__).parents[1])
    command = ["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment() -> dict[str, str]:
    """Names of facts about this machine and its software -> their values, for people to read."""
    packages = {name: found for name in PACKAGES if (found := _version(name))}
    return {
        "python": platform.python_version(),
        **packages,
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "cores": str(os.cpu_count() or 1),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Its model where Linux tells it, otherwise its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
