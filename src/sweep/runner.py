"""Runs what a sweep asks for and has not finished yet, and keeps its table up to date."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from src.errors import UserError
from src.provenance import commit
from src.sweep.plan import Run, Sweep, executed, shown
from src.sweep.record import FAILED, FINISHED, INTERRUPTED, RUNNING, Record, read_record, read_scores
from src.sweep.relay import Relay
from src.sweep.table import text, write_table

LOG = "output.log"  # in a run's folder
STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 0}  # exit statuses, as train.py has them


@contextmanager
def claimed(sweep: Sweep) -> Iterator[int]:
    """Keep other sweeps out of the folder; gives the file descriptor that holds the lock.

    Raises:
        UserError: another sweep is in it, or a training that one has left behind.
    """
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with (sweep.folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{sweep.folder}: another sweep is running in this folder; wait until it ends, or choose another "
                "--output (--table shows what there is)"
            ) from None
        yield lock.fileno()


def in_use(sweep: Sweep) -> bool:
    """Whether a sweep is running in the folder."""
    try:
        with claimed(sweep):
            return False
    except UserError:
        return True


def run_sweep(sweep: Sweep, chosen: list[Run]) -> int:
    """Run the chosen ones of the sweep's runs; the table has all.

    Returns:
        The exit status: 0, 1 if a chosen run has not finished, or that of a signal.

    Raises:
        UserError: the folder is in use, or holds runs with other settings.
    """
    with claimed(sweep) as lock, Relay(lock) as relay:
        sweep.check_folders()
        total, left = len(chosen), []
        for number, run in enumerate(chosen, 1):
            record = read_record(run)
            if record.status != FINISHED or _lacks_report(sweep, run):
                print(f"[{number}/{total}] {run.label}: {shown(run.train)}", flush=True)
                _train(sweep, run, record, relay)
                scores = read_scores(run)
                reached = f"last mIoU {text(scores.last, 'last')}, best {text(scores.best, 'best')}"
                said = f": {record.message}" if record.message else ""
                print(f"[{number}/{total}] {run.label}: {record.status} at step {scores.step}, {reached}{said}")
            table = write_table(sweep)
            if relay.signal:
                print(f"stopped by {relay.signal.name}; the same command continues")
                return STOPPED[relay.signal]
            left += [] if record.status == FINISHED else [(run, record)]
    print(table.read_text(encoding="utf-8").partition("\n## ")[0])
    print(f"wrote {table} and {table.with_suffix('.json')}")
    for run, record in left:
        print(f"{record.status}: {run.label}; see {run.folder.path / LOG}; the same command tries again")
    return 1 if left else 0


def _lacks_report(sweep: Sweep, run: Run) -> bool:
    return sweep.settings.feature_report and read_scores(run).ratio is None


def _train(sweep: Sweep, run: Run, record: Record, relay: Relay) -> None:
    """Train, or go on training, and measure the features; note before and after it how it stands."""
    iterations = run.config.train.iterations
    present = commit()
    if read_scores(run).step < iterations and present and present not in record.commits:
        record.commits.append(present)
    record.status, record.message = RUNNING, None
    record.write(run)
    status, message = relay.run(executed(run.train), run.folder.path / LOG)
    complete = status == 0 and read_scores(run).step >= iterations
    if complete and not relay.signal and _lacks_report(sweep, run):
        status, message = relay.run(executed(run.report), run.folder.path / LOG)
        complete = status == 0
    if complete:
        record.status = INTERRUPTED if _lacks_report(sweep, run) else FINISHED
    elif relay.signal or status == 0:  # the training alone was asked to stop
        record.status = INTERRUPTED
    else:
        record.status, record.message = FAILED, f"status {status}: {message}"
    record.write(run)
