"""The table of a sweep, as Markdown for readers and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from src.files import write_text
from src.provenance import commit, now
from src.sweep.plan import Run, Sweep, shown
from src.sweep.record import FINISHED, INTERRUPTED, RUNNING, Record, Scores, read_record, read_scores

FIGURES = {"last": "last mIoU", "best": "best mIoU"}
RATIO = {"ratio": "intra/inter"}

State = tuple[Run, Record, Scores]


def write_table(sweep: Sweep, active: bool = False) -> Path:
    """Write ``table.md`` and ``table.json`` into the sweep's folder from what there is; return the former's path.

    Args:
        active: a sweep is running in the folder, so that a run noted as running is.
    """
    states = [(run, read_record(run), read_scores(run)) for run in sweep.runs]
    for _, record, _ in states:
        if record.status == RUNNING and not active:  # killed
            record.status = INTERRUPTED
    date, present = now(), commit()
    figures = {**FIGURES, **(RATIO if sweep.settings.feature_report else {})}
    variants = {name: [state for state in states if state[0].variant == name] for name in sweep.settings.variants}
    content = {
        "sweep": str(sweep.file),
        "settings": sweep.settings.model_dump(),
        "date": date,
        "commit": present,
        "variants": {name: _variant(own, list(figures)) for name, own in variants.items()},
    }
    path = sweep.folder / "table.md"
    write_text(path.with_suffix(".json"), json.dumps(content, indent=2) + "\n")
    head = f"`{sweep.file}`, {date}, commit {present or 'unknown'}."
    how = "mIoU in percent, over the finished runs: mean (lowest to highest)."
    parts = [f"# Sweep {sweep.file.stem}", f"{head}\n{how}", _summary(variants, figures), "## Runs"]
    parts += [_runs(states, figures), "## Commands", _commands(sweep.runs)]
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def _variant(states: list[State], figures: list[str]) -> dict:
    return {
        "config": str(states[0][0].file),
        **{figure: _spread(_finished(states, figure)) for figure in figures},
        "runs": [
            {"seed": run.seed, **asdict(record), **asdict(scores), "folder": str(run.folder.path),
             "command": shown(run.train), "overrides": run.overrides}
            for run, record, scores in states
        ],
    }  # fmt: skip


def _finished(states: list[State], figure: str) -> list[float]:
    """A figure of all finished runs that have it."""
    values = [getattr(scores, figure) for _, record, scores in states if record.status == FINISHED]
    return [value for value in values if value is not None]


def _spread(values: list[float]) -> dict[str, float] | None:
    return {"mean": sum(values) / len(values), "min": min(values), "max": max(values)} if values else None


def _summary(variants: dict[str, list[State]], figures: dict[str, str]) -> str:
    rows = [["variant", "config", "finished", *figures.values()]]
    for name, states in variants.items():
        done = sum(record.status == FINISHED for _, record, _ in states)
        cells = [_spread_text(_finished(states, figure), figure) for figure in figures]
        rows.append([name, f"`{states[0][0].file}`", f"{done} of {len(states)}", *cells])
    return _markdown(rows)


def _runs(states: list[State], figures: dict[str, str]) -> str:
    rows = [["variant", "seed", "status", "step", *figures.values(), "date", "commit"]]
    for run, record, scores in states:
        cells = [text(getattr(scores, figure), figure) for figure in figures]
        status = f"{record.status}: {record.message}" if record.message else record.status
        step = f"{scores.step} of {run.config.train.iterations}"
        commits = ", ".join(record.commits) or "-"
        rows.append([run.variant, str(run.seed), status, step, *cells, record.date or "-", commits])
    return _markdown(rows)


def _commands(runs: Sequence[Run]) -> str:
    return "\n".join(["```bash", *[shown(run.train) for run in runs], "```"])


def text(value: float | None, figure: str) -> str:
    """A figure as it is shown; a dash if there is none."""
    return "-" if value is None else f"{value:.{4 if figure in RATIO else 2}f}"


def _spread_text(values: list[float], figure: str) -> str:
    spread = _spread(values)
    if not spread:
        return "-"
    several = f" ({text(spread['min'], figure)} to {text(spread['max'], figure)})" if len(values) > 1 else ""
    return text(spread["mean"], figure) + several


def _markdown(rows: list[list[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    head, *body = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
