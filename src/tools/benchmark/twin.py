"""Run a PyTorch twin of a configuration in an environment of its own."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.schema import Config
from src.tools.benchmark.cases import ROOT

FOLDER = ROOT / "benchmarks"
PYTHON = FOLDER / ".venv" / "bin" / "python"
# What a tuned twin adds: memory is kept instead of given back to the system and cleared again at every step.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_TOP_PAD_": str(2**26)}


def check_environment() -> None:
    """Refuse to start without the twins' environment.

    Raises:
        UserError: there is none; the message says how to make it.
    """
    if not PYTHON.is_file():
        raise UserError(
            f"{PYTHON}: not found; the PyTorch twins need an environment of their own: bash benchmarks/setup.sh"
        )


def run_twin(part: str, config: Config, classes: int, tuned: bool = False, **job: Any) -> dict[str, Any]:
    """Run a job of ``benchmarks/run.py``, which explains its parts and what else ``job`` has; return its result.

    Raises:
        UserError: it failed; the message is the end of what it wrote.
    """
    check_environment()
    job = {"part": part, "config": config.model_dump(mode="json"), "classes": classes, "tuned": tuned, **job}
    environment = first_environment() | (ALLOCATOR if tuned else {})
    for name in ("ONEDNN_MAX_CPU_ISA", "PYTHONPATH"):  # for MindSpore's library, for this environment's packages
        environment.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job, default=str), encoding="utf-8")
        return json.loads(run([PYTHON, FOLDER / "run.py", file], environment, "the PyTorch twin").splitlines()[-1])


def run(command: list, environment: dict[str, str], what: str) -> str:
    """Run a program in the folder of the checkout and return what it wrote to standard output.

    Raises:
        UserError: the program failed.
    """
    words = list(map(str, command))
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{what} failed with status {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def first_environment() -> dict[str, str]:
    """The environment that this process was started with, without what importing ``src`` sets for MindSpore."""
    try:
        entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # not Linux
        return dict(os.environ)
    pairs = (os.fsdecode(entry).partition("=") for entry in entries if entry)
    return {name: value for name, _, value in pairs}
