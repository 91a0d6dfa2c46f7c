"""Run the commands of the project in tests, as a user would."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
    """Start a program of the project in a process of its own, its output in one pipe, line by line."""
    return subprocess.Popen(
        [sys.executable, "-u", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def read_until(process: subprocess.Popen, text: str) -> str:
    """Read the process's output up to the first line with ``text``; fail if it ends before."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"'{text}' never appeared; the program ended with {process.wait()}:\n{''.join(lines)}")
