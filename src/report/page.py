"""report.html: one file with all it needs, which opens without a network.

Its parts lie in ``assets``: the page, its style, and its scripts, which build everything from the data that is put into
it as JSON. The curves are drawn by uPlot (MIT license, ``assets/uplot``).
"""

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from src.files import write_text
from src.provenance import commit, now
from src.report.runs import read_runs
from src.report.shown_images import collect, select

IMAGES = 500  # at most
MOST_BYTES = 28_000_000  # of a page; images are left out until it has no more
# In the order in which they need each other.
SCRIPTS = (
    "common.js", "overview.js", "curves.js", "config.js", "tables.js", "classes.js", "matrix.js", "layers.js",
    "cards.js", "viewer.js", "gallery.js", "start.js",
)  # fmt: skip


def write_report(folders: Sequence[Path], output: Path, images: int = IMAGES) -> Path:
    """Write the report of one or several runs and return its path.

    Args:
        folders: of trainings or evaluations, see `read_runs`; differences are to the first of them.
        images: most images shown.

    Raises:
        UserError: a folder cannot be read.
    """
    write_text(output, build_page(read_runs(folders), images))
    return output


def build_page(runs: list[dict[str, Any]], images: int = IMAGES) -> str:
    """Return the page of ``runs`` (from `read_runs`)."""
    evaluated = [run["evaluation"] for run in runs if run["evaluation"]]
    data: dict[str, Any] = {
        "created": now(),
        "commit": commit(),
        "runs": [_without_images(run) for run in runs],
        "imagesScored": max((evaluation["scores"]["images"] for evaluation in evaluated), default=0),
    }
    page = _fill(
        _asset("page.html"),
        title=escape(", ".join(run["name"] for run in runs)),
        style=_asset("uplot/uPlot.min.css") + _asset("page.css"),
        library=_asset("uplot/uPlot.iife.min.js"),
        script="\n".join(_asset(name) for name in SCRIPTS),
    )
    room = MOST_BYTES - len(page.encode()) - len(embed(data))
    data["images"], pictures = select(collect(runs), images, room)
    return _fill(page, data=embed(data), pictures=embed(pictures))


def embed(data: Any) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment there."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _fill(page: str, **parts: str) -> str:
    for name, text in parts.items():
        before, after = page.split(f"<!--{name}-->")
        page = before + text + after
    return page


def _without_images(run: dict[str, Any]) -> dict[str, Any]:
    evaluation = run["evaluation"]
    kept = evaluation and {key: value for key, value in evaluation.items() if key not in ("images", "config")}
    return {**run, "evaluation": kept}


def _asset(name: str) -> str:
    return (files("src.report") / "assets" / name).read_text(encoding="utf-8")
