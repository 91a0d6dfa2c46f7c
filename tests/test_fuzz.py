"""Two thousand damaged files for every reader: see tests/fuzz.py."""

import subprocess
import sys

import pytest

from tests.commands import ROOT
from tests.fuzz import READERS


def fuzz(reader, folder, count, seed=0, seconds=3000):
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", reader, folder, str(count), str(seed)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds,
    )  # fmt: skip
    number = (folder / "number").read_text() if (folder / "number").exists() else "none"
    assert done.returncode == 0, f"ended with {done.returncode} at file {number}:\n{done.stderr[-6000:]}"
    print(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_two_thousand_damaged_files(reader, tmp_path):
    fuzz(reader, tmp_path, 2000)


def test_some_damaged_files(tmp_path):
    """A few of those that need no MindSpore, in every run of the tests."""
    for reader in ("torch_files", "configs"):
        fuzz(reader, tmp_path / reader, 60)
