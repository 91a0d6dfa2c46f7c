"""What MindSpore's profiler writes about a step, attributed to modules and operators."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

IDLE = "between operators"
FORWARD, BACKWARD = 0, 1
Rows = dict[str, tuple[float, float]]  # milliseconds forward and backward


@dataclass(frozen=True)
class Launch:
    """One run of an operator: its name with the path of its module, start and end in ns since 1970."""

    name: str
    start: float
    end: float

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Name and class of the cells around it, outermost first."""
        parts = self.name.split("/")[:-1]
        return [(name, kind) for name, dash, kind in (part.partition("-") for part in parts) if dash]

    @property
    def module(self) -> str:
        """Names of the two outermost cells."""
        return ".".join(name for name, _ in self.cells[:2]) or "(no module)"

    @property
    def operator(self) -> str:
        """Its type; of a native kernel the class of its cell, as MindSpore calls all of them Custom."""
        kind = re.sub(r"-op\d+$", "", self.name.rpartition("/")[2])
        return f"native {self.cells[-1][1]}" if kind == "Custom" and self.cells else kind


def read_launches(folder: Path) -> list[Launch]:
    """Read ``cpu_op_execute_timestamp_0.txt``, wherever below ``folder`` the profiler has put it.

    A line is ``NAME;DEVICE;START,DURATION,0 START,DURATION,0 ...``, start in ns and duration in ms.
    """
    launches = []
    for line in next(folder.rglob("cpu_op_execute_timestamp_0.txt")).read_text(encoding="utf-8").splitlines():
        name, _, times = line.split(";")
        for time in times.split():
            start, duration, _ = time.split(",")
            launches.append(Launch(name, int(start), int(start) + float(duration) * 1e6))
    return launches


def attribute(launches: Iterable[Launch], start: float, end: float, key: Callable[[Launch], str]) -> Rows:
    """Divide a step, from ``start`` to ``end``, among its operators by ``key``; the rows sum to the step.

    Operators run at the same time: each instant is divided equally among those that are running. Backward is what comes
    from MindSpore's gradients or begins after the loss; a cell with a gradient of its own has both under one name.
    """
    inside = [launch for launch in launches if start <= launch.start < end]
    loss = max((launch.end for launch in inside if launch.name.startswith("Default/losses-")), default=start)
    edges = [(one.start, 1, one) for one in inside] + [(min(one.end, end), -1, one) for one in inside]
    rows: dict[str, list[float]] = {}
    running: Counter[tuple[str, int]] = Counter()
    before = start
    for time, change, launch in [*sorted(edges, key=itemgetter(0)), (end, 0, None)]:
        shares = running or {(IDLE, FORWARD if before < loss else BACKWARD): 1}
        for (name, side), count in shares.items():
            row = rows.setdefault(name, [0.0, 0.0])
            row[side] += (time - before) / 1e6 * count / sum(shares.values())
        before = time
        if launch:
            backward = launch.name.startswith("Gradients/") or launch.start >= loss
            running[key(launch), BACKWARD if backward else FORWARD] += change
            running = +running
    return {name: (forward, backward) for name, (forward, backward) in rows.items()}


def mean(steps: list[Rows]) -> Rows:
    """Mean of several steps, largest rows first."""
    names = {name for rows in steps for name in rows}
    means = {
        name: (
            sum(rows.get(name, (0, 0))[FORWARD] for rows in steps) / len(steps),
            sum(rows.get(name, (0, 0))[BACKWARD] for rows in steps) / len(steps),
        )
        for name in names
    }
    return dict(sorted(means.items(), key=lambda item: -sum(item[1])))


def shorten(rows: Rows, most: int) -> Rows:
    """Keep the first ``most`` rows and add up the rest."""
    kept, rest = list(rows.items())[:most], list(rows.values())[most:]
    if rest:
        kept.append((f"{len(rest)} others", (sum(row[FORWARD] for row in rest), sum(row[BACKWARD] for row in rest))))
    return dict(kept)


def table(title: str, rows: Rows) -> str:
    """Milliseconds forward, backward and together, and the share of the step."""
    whole = sum(map(sum, rows.values()))
    lines = [f"{title:<32} {'forward':>10} {'backward':>10} {'ms':>10} {'%':>6}"]
    for name, row in [*rows.items(), ("step", tuple(map(sum, zip(*rows.values(), strict=True))))]:
        lines.append(f"{name:<32} {row[0]:>10.2f} {row[1]:>10.2f} {sum(row):>10.2f} {100 * sum(row) / whole:>6.1f}")
    return "\n".join(lines)
