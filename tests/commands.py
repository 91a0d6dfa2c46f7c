"""Run the commands of the project in tests, as a user would."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from src.launch.cluster import free_port

ROOT = Path(__file__).parents[1]
# Makes standard input the terminal of the process, and becomes the program.
IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def run_inside(monkeypatch, program: str, *arguments: str) -> int:
    """Run ``train.py`` or a module in this process (importing MindSpore takes seconds); return the status."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    try:
        if program.endswith(".py"):
            runpy.run_path(str(ROOT / program), run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=False)
    except SystemExit as end:
        return end.code or 0
    return 0


def start(*arguments: str) -> subprocess.Popen:
    """Start a program of the project in a process of its own, its output in one pipe, line by line.

    It has no terminal, whether the tests have one or not.
    """
    return _open("-u", *arguments)


def start_in_terminal(*arguments: str) -> tuple[subprocess.Popen, int]:
    """The same in the foreground of a terminal; what is written to the returned file descriptor is typed there."""
    keyboard, terminal = os.openpty()
    process = _open("-c", IN_TERMINAL, sys.executable, "-u", *arguments, stdin=terminal)
    os.close(terminal)
    return process, keyboard


def _open(*arguments: str, stdin: int | None = None) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def read_until(process: subprocess.Popen, text: str) -> str:
    """Read the process's output up to the first line with ``text``; fail if it ends before."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"'{text}' never appeared; the program ended with {process.wait()}:\n{''.join(lines)}")


def msrun(program: str, *arguments, logs: Path, workers: int = 2) -> None:
    """Run a program of the project in several workers on this machine; fail with their logs if one of them fails."""
    command = [
        Path(sys.executable).with_name("msrun"), f"--worker_num={workers}", f"--local_worker_num={workers}",
        "--master_addr=127.0.0.1", f"--master_port={free_port()}", f"--log_dir={logs}", "--join=True",
        "--cluster_time_out=60", program, *arguments,
    ]  # fmt: skip
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "MS_NODE_TIMEOUT": "8", "GLOG_v": "3",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        written = "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(logs.glob("worker_*.log")))
        pytest.fail(f"msrun ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n{written}")
