"""Compare cases with their PyTorch twins: every side in a process of its own, one after the other."""

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.config import dump_config, load_config
from src.errors import UserError
from src.files import write_text
from src.schema import Config
from src.tools.benchmark.cases import CASES, SCENES, Case
from src.tools.benchmark.twin import check_environment, first_environment, run, run_twin

SIDES = ("ours", "torch", "tuned")
Figures = dict[str, Any]


def compare(
    names: Sequence[str], overrides: Sequence[str], rounds: int, steps: int, warmup: int, file: Path | None
) -> None:
    """Measure the cases and print one table.

    Raises:
        UserError: there is no environment for the twins, a side failed, or a twin has another number of parameters.
    """
    from src.provenance import commit, now

    check_environment()
    results: dict[str, dict[str, list[Figures]]] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = _case(name, overrides, rounds, {"steps": steps, "warmup": warmup}, Path(folder))
    print(f"{commit() or 'no commit'}, {now()}: medians of {steps} steps after {warmup}, rounds: {rounds}")
    print(table(results))
    if file:
        record = {"commit": commit(), "date": now(), "rounds": rounds, "steps": steps, "warmup": warmup}
        write_text(file, json.dumps({**record, "set": list(overrides), "cases": results}, indent=1) + "\n")


def _case(
    name: str, overrides: Sequence[str], rounds: int, counts: dict[str, int], folder: Path
) -> dict[str, list[Figures]]:
    """Results of the rounds, by side; every second round runs the sides in reverse, as a machine's speed drifts."""
    from src.tools.benchmark.steps import num_classes

    case = CASES[name]
    config = case_config(case, overrides, folder)
    job: dict[str, Any] = {"part": "train-step", **counts}
    if case.part == "evaluate":
        job |= {"part": "eval", "folder": folder}
        _write_images(config, folder)
    classes = num_classes(config)
    results: dict[str, list[Figures]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in reversed(SIDES) if number % 2 else SIDES:
            if side == "ours":
                figures = _run_ours(case.part, config, counts, folder)
            else:
                figures = run_twin(config=config, classes=classes, tuned=side == "tuned", **job)
            results[side].append(figures)
            progress = f"{name}, round {number + 1}, {side}: {figures['median_seconds']:.3f} s"
            print(progress, file=sys.stderr, flush=True)
            check_parameters(name, results)
    return results


def case_config(case: Case, overrides: Sequence[str], folder: Path) -> Config:
    """Configuration of a case; its records are in ``folder``, and made from scenes if it needs images and has none."""
    fixed = [*case.overrides, *overrides, f"data.records={folder / 'records'}", "data.shards=1"]
    config = load_config(case.config, fixed)
    if case.part == "evaluate" and config.data.root is None:
        config = load_config(case.config, [*SCENES, *fixed])
    return config


def _write_images(config: Config, folder: Path) -> None:
    """Make the records of a configuration, and folders with the same images and labels for the twin."""
    from mindspore.mindrecord import FileReader

    from src.data.preparation import ensure_records

    data = config.data
    ensure_records(data, [data.val_split])
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for row in FileReader(f"{data.records}/{data.val_split}.mindrecord").get_next():
        for kind, column in (("images", "image"), ("labels", "label")):
            (folder / kind / str(row["name"])).write_bytes(row[column])


def _run_ours(part: str, config: Config, counts: dict[str, int], folder: Path) -> Figures:
    settings, result = folder / "config.yaml", folder / "result.json"
    settings.write_text(dump_config(config), encoding="utf-8")
    options = [word for name, count in counts.items() for word in (f"--{name}", count)]
    command = [sys.executable, "-m", "src.tools.benchmark", part, "--config", settings, "--json", result, *options]
    run(command, first_environment(), "the measurement of this project")
    return json.loads(result.read_text(encoding="utf-8"))


def check_parameters(name: str, results: dict[str, list[Figures]]) -> None:
    """Refuse to compare networks that differ.

    Raises:
        UserError: two sides have different numbers of parameters.
    """
    counts = {side: found[0]["parameters"] for side, found in results.items() if found}
    if len(set(counts.values())) > 1:
        raise UserError(
            f"{name}: the numbers of parameters differ ({', '.join(f'{k} {v:,}' for k, v in counts.items())}); "
            "the twin in benchmarks/twins must be the same network"
        )


def table(results: dict[str, dict[str, list[Figures]]]) -> str:
    """One line per case: the median of the rounds' medians of each side, ratios, and the largest peak memory."""
    head = f"{'case':<16} {'unit':<9}{''.join(f'{side:>8}' for side in SIDES)}"
    head += "".join(f"{f'ours/{side}':>12}" for side in SIDES[1:]) + "".join(f"{f'GiB {side}':>11}" for side in SIDES)
    lines = [head]
    for name, sides in results.items():
        evaluated = CASES[name].part == "evaluate"
        figure = "images_per_second" if evaluated else "median_seconds"
        medians = {side: statistics.median(found[figure] for found in sides[side]) for side in SIDES}
        line = f"{name:<16} {'images/s' if evaluated else 's/step':<9}"
        line += "".join(f"{medians[side]:>8.3f}" for side in SIDES)
        line += "".join(f"{medians['ours'] / medians[side]:>12.2f}" for side in SIDES[1:])
        line += "".join(f"{max(found['peak_memory_gib'] for found in sides[side]):>11.2f}" for side in SIDES)
        lines.append(line)
    return "\n".join(lines)
