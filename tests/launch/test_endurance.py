"""Two thousand steps of two hosts with twenty faults, drawn by a seed, against the same steps without one.

ENDURANCE_STEPS, ENDURANCE_FAULTS and ENDURANCE_SEED change the numbers. The hosts share a disk, which fills up too.
Times are those that this process was awake: where a machine suspends the test, it suspends the launchers with it.
"""

import json
import os
import random
import subprocess
import threading
import time
from contextlib import suppress

import psutil
import pytest

from src.checkpoint import load_checkpoint
from src.launch import clock
from tests.hosts import Stand, why_not
from tests.launch.test_hosts import BOUND, Job, join, nothing_left
from tests.launch.test_launch import steps

STEPS, FAULTS, SEED = (
    int(os.environ.get(f"ENDURANCE_{n}", d)) for n, d in (("STEPS", 2000), ("FAULTS", 20), ("SEED", 0))
)
EVERY = max(2, STEPS // 100)  # steps between two checkpoints
SILENCE = 15


def shared(stand, folder):
    """A job whose hosts have one folder."""
    return Job(stand, folder, shared=True, iterations=STEPS, checkpoint_every=EVERY)


class Leg:
    """The launchers from one start to their end, read side by side; samples memory and files of the first worker."""

    def __init__(self, job):
        self.programs = job.all("--silence", SILENCE)
        self.step, self.samples, self.output = 0, [], ["", ""]
        self.threads = [threading.Thread(target=self._read, args=pair) for pair in enumerate(self.programs)]
        for thread in self.threads:
            thread.start()
        self.stand = job.stand

    def _read(self, host, program):
        for line in program.stdout:
            self.output[host] += line
            if host == 0 and line.startswith("step ") and "/" in line:
                self.step = int(line.split()[1].split("/")[0])

    def running(self):
        return any(program.poll() is None for program in self.programs)

    def until(self, step):
        """Wait for a step, or the end."""
        sampled = 0.0
        while self.running() and self.step < step:
            time.sleep(0.05)
            if clock.now() - sampled > 1 and self.step > STEPS // 20:
                sampled = clock.now()
                with suppress(LookupError, psutil.NoSuchProcess):
                    parts = [self.stand.find(0, role) for role in ("MS_WORKER", "launcher")]
                    self.samples.append([(part.memory_info().rss, part.num_fds()) for part in parts])

    def statuses(self):
        join(self.threads)
        return [program.wait() for program in self.programs]


def fill(folder):
    with suppress(OSError), (folder / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(1 << 20))


FAULT = {
    "kill worker": lambda stand, _: stand.find(1, "MS_WORKER").kill(),
    "kill first worker": lambda stand, _: stand.find(0, "MS_WORKER").kill(),
    "kill scheduler": lambda stand, _: stand.find(0, "MS_SCHED").kill(),
    "kill launcher": lambda stand, _: stand.find(1, "launcher").kill(),
    "stop worker": lambda stand, _: stand.find(1, "MS_WORKER").suspend(),
    "cut cable": lambda stand, _: stand.cut(1),
    "SIGTERM to the first launcher": lambda stand, _: stand.find(0, "launcher").terminate(),
    "SIGTERM to the second launcher": lambda stand, _: stand.find(1, "launcher").terminate(),
    "full disk": lambda _, folder: fill(folder),
}


def flat(samples):
    """Growth of (memory, open files) of worker and launcher between the first quarter of the samples and the last."""
    quarter = max(1, len(samples) // 4)
    means = [
        [[sum(sample[part][kind] for sample in some) / len(some) for kind in (0, 1)] for part in (0, 1)]
        for some in (samples[:quarter], samples[-quarter:])
    ]
    return [[round(means[1][part][kind] / means[0][part][kind] - 1, 3) for kind in (0, 1)] for part in (0, 1)]


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
def test_faults_change_nothing(tmp_path):
    generator = random.Random(SEED)
    with Stand(2) as stand:
        straight = shared(stand, tmp_path / "straight")
        leg = Leg(straight)
        leg.until(STEPS)
        assert leg.statuses() == [0, 0], leg.output
        growth = flat(leg.samples)
        wanted = steps(straight.output(0))

    kinds = [*FAULT, *generator.choices(list(FAULT), k=max(0, FAULTS - len(FAULT)))][:FAULTS]
    generator.shuffle(kinds)
    places = sorted(generator.sample(range(5, STEPS - 5), FAULTS))
    log, lost, seconds, done = [], [], [], 0
    with Stand(2) as stand:
        job = shared(stand, tmp_path / "faulty")
        job.config(0)
        job.output(0).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "disk", job.output(0)], check=True)
        try:
            for kind, place in zip(kinds, places, strict=True):
                leg = Leg(job)
                leg.until(max(place, done + 2))
                begin = clock.now()
                FAULT[kind](stand, job.output(0))
                statuses = leg.statuses()
                seconds.append(clock.now() - begin)
                (job.output(0) / "filler").unlink(missing_ok=True)
                stand.mend(1)
                nothing_left(stand)
                last = job.output(0) / "checkpoints" / "last.ckpt"
                done = load_checkpoint(last).meta["step"] if last.exists() else 0
                lost.append(max(leg.step, done) - done)
                log.append(
                    {"fault": kind, "at": place, "ended": statuses, "seconds": round(seconds[-1]), "lost": lost[-1]}
                )
                print(json.dumps(log[-1]), flush=True)
                assert all(statuses), leg.output
                assert seconds[-1] < BOUND
                assert lost[-1] <= EVERY + 1  # the step in which the fault came may have been counted
            leg = Leg(job)
            leg.until(STEPS)
            assert leg.statuses() == [0, 0], leg.output
            found = steps(job.output(0))
        finally:
            subprocess.run(["umount", "-l", job.output(0)], check=False)
    assert list(found) == list(wanted) == list(range(1, STEPS + 1))
    worst = max(abs(found[step] / wanted[step] - 1) for step in wanted)
    line = {"steps": STEPS, "faults": FAULTS, "seed": SEED, "largest difference of a loss": worst,
            "longest end, s": round(max(seconds)), "steps lost": sum(lost), "most at once": max(lost),
            "growth of memory and files": {"worker": growth[0], "launcher": growth[1]}}  # fmt: skip
    print(json.dumps(line))
    assert worst < 1e-6
    assert growth[0][0] < 0.1 and growth[1][0] < 0.1
    assert max(growth[0][1], growth[1][1]) < 0.05
