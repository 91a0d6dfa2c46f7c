"""From what a user names, a file or a run folder, to the weights and the config they belong to."""

from collections.abc import Sequence
from pathlib import Path

from src.config import load_config, make_config
from src.errors import UserError
from src.schema import Config

EXPORTS = (".mindir", ".onnx")  # files with a description beside them


def find_weights(path: str | Path) -> Path:
    """The file to open: ``path`` itself, or of a run folder its ``best.ckpt``, or else its ``last.ckpt``.

    Raises:
        UserError: the folder holds no checkpoint.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    candidates = [path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    found = next((file for file in candidates if file.is_file()), None)
    if not found:
        raise UserError(f"{path}: not a run folder (no checkpoints/best.ckpt or last.ckpt); name a checkpoint")
    return found


def run_name(weights: Path) -> str:
    """A name for results: that of the run folder in which the file lies, or else of the file."""
    folder = weights.parent.parent if weights.parent.name == "checkpoints" else weights.parent
    return folder.resolve().name if (folder / "config.yaml").is_file() else weights.stem


def find_config(weights: Path, file: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The config of a checkpoint or an exported file: ``file`` if it is given, or else the one that it carries.

    Checkpoints of earlier versions carry none; for those in a run folder its ``config.yaml`` is taken.

    Args:
        weights: as `find_weights` returns it.
        overrides: of ``--set``, on top of either.

    Raises:
        UserError: there is no config, or it is not valid.
    """
    if file:
        return load_config(file, overrides)
    values = _carried(weights)
    if isinstance(values, dict):
        return make_config(values, overrides, f"config inside {weights}")
    beside = weights.parent.parent / "config.yaml"
    if weights.parent.name == "checkpoints" and beside.is_file():
        return load_config(beside, overrides)
    raise UserError(f"{weights}: carries no config (an earlier version or another program wrote it); add --config FILE")


def _carried(weights: Path) -> object:
    # These import MindSpore, which takes seconds; a mistake in a config file is told before.
    from src.checkpoint import load_checkpoint
    from src.inference.exported import read_description

    if weights.suffix in EXPORTS:
        if not weights.is_file():
            raise UserError(f"checkpoint not found: {weights}")
        return read_description(weights).get("config")
    return load_checkpoint(weights).meta.get("config")
