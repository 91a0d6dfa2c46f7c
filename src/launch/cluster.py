"""Which machines take part in a job, and which workers run on this one."""

import os
import random
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from src.errors import UserError

PORTS = range(10000, 32000)  # below those of outgoing connections, which could take a port meanwhile


@dataclass(frozen=True)
class Cluster:
    """Where the workers run."""

    workers: int  # of all machines
    nodes: int
    node_rank: int
    address: str
    port: int

    @property
    def local(self) -> int:
        """Workers on this machine."""
        return self.workers // self.nodes

    @property
    def first(self) -> int:
        """Rank of this machine's first worker."""
        return self.node_rank * self.local

    @property
    def ranks(self) -> range:
        """Ranks of this machine's workers."""
        return range(self.first, self.first + self.local)


def cluster(workers: int, environment: dict[str, str]) -> Cluster:
    """Read the machines from the environment; one machine and a free port unless it says otherwise.

    Raises:
        UserError: a number is missing or wrong.
    """
    nodes, node_rank = _number(environment, "NUM_NODES", 1), _number(environment, "NODE_RANK", 0)
    if workers < 1 or nodes < 1 or workers % nodes:
        raise UserError(f"NUM_WORKERS: {workers} cannot be divided among {nodes} machines (NUM_NODES)")
    if not 0 <= node_rank < nodes:
        raise UserError(f"NODE_RANK: found {node_rank}, expected 0 to {nodes - 1} (NUM_NODES is {nodes})")
    if nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        raise UserError("several machines (NUM_NODES) need MASTER_ADDR and MASTER_PORT, the same on each")
    address, port = environment.get("MASTER_ADDR", "127.0.0.1"), _number(environment, "MASTER_PORT", 0)
    if port > 65534 or (nodes > 1 and port == 0):
        raise UserError(f"MASTER_PORT: found {port}, expected 1 to 65534; the launchers use the port after it")
    return Cluster(workers, nodes, node_rank, address, port or free_port())


def _number(environment: dict[str, str], name: str, default: int) -> int:
    value = environment.get(name, str(default))
    if not value.isdecimal():
        raise UserError(f"{name}: found {value!r}, expected a number")
    return int(value)


def search_path() -> str:
    """Where programs are looked for: first beside this Python."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def free_port() -> int:
    """A TCP port of this machine that nobody listens on; nobody listens on the one after it either.

    Raises:
        UserError: there is none.
    """
    for port in random.Random().sample(PORTS, min(100, len(PORTS))):
        if _is_free(port) and _is_free(port + 1):
            return port
    raise UserError(f"no free TCP port found between {PORTS.start} and {PORTS.stop}; name one with MASTER_PORT")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
