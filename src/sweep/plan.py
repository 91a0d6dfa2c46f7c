"""The file of a sweep, and the trainings that it asks for."""

import os
import re
import shlex
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from src.config import load_config, read_layer
from src.errors import UserError, listing
from src.schema import Config
from src.schema.base import Natural, Section
from src.schema.messages import explain
from src.training.run_folder import RunFolder

TRAIN = Path(__file__).parents[2] / "train.py"
NAME = re.compile(r"\w[\w.+-]*")
# Keys that do not change what is trained and scored.
HARMLESS = (
    "data.root", "data.records", "data.workers", "device", "train.checkpoint_every", "train.log_every",
    "train.max_bad_steps", "report",
)  # fmt: skip


class SweepFile(Section):
    """A sweep: every variant is trained with every seed."""

    config: str | None = None
    """Config of the variants that name none of their own, relative to the sweep's file."""
    seeds: Annotated[list[Natural], Field(min_length=1)] = [0]
    """Values of `train.seed`."""
    set: dict[str, Any] = {}
    """Keys and values laid over the config of every variant."""
    variants: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]
    """Name: keys and values laid over those of `set`, or nothing; `config` names a config of the variant's own."""
    feature_report: bool = False
    """Add the ratio intra/inter of `feature_report` to the table."""


@dataclass(frozen=True)
class Run:
    """One training of a sweep.

    Attributes:
        overrides: what ``--set`` gets.
        config: what comes of the file and the overrides.
    """

    variant: str
    seed: int
    file: Path
    overrides: list[str]
    config: Config
    folder: RunFolder

    @property
    def train(self) -> list[str]:
        """The command of its training."""
        folder = str(self.folder.path)
        return [os.path.relpath(TRAIN), "--config", str(self.file), "--output", folder, "--set", *self.overrides]

    @property
    def report(self) -> list[str]:
        """The command of its feature report."""
        best, output = str(self.folder.best), str(self.features)
        config = str(self.folder.config_file)
        return ["-m", "src.tools.feature_report", "--config", config, "--checkpoint", best, "--output", output]

    @property
    def features(self) -> Path:
        """Folder of the feature report."""
        return self.folder.path / "features"

    @property
    def name(self) -> str:
        """Its folder below the sweep's."""
        return f"{self.variant}/seed_{self.seed}"

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.variant}, seed {self.seed}"


@dataclass(frozen=True)
class Sweep:
    """A sweep that has been checked.

    Attributes:
        runs: all variants with the first seed, then all with the next: a sweep that is cut short compares them all.
    """

    file: Path
    folder: Path
    settings: SweepFile
    runs: list[Run]

    def matching(self, patterns: list[str]) -> list[Run]:
        """The runs whose variant, or ``VARIANT/seed_N``, matches one of the patterns of a shell.

        Raises:
            UserError: a pattern matches none.
        """
        found: list[Run] = []
        for pattern in patterns:
            matched = [run for run in self.runs if any(fnmatchcase(name, pattern) for name in (run.variant, run.name))]
            if not matched:
                known = ", ".join(run.name for run in self.runs)
                raise UserError(f"--only {pattern}: matches no run of {self.file}; it has {known}")
            found += matched
        return [run for run in self.runs if run in found]

    def check_folders(self) -> None:
        """Refuse to go on in the folders of other runs.

        Raises:
            UserError: a run's folder holds a training with other settings.
        """
        for run in self.runs:
            begun = run.folder.config_file.is_file()
            if begun and (changed := run.folder.differences(run.config, HARMLESS)):
                raise UserError(
                    f"{run.folder.path} holds a run with other settings:\n{listing(changed)}\n"
                    "choose another --output, or remove that folder"
                )


def shown(command: list[str]) -> str:
    """A command as one types it."""
    return shlex.join(["python", *command])


def executed(command: list[str]) -> list[str]:
    """A command as it is started."""
    return [sys.executable, *command]


def read_sweep(file: Path, folder: Path | None) -> Sweep:
    """Read a sweep and check every variant against the schema.

    Args:
        folder: for all runs and the table; by default ``runs/<name of the file>``.

    Raises:
        UserError: the file or a config is missing or not YAML, or a key or a value is wrong.
    """
    try:
        settings = SweepFile.model_validate(read_layer(file))
    except ValidationError as error:
        raise UserError(explain(error, SweepFile, lambda key: str(file))) from None
    if len(set(settings.seeds)) < len(settings.seeds):
        raise UserError(f"{file}: seeds: {settings.seeds} names a seed twice")
    folder = folder or Path("runs") / file.stem
    runs = [_run(file, settings, name, seed, folder) for seed in settings.seeds for name in settings.variants]
    return Sweep(file, folder, settings, runs)


def _run(file: Path, settings: SweepFile, variant: str, seed: int, folder: Path) -> Run:
    place = f"{file}: variants.{variant}"
    if not NAME.fullmatch(variant):
        raise UserError(f"{place}: expected a name of letters, digits and _ . + -, which becomes a folder")
    own = dict(settings.variants[variant] or {})
    base = own.pop("config", settings.config)
    if not isinstance(base, str):
        raise UserError(f"{place}: config: expected the name of a file, here or above the variants, found {base!r}")
    values = {**settings.set, **own}
    if "train.seed" in values:
        raise UserError(f"{place}: train.seed: the seeds of a sweep are those of 'seeds'")
    config_file = Path(os.path.normpath(file.parent / base))
    overrides = [f"{key}={_text(value)}" for key, value in {**values, "train.seed": seed}.items()]
    try:
        config = load_config(config_file, overrides)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    if not config.train.eval_every:
        raise UserError(f"{place}: train.eval_every: found 0, expected the steps between scores, which are compared")
    return Run(variant, seed, config_file, overrides, config, RunFolder(folder / variant / f"seed_{seed}"))


def _text(value: Any) -> str:
    """A value as ``--set`` reads it."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"))
    return text.removesuffix("...\n").strip()
