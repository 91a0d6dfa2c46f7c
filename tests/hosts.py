"""Several hosts on one machine: network namespaces, cables to a switch, and what can happen to a cable.

Needs root and iproute2; `why_not` says what is missing. Slow and lossy cables are made by netem, or by
tests/slow_cable.py where the kernel has none. Every stand has names of its own, so that two at a time do not collide,
and takes everything down at its end; what a killed test has left is taken down by the next stand.
"""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from tests.commands import ROOT

PORT = 18200


@cache
def why_not() -> str | None:
    """The reason why there can be no stand here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "several hosts need root on Linux"
    if not shutil.which("ip"):
        return "several hosts need iproute2 (ip)"
    try:
        with Stand(1):
            return None
    except subprocess.CalledProcessError as error:
        return f"several hosts need network namespaces, bridges and veth pairs: {error.stderr.strip()}"


@cache
def has_netem() -> bool:
    """Whether the kernel can make a cable slow and lossy."""
    if not shutil.which("tc"):
        return False
    with Stand(1) as stand:
        try:
            stand.impair(0, 0.001, 0.0)
            return True
        except subprocess.CalledProcessError:
            return False


def why_no_slow_cable() -> str | None:
    """The reason why no cable can be slow here, or None."""
    reason = why_not()
    return reason or (
        None if has_netem() or Path("/dev/net/tun").exists() else "slow cables need netem or /dev/net/tun"
    )


class Stand:
    """``count`` hosts with the addresses 10.77.0.1, 10.77.0.2, ... on one switch, which no other network knows.

    Args:
        delay: seconds that what a host sends takes to the others.
        loss: share of it that is lost.
    """

    def __init__(self, count: int, delay: float = 0.0, loss: float = 0.0):
        self.delay, self.loss = delay, loss
        self.name = f"stand-{os.getpid()}-{secrets.token_hex(3)}"
        self.hosts = [f"{self.name}-h{number}" for number in range(count)]
        self.switch = f"{self.name}-switch"
        self.programs: list[subprocess.Popen] = []
        self.hub: subprocess.Popen | None = None

    def __enter__(self) -> "Stand":
        atexit.register(self.remove)
        try:
            _sweep()
            self._build()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.remove()
        atexit.unregister(self.remove)

    def _build(self) -> None:
        _ip("netns", "add", self.switch)
        spoiled = self.delay or self.loss
        if spoiled and not has_netem():
            self._build_slow()
            return
        _ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "bridge", "up")
        for number, host in enumerate(self.hosts):
            _ip("netns", "add", host)
            _ip("-n", host, "link", "set", "lo", "up")
            _ip(
                "-n",
                host,
                "link",
                "add",
                "cable",
                "type",
                "veth",
                "peer",
                "name",
                f"port{number}",
                "netns",
                self.switch,
            )
            _ip("-n", host, "address", "add", f"{self.address(number)}/24", "dev", "cable")
            _ip("-n", host, "link", "set", "cable", "up")
            _ip("-n", self.switch, "link", "set", f"port{number}", "master", "bridge", "up")
            if spoiled:
                self.impair(number, self.delay, self.loss)

    def _build_slow(self) -> None:
        for host in self.hosts:
            _ip("netns", "add", host)
            _ip("-n", host, "link", "set", "lo", "up")
        ends = [f"{host}={self.address(number)}" for number, host in enumerate(self.hosts)]
        hub = subprocess.Popen(
            [sys.executable, "-m", "tests.slow_cable", str(self.delay), str(self.loss), "0", *ends], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.hub = hub
        if hub.stdout.readline() != "ready\n":
            raise RuntimeError(f"no slow cable: {hub.stdout.read()}")

    def address(self, number: int) -> str:
        """Of a host."""
        return f"10.77.0.{number + 1}"

    def start(self, number: int, *command: object, environment: dict[str, str] | None = None) -> subprocess.Popen:
        """Start a program in a host, both outputs in one pipe, in a session of its own."""
        program = subprocess.Popen(
            ["ip", "netns", "exec", self.hosts[number], *map(str, command)], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(environment or {})},
        )  # fmt: skip
        self.programs.append(program)
        return program

    def cut(self, number: int) -> None:
        """Cut a host's cable: what is sent disappears, nobody is told."""
        _ip("-n", self.switch, "link", "set", f"port{number}", "nomaster")

    def part(self, one: int, other: int) -> None:
        """Let two hosts no longer hear each other; the others hear both."""
        for here, there in ((one, other), (other, one)):
            nobody = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")
            _ip("-n", self.hosts[here], "neigh", "replace", self.address(there), *nobody, "dev", "cable")

    def mend(self, number: int) -> None:
        """Plug the cable in again."""
        _ip("-n", self.switch, "link", "set", f"port{number}", "master", "bridge")

    def impair(self, number: int, delay: float, loss: float) -> None:
        """Have netem spoil what a host sends."""
        how = ("delay", f"{1000 * delay:.0f}ms", "loss", f"{100 * loss:.1f}%")
        _ip("netns", "exec", self.hosts[number], "tc", "qdisc", "replace", "dev", "cable", "root", "netem", *how)

    def processes(self, number: int) -> list[psutil.Process]:
        """Everything that runs in a host, without the hub of slow cables, which sits in the last one."""
        done = subprocess.run(["ip", "netns", "pids", self.hosts[number]], capture_output=True, text=True, check=False)
        found = []
        for pid in done.stdout.split():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                if process.status() != psutil.STATUS_ZOMBIE and not (self.hub and self.hub.pid == process.pid):
                    found.append(process)
        return found

    def find(self, number: int, role: str) -> psutil.Process:
        """A host's process of a kind: ``launcher``, ``msrun``, ``MS_SCHED`` or ``MS_WORKER``."""
        for process in self.processes(number):
            with suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                starts = role == "launcher" and (command[1:3] == ["-m", "src.launch"] or command[3:4] == ["launcher"])
                if starts or role == process.environ().get("MS_ROLE"):
                    return process
                if role == "msrun" and any(part.endswith("/msrun") for part in command):
                    return process
        raise LookupError(f"host {number} has no {role}")

    def remove(self) -> None:
        """Kill what runs in the hosts, and take hosts and cables away; may be called twice."""
        for number in range(len(self.hosts)):
            for process in self.processes(number):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        for program in self.programs:
            with suppress(subprocess.TimeoutExpired):
                program.wait(10)
            program.stdout.close()
        self.programs.clear()
        if self.hub:
            self.hub.kill()
            self.hub.wait()
            self.hub.stdout.close()
            self.hub = None
        for name in (*self.hosts, self.switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _sweep() -> None:
    """Take down the stands of tests that were killed."""
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for name in (line.split()[0] for line in done.stdout.splitlines() if line.startswith("stand-")):
        if not psutil.pid_exists(int(name.split("-")[1])):
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20)
