"""A launcher whose msrun, scheduler and workers are small programs without MindSpore: they start within a second.

    python -m tests.launch.pretend launcher ARGUMENTS OF src.launch

Workers count steps, ten in a second; the first writes every second one into OUTPUT/step and goes on from there. What
they do wrong is in the environment: PRETEND=fail:RANK:STEP:STATUS, PRETEND=kill:RANK:STEP (once),
PRETEND=crash:RANK or PRETEND=linger:RANK when all is done, or PRETEND=deaf, which hangs at step 3 and hears no signal.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from src import heartbeat

STEPS = 600


def launch():
    """Start the launcher, with other programs."""
    from src.launch import __main__ as launcher  # the programs start faster without it
    from src.launch import attempts, job

    job.command = launcher.command = command
    attempts.GRACE = attempts.ASKED_GRACE = 2.0
    launcher.run_command(launcher.main)


def command(place, logs, arguments):
    output = arguments[arguments.index("--output") + 1]
    own = (place.node_rank, place.first, place.local, logs, output)
    return [sys.executable, "-m", "tests.launch.pretend", "msrun", *map(str, own)]


def msrun(node, first, local, logs, output):
    """Start a scheduler on the first host, and workers; when one fails kill the others, as msrun does."""
    program = [sys.executable, "-m", "tests.launch.pretend"]
    if node == "0":
        subprocess.Popen([*program, "scheduler"], env={**os.environ, "MS_ROLE": "MS_SCHED"})
    workers = []
    for rank in range(int(first), int(first) + int(local)):
        with (Path(logs) / f"worker_{rank}.log").open("w") as log:
            environment = {**os.environ, "MS_ROLE": "MS_WORKER", "RANK_ID": str(rank)}
            workers.append(
                subprocess.Popen(
                    [*program, "worker", output], env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )
    while any(worker.poll() is None for worker in workers) and not any(worker.poll() for worker in workers):
        time.sleep(0.5)
    for worker in workers:
        if worker.poll():
            print(f"Worker process {worker.pid} exit with exception. Error code: {worker.poll()}.", flush=True)
        worker.kill()
    sys.exit(1 if any(worker.wait() for worker in workers) else 0)


def scheduler():
    """Is there."""
    while True:
        time.sleep(60)


def worker(output):
    """Count steps."""
    rank, saved = int(os.environ["RANK_ID"]), Path(output) / "step"
    step = int(saved.read_text()) if saved.exists() else 0
    fault, _, rest = os.environ.get("PRETEND", "").partition(":")
    asked = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    print(f"at step {step}", flush=True)
    heartbeat.start()
    heartbeat.tick(step)
    steps = int(os.environ.get("PRETEND_STEPS", STEPS))
    while step < steps and not asked:
        time.sleep(0.1)
        step += 1
        heartbeat.tick(step)
        print(f"step {step}/{steps}", flush=True)
        if rank == 0 and step % 2 == 0:
            saved.write_text(str(step))
        if fault in ("fail", "kill") and rest.split(":")[0] == str(rank) and step >= int(rest.split(":")[1]):
            if fault == "fail":
                print("error: so it was ordered" if rest.endswith(":2") else "a traceback", flush=True)
                sys.exit(int(rest.split(":")[2]))
            if not (saved.parent / "killed").exists():
                (saved.parent / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        while fault == "deaf" and step >= 3:
            time.sleep(60)
    if asked and rank == 0:
        saved.write_text(str(step))
        print(f"interrupted at step {step}; saved", flush=True)
    heartbeat.finish()
    if (fault, rest) == ("crash", str(rank)):
        os.kill(os.getpid(), signal.SIGSEGV)
    if (fault, rest) == ("linger", str(rank)):
        time.sleep(600)
    sys.exit(130 if asked and asked[0] == signal.SIGINT and rank == 0 else 0)


if __name__ == "__main__":
    part, *rest = sys.argv[1:]
    if part == "launcher":
        sys.argv = ["src.launch", *rest]
        launch()
    else:
        {"msrun": msrun, "scheduler": scheduler, "worker": worker}[part](*rest)
