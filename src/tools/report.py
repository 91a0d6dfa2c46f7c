"""Write a report of one or several runs: one HTML file that opens anywhere, without a network.

    python -m src.tools.report runs/quickstart --output report.html
    python -m src.tools.report runs/sweep/*/seed_0 --output report.html

A run is the folder of a training, or the output folder of eval.py. Differences are to the first one.
"""

import argparse
from pathlib import Path

from src.errors import UserError, run_command
from src.files import check_writable
from src.report.page import IMAGES, write_report


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write a report of one or several runs, as one HTML file.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training or of an evaluation")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the report, .html")
    parser.add_argument("--images", type=int, default=IMAGES, metavar="N", help=f"show at most N images ({IMAGES})")
    return parser.parse_args()


def main() -> None:
    """Read the runs and write the page."""
    arguments = parse_arguments()
    if arguments.images < 0:
        raise UserError(f"--images {arguments.images}: expected 0 or more")
    if arguments.output.suffix != ".html":
        raise UserError(f"--output {arguments.output}: expected a name that ends with .html")
    check_writable(arguments.output.parent)
    path = write_report(arguments.runs, arguments.output, arguments.images)
    print(f"wrote {path}: {len(arguments.runs)} runs, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_command(main)
