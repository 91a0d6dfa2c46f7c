"""What a sweep knows of a run: a record of its own in the run's folder, and the scores that the training logged."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from src.files import write_text
from src.provenance import now
from src.sweep.plan import Run

FILE = "sweep.json"
NOT_STARTED, RUNNING, FINISHED, FAILED, INTERRUPTED = "not started", "running", "finished", "failed", "interrupted"


@dataclass
class Record:
    """How far a run has come, as the sweep notes it before and after its commands.

    Attributes:
        message: why it failed.
        commits: of the program, one for each that has trained a part of it.
        date: of the last change, in UTC.
    """

    status: str = NOT_STARTED
    message: str | None = None
    commits: list[str] = field(default_factory=list)
    date: str | None = None

    def write(self, run: Run) -> None:
        """Date it and save it in the run's folder."""
        self.date = now()
        write_text(run.folder.path / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read_record(run: Run) -> Record:
    """What was noted of a run; of one without a readable note, that it has not started."""
    try:
        return Record(**json.loads((run.folder.path / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Record()


@dataclass(frozen=True)
class Scores:
    """What a run has reached so far.

    Attributes:
        step: the last one that was logged.
        last: mIoU of the last evaluation, in percent.
        best: the highest mIoU.
        ratio: intra/inter of the feature report.
    """

    step: int
    last: float | None
    best: float | None
    ratio: float | None


def read_scores(run: Run) -> Scores:
    """Read metrics.jsonl and, if there is one, the feature report."""
    lines = run.folder.read_metrics()
    split = run.config.data.val_split
    scores = [line["mIoU"] for line in lines if line.get("split") == split and line["mIoU"] is not None]
    last, best = (scores[-1], max(scores)) if scores else (None, None)
    return Scores(max((line["step"] for line in lines), default=0), last, best, _ratio(run))


def _ratio(run: Run) -> float | None:
    try:
        report: dict[str, Any] = json.loads((run.features / "feature_report.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return report["ratio"]
