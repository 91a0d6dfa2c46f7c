"""Runs as report.html shows them, read from their folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.config import flat_keys, load_config
from src.errors import UserError
from src.files import read_json, read_lines

EVALUATION = "report.json"  # in the folder of a training or of an evaluation
VERSION = 1  # of that file
TRAINING = ""  # the name of the training steps among those of the splits
MOST_POINTS = 3000  # of a curve; of longer ones every second, third, ... point is shown
ALL_POINTS = 60_000  # of the curves of all runs that are drawn over each other


def read_runs(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Read the folders of trainings (of train.py) and evaluations (of eval.py).

    Returns:
        For each: ``name``, ``folder``, ``config`` {whole key: value}, ``curves`` {split or `TRAINING`: {name: values}},
        ``thinned`` (every n-th point is shown), ``sessions`` (entries of run.json) and ``evaluation`` (report.json, or
        None).

    Raises:
        UserError: a folder is missing, given twice, or holds neither a training nor an evaluation, or a file in it is
            damaged.
    """
    paths = [folder.resolve() for folder in folders]
    for folder, path in zip(folders, paths, strict=True):
        if paths.count(path) > 1:
            raise UserError(f"{folder}: is given twice; name every run once")
    most = max(1, min(MOST_POINTS, ALL_POINTS // max(1, len(paths))))
    return [{"name": name, **_read_run(folder, most)} for name, folder in zip(short_names(paths), folders, strict=True)]


def _read_run(folder: Path, most_points: int) -> dict[str, Any]:
    config, lines = folder / "config.yaml", read_lines(folder / "metrics.jsonl")
    evaluation = _read_evaluation(folder / EVALUATION)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the folder of a run, such as runs/quickstart")
    if not lines and not evaluation:
        raise UserError(
            f"{folder}: holds no run: neither the metrics.jsonl of train.py nor the {EVALUATION} of eval.py was found"
        )
    curves, every = _curves(lines, most_points)
    return {
        "folder": str(folder),
        "config": flat_keys(load_config(config)) if config.is_file() else (evaluation or {}).get("config", {}),
        "curves": curves,
        "thinned": every,
        "sessions": read_json(folder / "run.json") or [],
        "evaluation": evaluation,
    }


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    content = read_json(path)
    found = content.get("version") if isinstance(content, dict) else None
    if found != VERSION:
        what = "is damaged" if found is None else f"is of version {found}, expected {VERSION}"
        raise UserError(f"{path}: {what}; remove it, or write it again with eval.py")
    return content


def _curves(lines: list[dict[str, Any]], most_points: int) -> tuple[dict[str, dict[str, list]], int]:
    """Columns of the lines of metrics.jsonl: of the training steps, and of the evaluations of each split."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(line.get("split", TRAINING), []).append(line)
    every = max(1, -(-len(groups.get(TRAINING, ())) // most_points))
    curves = {}
    for split, group in groups.items():
        shown = group[:: every if split == TRAINING else 1]
        names = dict.fromkeys(name for line in shown for name in line if name != "split")
        curves[split] = {name: [line.get(name) for line in shown] for name in names}
    return curves, every


def short_names(paths: Sequence[Path]) -> list[str]:
    """The parts of the paths that tell the folders apart, for example ``ecenet/seed_0``; of one path its last part."""
    parts = [path.parts for path in paths]
    if len(parts) == 1:
        return [paths[0].name]
    start = next(i for i in range(max(map(len, parts))) if len({part[: i + 1] for part in parts}) > 1)
    shortest = min(map(len, parts)) - start
    same_end = next((i for i in range(max(shortest, 0)) if len({part[-1 - i] for part in parts}) > 1), max(shortest, 0))
    names = ["/".join(part[start : len(part) - same_end]) or part[-1] for part in parts]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
