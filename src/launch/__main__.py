"""Train in several processes through MindSpore's ``msrun``; behind ``scripts/run_distribute_train.sh``.

    python -m src.launch --workers 2 --config config/quickstart.yaml --output runs/two

Mistakes are found before anything starts. With one worker it is ``train.py``.

Several machines: run the same command on each with MASTER_ADDR (of the first), MASTER_PORT, NODE_RANK (0, 1, ...) and
NUM_NODES set; the workers are divided among them evenly. See docs/several_machines.md.
"""

import argparse
import os
import secrets
import shutil
import signal
import sys
from pathlib import Path

from src.config import load_config
from src.data.share import check_share
from src.errors import UserError, run_command
from src.files import check_writable
from src.launch.agreement import facts
from src.launch.attempts import Asked, run
from src.launch.cluster import cluster, search_path
from src.launch.job import ROOT, Job, Limits, command
from src.launch.logs import Logs
from src.launch.meeting import Meeting
from src.launch.slow_network import library, preload


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is not the launcher's goes to train.py."""
    parser = argparse.ArgumentParser(
        prog="python -m src.launch",
        description="Train in several processes. Other arguments go to train.py.",
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="processes, of all machines together")
    parser.add_argument("--config", required=True, metavar="FILE", help="experiment in YAML")
    parser.add_argument("--output", metavar="DIR", help="run folder (default: runs/<config name>)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    limits = Limits()
    parser.add_argument(
        "--silence", type=_seconds, default=limits.silence, metavar="S",
        help="seconds after which a silent worker or machine ends the job (default %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--grace", type=_seconds, default=limits.grace, metavar="S",
        help="seconds without progress after Ctrl-C or SIGTERM until a hung job is killed (default %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--wait", type=_seconds, default=limits.wait, metavar="S",
        help="seconds to wait for the other machines (default %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--stall", type=_seconds, default=limits.stall, metavar="S",
        help="seconds without progress of any worker, after the second step, that end the job (default %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--restarts", type=_count, default=0, metavar="N",
        help="start again up to N times after a failure, from the last checkpoint (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--backoff", type=_seconds, default=5.0, metavar="S",
        help="seconds before the first restart; doubles with each (default %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--slow-network", action="store_true",
        help="let MindSpore join over a network that takes longer than 30 ms there and back; needs a C compiler",
    )  # fmt: skip
    return parser.parse_known_args()


def _seconds(text: str) -> float:
    return _number(text, float, 0.001, 86400, "seconds")


def _count(text: str) -> int:
    return _number(text, int, 0, 1000, "a whole number")


def _number(text: str, kind: type, least: float, most: float, what: str):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {what} from {least:g} to {most:g}")
    return value


def main() -> None:
    """Check, meet the other machines, start, watch."""
    arguments, rest = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    place = cluster(arguments.workers, dict(os.environ))
    check_share(config.train.batch_size // config.train.accumulate, place.workers)
    if place.workers == 1 and arguments.restarts:
        raise UserError(
            f"--restarts: found {arguments.restarts}, expected 0 with one worker, which runs without msrun and the "
            "launcher; leave it out and start the same command again after a failure"
        )
    if not shutil.which("msrun", path=search_path()):
        raise UserError("msrun not found; it comes with mindspore: activate the environment that has it")
    overrides = ["--set", *arguments.set] if arguments.set else []
    output = Path(arguments.output or f"runs/{Path(arguments.config).stem}").resolve()
    check_writable(output)
    passed_on = ["--config", str(Path(arguments.config).resolve()), "--output", str(output), *overrides, *rest]
    if place.workers == 1:
        print(f"running: python train.py {' '.join(passed_on)}", flush=True)
        os.execv(sys.executable, [sys.executable, str(ROOT / "train.py"), *passed_on])
    extra = {"LD_PRELOAD": preload(library())} if arguments.slow_network else {}
    limits = Limits(arguments.silence, arguments.grace, arguments.wait, arguments.stall)
    asked = Asked()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    meeting = None
    if place.nodes > 1:
        own = facts(config, place, arguments.restarts, arguments.slow_network)
        meeting = Meeting(place, own, limits, os.environ.get("SEGMENTATION_SECRET", ""), lambda: bool(asked))

    def start(attempt: int) -> Job:
        # The port of one machine alone is nobody's business; another program may have taken it meanwhile.
        here = cluster(arguments.workers, dict(os.environ)) if attempt else place
        logs = Logs(output / "workers", here)
        print(
            f"{here.workers} workers ({here.local} here), master {here.address}:{here.port}, logs in {logs.folder}",
            flush=True,
        )
        print(f"running: {' '.join(command(here, logs.folder, passed_on))}", flush=True)
        return Job(here, logs, passed_on, secrets.token_hex(16), limits, extra)

    try:
        sys.exit(run(start, meeting, asked, limits, arguments.restarts, arguments.backoff))
    except KeyboardInterrupt:
        sys.exit(asked.status)
    finally:
        if meeting:
            meeting.close()


if __name__ == "__main__":
    run_command(main)
