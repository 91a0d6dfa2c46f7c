"""Before anything starts, the launchers of all hosts meet at the first one's and compare what they were started with.

A host that comes late is waited for. One that differs, or never comes, ends all of them with the reason.
"""

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from src.errors import UserError
from src.launch import clock
from src.launch.agreement import Facts, difference
from src.launch.cluster import Cluster
from src.launch.job import Limits
from src.launch.wire import Message, Wire, challenge, job_key, leave, proof, proven

PERIOD = 1.0  # seconds between two signs of life
POLL = 0.05
LINGER = 3.0  # seconds in which a host that comes just after a refusal still hears of it
GUESTS = 32  # connections at a time that have not said who they are


class NeverCame(Exception):
    """A host that was waited for in vain, or that a user has stopped."""


class Meeting:
    """How one launcher meets the others, before every attempt.

    Args:
        secret: known to all launchers of the job, may be empty.
        asked: whether the user wants an end; looked at while waiting.
    """

    def __init__(self, place: Cluster, facts: Facts, limits: Limits, secret: str, asked: Callable[[], bool]):
        self.place, self.facts, self.limits, self.asked = place, facts, limits, asked
        self.key = job_key(place.address, place.port, secret)
        self.port = place.port + 1
        self.instance = secrets.token_hex(8)  # of this launcher, to tell it from another with the same NODE_RANK
        self.listener = self._listen() if place.node_rank == 0 else None

    def meet(self, pause: float = 0.0) -> dict[int, Wire]:
        """Return the connections by host: at the first host those to all others, elsewhere the one to it (0).

        Args:
            pause: seconds that it takes at least; who is asked to stop meanwhile tells the others.

        Raises:
            UserError: a host was started with something else.
            NeverCame: a host did not come in time, or was stopped.
            KeyboardInterrupt: the user asked for an end.
        """
        return self._receive_all(pause) if self.listener else {0: self._go_there(pause)}

    def close(self) -> None:
        """Receive nobody any more."""
        if self.listener:
            self.listener.close()

    # ------------------------------------------------------------------------------------ at the first host
    def _listen(self) -> socket.socket:
        try:
            family = socket.getaddrinfo(self.place.address, self.port, type=socket.SOCK_STREAM)[0]
            listener = socket.create_server(family[4][:2], family=family[0], backlog=64)
        except OSError as error:
            raise UserError(
                f"cannot listen on {self.place.address}:{self.port} ({error.strerror or error}); MASTER_ADDR must be "
                "an address of the machine with NODE_RANK 0, and the port after MASTER_PORT must be free there"
            ) from None
        listener.setblocking(False)
        return listener

    def _receive_all(self, pause: float) -> dict[int, Wire]:
        earliest = clock.now() + pause
        deadline = earliest + self.limits.wait
        guests: dict[Wire, str] = {}  # connection: its challenge
        hosts: dict[int, Wire] = {}
        instances: dict[int, str] = {}
        told, spoken = None, 0.0
        while len(hosts) < self.place.nodes - 1 or clock.now() < earliest:
            self._check_asked([*hosts.values()])
            self._accept(guests)
            for wire, number in list(guests.items()):
                for message in wire.receive():
                    guests.pop(wire, None)
                    self._admit(wire, number, message, hosts, instances, guests)
                    break
                if wire.closed or wire.silence() > 10:
                    wire.end("never said who it is")
                    guests.pop(wire, None)
            for host, wire in list(hosts.items()):
                for message in wire.receive():
                    if "stopped" in message:
                        self._give_up([*hosts.values()], f"host {host} ({wire.who}) was stopped before the start")
                if wire.closed or wire.silence() > self.limits.silence:
                    print(f"host {host} ({wire.who}) {wire.closed or 'fell silent'} before the start", flush=True)
                    wire.end("gone")
                    del hosts[host]
            missing = [host for host in range(1, self.place.nodes) if host not in hosts]
            names = ", ".join(f"host {host}" for host in missing)
            if clock.now() > deadline:
                self._give_up([*hosts.values()], f"{names} did not come within {self.limits.wait:.0f} s")
            if missing and missing != told:
                print(f"waiting for {names} at {self.place.address}:{self.port}", flush=True)
                told = missing
            if time.monotonic() - spoken > PERIOD:
                spoken = time.monotonic()
                for wire in hosts.values():
                    wire.send({"waiting": names or "the end of the pause"})
            time.sleep(POLL)
        for wire in hosts.values():
            wire.send({"go": True})
        return hosts

    def _accept(self, guests: dict[Wire, str]) -> None:
        while self.listener and len(guests) < GUESTS:
            try:
                connection, origin = self.listener.accept()
            except OSError:
                return
            wire = Wire(connection, str(origin[0]))
            guests[wire] = challenge()
            wire.send({"challenge": guests[wire]})

    def _admit(self, wire: Wire, number: str, hello: Message, hosts, instances, guests) -> None:
        """Take a guest as a host, or turn it away."""
        if not proven(self.key, "host", number, hello.get("proof")):
            wire.send({"refused": "another job has this MASTER_ADDR and MASTER_PORT, or SEGMENTATION_SECRET differs"})
            wire.drain(1)
            return wire.end("is of another job")
        wire.send({"proof": proof(self.key, "first", hello.get("challenge"))})
        host, theirs = hello.get("host"), hello.get("facts")
        theirs = theirs if isinstance(theirs, dict) else {}
        reason = difference(self.facts, theirs, "host 0", f"host {host} ({wire.who})")
        if reason:
            self._refuse([*hosts.values(), wire], reason, guests)
        taken = hosts.get(host)
        if host not in range(1, self.place.nodes) or (taken and instances[host] != hello.get("instance")):
            by = f" is taken by {taken.who}" if taken else f" does not exist; NUM_NODES is {self.place.nodes}"
            self._refuse([*hosts.values(), wire], f"host {host} ({wire.who}): NODE_RANK {host}{by}", guests)
        if taken:
            taken.end("came again")
        hosts[host], instances[host] = wire, str(hello.get("instance"))
        return None

    def _refuse(self, wires: list[Wire], reason: str, guests: dict[Wire, str]) -> None:
        """Tell everybody who is here, and who comes within a moment, why there will be no job."""
        deadline = time.monotonic() + LINGER
        self._dismiss(wires, {"refused": reason}, 1.0)
        while time.monotonic() < deadline:
            self._accept(guests)
            for wire, number in list(guests.items()):
                for message in wire.receive()[:1]:
                    if proven(self.key, "host", number, message.get("proof")):
                        wire.send({"proof": proof(self.key, "first", message.get("challenge"))})
                        wire.send({"refused": reason})
            time.sleep(POLL)
        raise UserError(reason)

    # ------------------------------------------------------------------------------------ at the other hosts
    def _go_there(self, pause: float) -> Wire:
        deadline = clock.now() + pause + self.limits.wait
        where = f"host 0 at {self.place.address}:{self.port}"
        print(f"going to {where}", flush=True)
        while clock.now() < deadline:
            self._check_asked([])
            with suppress(OSError):
                connection = socket.create_connection((self.place.address, self.port), timeout=2)
                wire = self._wait_there(Wire(connection, self.place.address), deadline)
                if wire:
                    return wire
            time.sleep(0.5)
        raise NeverCame(f"{where} did not answer within {self.limits.wait:.0f} s")

    def _wait_there(self, wire: Wire, deadline: float) -> Wire | None:
        """Say who this is and wait for the others; None if the connection ends before."""
        number, known, told, spoken = challenge(), False, None, 0.0
        while wire.closed is None and wire.silence() < self.limits.silence:
            self._check_asked([wire])
            for message in wire.receive():
                if "challenge" in message and not known:
                    answer = proof(self.key, "host", message["challenge"])
                    hello = {"host": self.place.node_rank, "instance": self.instance, "facts": self.facts}
                    wire.send({**hello, "proof": answer, "challenge": number})
                elif "refused" in message:
                    wire.end("refused")
                    raise UserError(str(message["refused"]))
                elif "never came" in message:
                    wire.end("gave up")
                    raise NeverCame(str(message["never came"]))
                elif "proof" in message:
                    known = proven(self.key, "first", number, message["proof"])
                elif "go" in message and known:
                    return wire
                elif "waiting" in message and message["waiting"] != told:
                    told = message["waiting"]
                    print(f"host 0 waits for {told}", flush=True)
            if not known and clock.now() > deadline:
                break
            if known and time.monotonic() - spoken > PERIOD:
                spoken = time.monotonic()
                wire.send({"here": True})
            time.sleep(POLL)
        wire.end("gone")
        return None

    # ------------------------------------------------------------------------------------------- everywhere
    def _check_asked(self, wires: list[Wire]) -> None:
        if self.asked():
            reason = f"host {self.place.node_rank} was stopped before the start"
            self._dismiss(wires, {"never came" if self.listener else "stopped": reason})
            raise KeyboardInterrupt

    def _give_up(self, wires: list[Wire], reason: str) -> NoReturn:
        self._dismiss(wires, {"never came": reason})
        raise NeverCame(reason)

    @staticmethod
    def _dismiss(wires: list[Wire], message: Message, seconds: float = 2.0) -> None:
        for wire in wires:
            wire.send(message)
        leave(wires, seconds, "dismissed")
