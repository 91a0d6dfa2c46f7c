"""The findings about the operators of a graph."""

from dataclasses import dataclass

import mindspore as ms

from src.tools.check_ops.declarations import AI_CPU, TABLES_OF, documented, kernels
from src.tools.check_ops.graph import Operators
from src.tools.check_ops.substitutes import SUBSTITUTES

SHOWN = 3  # layers that are named


@dataclass(frozen=True)
class Finding:
    """An operator and what is declared about it for a target."""

    operator: str
    layers: list[str]
    source: str | None  # where its kernel is declared
    documented: bool  # whether its docstring names the target

    @property
    def lacking(self) -> bool:
        """Nothing declares it for the target."""
        return self.source is None and not self.documented

    @property
    def doubtful(self) -> bool:
        """Its docstring alone claims it, or it is known to be slow."""
        return not self.lacking and self.source in (None, AI_CPU)


def check(operators: Operators, target: str) -> list[Finding]:
    """Look the operators up in the declarations for a target; those that are lacking come first."""
    have = kernels(target)
    findings = [
        Finding(name, layers, have.get(name), target in documented(name)) for name, layers in sorted(operators.items())
    ]
    return sorted(findings, key=lambda finding: (not finding.lacking, not finding.doubtful))


def describe(findings: list[Finding], target: str, everything: bool) -> str:
    """One block of lines for each operator that is lacking or doubtful, or for each one, and a summary."""
    lines = []
    for finding in findings:
        if finding.lacking or finding.doubtful or everything:
            docstring = "names" if finding.documented else "does not name"
            lines.append(
                f"{'LACKING' if finding.lacking else 'doubtful' if finding.doubtful else 'ok':8} {finding.operator}: "
                f"{finding.source or 'no kernel declared'}; its docstring {docstring} {target}"
            )
        if finding.lacking or finding.doubtful:
            more = len(finding.layers) - SHOWN
            lines.append(f"  used by {', '.join(finding.layers[:SHOWN])}{f' and {more} more' if more > 0 else ''}")
            if finding.operator in SUBSTITUTES:
                lines.append(f"  instead: {SUBSTITUTES[finding.operator]}")
    lacking = sum(finding.lacking for finding in findings)
    lines.append(
        f"{target}: {len(findings)} operators, {lacking} lacking, {sum(f.doubtful for f in findings)} doubtful"
    )
    if target != "Ascend" and ms.__version__ != TABLES_OF:
        lines.append(f"note: the table of kernels is MindSpore {TABLES_OF}'s, this is {ms.__version__}")
    return "\n".join(lines)
