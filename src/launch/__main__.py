"""Train in several processes through MindSpore's ``msrun``; behind ``scripts/run_distribute_train.sh``.

    python -m src.launch --workers 2 --config config/quickstart.yaml --output runs/two

Wrong arguments and configs are found before anything starts; `src.launch.job` does the rest. With one worker it runs
``train.py`` itself.

Several machines: run the same command on each with MASTER_ADDR (of the first), MASTER_PORT, NODE_RANK (0, 1, ...) and
NUM_NODES set; the workers are divided among them evenly.
"""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from src.config import load_config
from src.data.share import check_share
from src.errors import UserError, run_command
from src.files import check_writable
from src.launch.job import ROOT, Job, cluster, command, search_path


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; arguments that are not the launcher's go to train.py."""
    parser = argparse.ArgumentParser(
        prog="python -m src.launch",
        description="Train in several processes. Other arguments go to train.py.",
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="processes, of all machines together")
    parser.add_argument("--config", required=True, metavar="FILE", help="experiment in YAML")
    parser.add_argument("--output", metavar="DIR", help="run folder (default: runs/<config name>)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_known_args()


def main() -> None:
    """Check, start, watch."""
    arguments, rest = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    place = cluster(arguments.workers, dict(os.environ))
    check_share(config.train.batch_size // config.train.accumulate, place.workers)
    if not shutil.which("msrun", path=search_path()):
        raise UserError("msrun not found; it comes with mindspore: activate the environment that has it")
    overrides = ["--set", *arguments.set] if arguments.set else []
    output = Path(arguments.output or f"runs/{Path(arguments.config).stem}").resolve()
    check_writable(output)
    passed_on = ["--config", str(Path(arguments.config).resolve()), "--output", str(output), *overrides, *rest]
    if place.workers == 1:
        print(f"running: python train.py {' '.join(passed_on)}", flush=True)
        os.execv(sys.executable, [sys.executable, str(ROOT / "train.py"), *passed_on])
    logs = output / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    for old in logs.glob("*.log"):
        old.unlink()
    print(f"{place.workers} workers ({place.local} here), master {place.address}:{place.port}, logs in {logs}")
    print(f"running: {' '.join(command(place, logs, passed_on))}", flush=True)
    job = Job(place, logs, passed_on)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, job.ask)
    sys.exit(job.watch())


if __name__ == "__main__":
    run_command(main)
