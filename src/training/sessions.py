"""When and on what a run was trained: ``run.json``, one entry for each start of the training."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import mindspore as ms

from src.files import read_json, write_text
from src.parallel import world_size
from src.provenance import commit, environment, now


class Sessions:
    """The entries of a run's starts; a new one is added now.

    Args:
        path: of the file; entries that it has are kept.
        step: the last one before this start.

    Raises:
        OSError: it cannot be written; of all methods.
    """

    def __init__(self, path: Path, step: int):
        self.path = path
        self.entry: dict[str, Any] = {
            "started": now(),
            "ended": None,  # stays so if the training is killed
            "from_step": step,
            "to_step": step,
            "command": shlex.join(["python", *sys.argv]),
            "commit": commit(),
            "device": ms.get_context("device_target"),
            "workers": world_size(),
            "environment": environment(),
        }
        self.entries = [*(read_json(path) or []), self.entry] if step else [self.entry]
        self._write()

    def end(self) -> None:
        """Note when the training ended."""
        self.entry["ended"] = now()
        self._write()

    def _write(self) -> None:
        write_text(self.path, json.dumps(self.entries, indent=2) + "\n")
