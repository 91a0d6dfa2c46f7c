"""A launcher whose msrun, scheduler and workers are small programs without MindSpore: they start within a second.

    python -m tests.launch.pretend launcher ARGUMENTS OF src.launch

Workers count steps, ten in a second; the first writes every second one into OUTPUT/step and goes on from there. What
they do wrong is in the environment, as words in PRETEND: fail:RANK:STEP:STATUS, kill:RANK:STEP (once; the first worker
then waits at that step, as for a sum), crash:RANK or linger:RANK when all is done, or deaf or
deaf:STEP, which hangs at step 3 or another and hears no signal.
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
    start = step = int(saved.read_text()) if saved.exists() else 0
    faults = {name: rest for name, _, rest in (word.partition(":") for word in os.environ.get("PRETEND", "").split())}
    fails, kills = (faults.get(name, "-1:0").split(":") for name in ("fail", "kill"))
    killed = saved.parent / "killed"
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
        if int(fails[0]) == rank and step >= int(fails[1]):
            print("error: so it was ordered" if fails[2] == "2" else "a traceback", flush=True)
            sys.exit(int(fails[2]))
        if int(kills[0]) == rank and step >= int(kills[1]) and not killed.exists():
            wait(saved.exists)
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "kill" in faults and rank == start == 0 and step >= int(kills[1]):
            wait(lambda: asked)
        while "deaf" in faults and step >= int(faults["deaf"] or 3):
            time.sleep(60)
    if asked and rank == 0:
        saved.write_text(str(step))
        print(f"interrupted at step {step}; saved", flush=True)
    heartbeat.finish()
    if faults.get("crash") == str(rank):
        os.kill(os.getpid(), signal.SIGSEGV)
    if faults.get("linger") == str(rank):
        time.sleep(600)
    sys.exit(130 if asked and asked[0] == signal.SIGINT and rank == 0 else 0)


def wait(until):
    while not until():
        time.sleep(0.05)


if __name__ == "__main__":
    part, *rest = sys.argv[1:]
    if part == "launcher":
        sys.argv = ["src.launch", *rest]
        launch()
    else:
        {"msrun": msrun, "scheduler": scheduler, "worker": worker}[part](*rest)
