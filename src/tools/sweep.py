"""Train variants of an experiment with several seeds, one run after the other, and compare them in one table.

    python -m src.tools.sweep config/sweeps/ecenet_ablations.yaml
    python -m src.tools.sweep config/sweeps/ecenet_ablations.yaml --list     # the commands only
    python -m src.tools.sweep config/sweeps/ecenet_ablations.yaml --table    # the table of what there is

The same command again continues: finished runs are left alone, interrupted ones resumed, failed ones tried again. The
file's keys are explained in docs/experiments.md.
"""

import argparse
import sys
from pathlib import Path

from src.errors import UserError, run_command
from src.files import check_writable
from src.sweep.plan import read_sweep, shown
from src.sweep.runner import in_use, run_sweep
from src.sweep.table import write_table


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train variants with several seeds and compare them.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the sweep, in YAML")
    parser.add_argument("--output", type=Path, metavar="DIR", help="for the runs and the table (default: runs/<file>)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="the runs whose variant, or VARIANT/seed_N, matches one of these, such as 'fpn*/seed_0' (default: all)",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="print the commands and stop")
    action.add_argument("--table", action="store_true", help="write the table from what there is and stop")
    return parser.parse_args()


def main() -> None:
    """Check everything, then run or show."""
    arguments = parse_arguments()
    sweep = read_sweep(arguments.file, arguments.output)
    chosen = sweep.matching(arguments.only)
    if arguments.list:
        for run in chosen:
            print(shown(run.train))
        return
    check_writable(sweep.folder)
    if not arguments.table:
        sys.exit(run_sweep(sweep, chosen))
    if not sweep.folder.is_dir():
        raise UserError(f"{sweep.folder}: no such folder; run the sweep first, or name its --output")
    print(write_table(sweep, in_use(sweep)).read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    run_command(main)
