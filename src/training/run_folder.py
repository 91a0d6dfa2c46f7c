"""A training run's folder: resolved config, metrics.jsonl, run.json, TensorBoard events, checkpoints, curves."""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from src.config import dump_config, flat_keys, load_config
from src.errors import UserError
from src.files import read_lines, write_text
from src.schema import Config

if TYPE_CHECKING:
    from src.training.events import Events
    from src.training.sessions import Sessions

# Keys that may differ when a run is resumed: none of them changes the training so far.
FREE_TO_CHANGE = (
    "data.root", "data.records", "data.workers", "data.val_split", "data.eval_transforms", "eval", "report", "device",
    "train.iterations", "train.eval_every", "train.checkpoint_every", "train.log_every", "train.max_bad_steps",
)  # fmt: skip


class RunFolder:
    """Paths and files of one run. Nothing is created before `open`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.last = self.path / "checkpoints" / "last.ckpt"
        self.previous = self.path / "checkpoints" / "previous.ckpt"  # the last.ckpt before
        self.best = self.path / "checkpoints" / "best.ckpt"
        self.curves = self.path / "curves.png"
        self.report = self.path / "report.html"
        self._metrics: TextIO | None = None
        self._tensorboard: Events | None = None
        self._sessions: Sessions | None = None

    def resume_from(self, resume: str, config: Config) -> Path | None:
        """Return the checkpoint to continue from, or None to start anew.

        Args:
            resume: ``auto`` (continue if the folder holds a run), ``never``, or a checkpoint's path.

        Raises:
            UserError: ``never`` on a folder that holds a run, or settings that differ from that run's.
        """
        if resume not in ("auto", "never"):
            return Path(resume)
        if not self.last.is_file() and not self.previous.is_file():
            return None
        if resume == "never":
            raise UserError(f"{self.path} already holds a run; choose another --output, or remove that folder")
        self._check_same_experiment(config)
        return self.last

    def open(self, config: Config, step: int) -> None:
        """Create the folder, save the resolved config, and drop what was logged after ``step``.

        A killed run may have logged steps after its last checkpoint; they are repeated and would otherwise appear
        twice.
        """
        from src.training.events import Events
        from src.training.sessions import Sessions

        try:
            self.last.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.config_file, dump_config(config))
            kept = [line for line in self.read_metrics() if line["step"] <= step] if step else []
            write_text(self.metrics_file, "".join(json.dumps(line) + "\n" for line in kept))
            self._metrics = self.metrics_file.open("a", encoding="utf-8")
            self._tensorboard = Events(self.path / "tensorboard", step + 1)
            self._sessions = Sessions(self.path / "run.json", step)
        except OSError as error:
            raise UserError(f"--output {self.path}: cannot be written ({error.strerror or error})") from None

    def log(self, values: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl and its numbers to TensorBoard. NaN is written as null."""
        clean = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in values.items()
        }
        assert self._metrics and self._tensorboard and self._sessions, "nothing is logged before `open`"
        group = values.get("split", "train")
        numbers = {
            f"{group}/{key}": value
            for key, value in clean.items()
            if isinstance(value, (int, float)) and key not in ("step", "epoch")
        }
        try:
            self._metrics.write(json.dumps(clean) + "\n")
            self._metrics.flush()
            self._tensorboard.add(numbers, values["step"])
            self._sessions.entry["to_step"] = values["step"]
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror}); the same command continues") from None

    def close(self) -> None:
        """Close the files and note the time; what does not fit on a full disk is lost."""
        if self._sessions:
            with suppress(OSError):
                self._sessions.end()
        for file in (self._metrics, self._tensorboard):
            if file:
                with suppress(OSError):
                    file.close()

    def read_metrics(self) -> list[dict[str, Any]]:
        """All complete lines of metrics.jsonl."""
        return read_lines(self.metrics_file)

    def differences(self, config: Config, free: Sequence[str] = FREE_TO_CHANGE) -> list[str]:
        """What ``config`` has otherwise than the run in the folder, as ``key: old -> new``.

        Args:
            free: keys and sections that may differ.
        """
        old, new = (flat_keys(c) for c in (load_config(self.config_file), config))
        return [
            f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and not any(f"{key}.".startswith(f"{f}.") for f in free)
        ]

    def _check_same_experiment(self, config: Config) -> None:
        """Refuse to resume with a config that would have trained something else.

        Raises:
            UserError: names the keys with the old and the new value.
        """
        if changed := self.differences(config):
            raise UserError(
                f"{self.path} holds a run with other settings, which cannot be resumed:\n  "
                + "\n  ".join(changed)
                + "\nuse the settings it was started with, or another --output"
            )
