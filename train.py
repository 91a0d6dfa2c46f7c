"""Train a segmentor: data, model, losses, optimizer, loop.

python train.py --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
"""

import argparse
import signal
import sys
from pathlib import Path

from src.config import dump_config, load_config
from src.errors import run_command

INTERRUPTED = 130  # the shell's status for Ctrl-C; a script that calls train.py stops as well


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a segmentor.")
    parser.add_argument("--config", required=True, metavar="FILE", help="experiment in YAML")
    parser.add_argument("--output", metavar="DIR", help="run folder (default: runs/<config name>)")
    parser.add_argument(
        "--resume", default="auto", metavar="auto|never|FILE",
        help="auto (default): continue the run in the folder if there is one; FILE: continue from a last.ckpt",
    )  # fmt: skip
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--print-config", action="store_true", help="print the resolved config and stop")
    parser.add_argument(
        "--dry-run", action="store_true",
        help="one update with real samples: memory, estimated hours, a picture of the samples; nothing else is written",
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Read the config and train."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.print_config:
        print(dump_config(config), end="")
        return

    output = Path(arguments.output or f"runs/{Path(arguments.config).stem}")
    if arguments.dry_run:
        from src.jobs.dry_run import dry_run

        dry_run(config, output)
        return

    from src.jobs.training import train
    from src.parallel import rank

    stopped_by = train(config, output, arguments.resume)
    if stopped_by == signal.SIGINT and rank() == 0:  # one worker tells it for all
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    run_command(main)
