"""Rename and reshape a source's tensors for one of our backbones, and report what happened."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from src.errors import UserError, listing
from src.weights.fit import fit
from src.weights.sources import SOURCES, detect

LEAST = 0.95  # share of the backbone that must be covered, counted in numbers and counted in parameters


@dataclass
class Report:
    """What became of every parameter of the backbone and of every tensor of the source."""

    source: str
    arch: str
    loaded: list[str] = field(default_factory=list)  # our names
    missing: list[str] = field(default_factory=list)  # our names that keep their initial values
    unused: list[str] = field(default_factory=list)  # their names, unexpected
    left_out: list[str] = field(default_factory=list)  # their names, not part of a backbone: heads, counters, indices
    reshaped: list[str] = field(default_factory=list)  # "name: shape there -> shape here"
    size: int = 0  # numbers in the backbone
    coverage: float = 0.0  # share of the backbone's numbers that was loaded

    def line(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.arch} from {self.source}: loaded {len(self.loaded)}, missing {len(self.missing)}, "
            f"unused {len(self.unused)}, reshaped {len(self.reshaped)} parameters "
            f"({100 * self.coverage:.1f} % of the numbers; left out by design: {len(self.left_out)})"
        )

    def __str__(self) -> str:
        parts = [self.line()]
        blocks = [
            ("missing (these keep their initial values)", self.missing, 10),
            ("unused", self.unused, 10),
            ("reshaped", self.reshaped, 3),
        ]
        parts += [f"{title}:\n{listing(names, limit)}" for title, names, limit in blocks if names]
        return "\n".join(parts)


def convert(
    source: str, arch: str, tensors: Mapping[str, np.ndarray], target: Mapping[str, tuple[int, ...]], where: str = ""
) -> tuple[dict[str, np.ndarray], Report]:
    """Rename and reshape a source's tensors for a backbone.

    Args:
        source: a key of ``SOURCES``.
        arch: name of the backbone.
        tensors: the source's tensors.
        target: shape of every parameter of the backbone, without a prefix.
        where: the file, for messages.

    Returns:
        float32 arrays by our names, and the report.

    Raises:
        UserError: less than 95 % of the backbone is covered, more than 5 % of the source is left over, a shape
            differs, a value is not finite, or the source has no such architecture.
    """
    origin = SOURCES[source]
    where = f"{where}: " if where else ""
    if not origin.covers(arch):
        able = [name for name, other in SOURCES.items() if other.covers(arch)]
        raise UserError(f"{where}no name table of {source} for {arch}; sources for it: {', '.join(able)}")
    inside, outside = origin.strip(tensors)
    if reason := origin.refusal(arch, inside):
        raise UserError(f"{where}{reason}")
    values, report, problems = _assemble(source, arch, inside, target)
    report.left_out += outside
    problem = judge(report, problems, extra=sum(inside[name].size for name in report.unused))
    if problem:
        better = detect(arch, tensors, target)
        hint = "" if better == source else f"\nThe names look like those of source {better}"
        raise UserError(f"{where}{problem}{hint}")
    return values, report


def _assemble(
    source: str, arch: str, tensors: Mapping[str, np.ndarray], target: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, np.ndarray], Report, list[str]]:
    """Find, read and reshape every parameter of ``target``; return what disagrees as lines."""
    origin, report = SOURCES[source], Report(source, arch)
    values: dict[str, np.ndarray] = {}
    problems: list[str] = []
    used: set[str] = set()
    for name, shape in target.items():
        found = origin.find(arch, name, tensors)
        if found is None:
            report.missing.append(name)
            continue
        used.update(found.names)
        value = found.read(tensors)
        fitted = fit(name, value, shape)
        if fitted is None:
            problems.append(f"{name}: found {value.shape}, expected {tuple(shape)}")
            continue
        if fitted.shape != value.shape:
            report.reshaped.append(f"{name}: {value.shape} -> {fitted.shape}")
        if not np.isfinite(fitted).all():
            problems.append(f"{name}: holds NaN or infinity")
        values[name] = np.ascontiguousarray(fitted, np.float32)
        report.loaded.append(name)
    report.size = sum(math.prod(shape) for shape in target.values())
    report.coverage = sum(value.size for value in values.values()) / max(report.size, 1)
    for name in tensors:
        if name not in used:
            (report.left_out if origin.is_left_out(name) else report.unused).append(name)
    return values, report, problems


def judge(report: Report, problems: list[str], extra: int) -> str | None:
    """Say why the weights do not belong to the backbone, if so; ``extra`` numbers of the source are unused."""
    if problems:
        return f"does not fit {report.arch} ({len(problems)} parameters differ):\n{listing(problems, limit=10)}"
    known = "any known source" if report.source == "own" else report.source
    if not report.loaded:
        names = listing(report.unused + report.left_out, limit=5)
        return f"has no parameter of {report.arch} under the names of {known}; its names are:\n{names}"
    # Counted in numbers alone, a ResNet without any batch norm would reach 99 %.
    parameters = len(report.loaded) / (len(report.loaded) + len(report.missing))
    if min(report.coverage, parameters) < LEAST:
        text = (
            f"covers {100 * report.coverage:.1f} % of the numbers and {100 * parameters:.1f} % of the parameters of "
            f"{report.arch} under the names of {known}, expected at least {100 * LEAST:.0f} %; is it of another "
            f"architecture or source? Missing ({len(report.missing)}):\n{listing(report.missing, limit=10)}"
        )
        if report.unused:
            text += f"\nUnused in the file ({len(report.unused)}):\n{listing(report.unused, limit=5)}"
        return text
    # A deeper network of the same widths (resnet101 for resnet50, Swin-S for Swin-T) covers everything, yet is wrong.
    if extra > (1 - LEAST) * report.size:
        return (
            f"holds {len(report.unused)} tensors that {report.arch} does not have; is it of a deeper architecture? "
            f"Unused:\n{listing(report.unused, limit=10)}"
        )
    return None
