"""A TCP connection between two launchers: one JSON object a line, nothing ever waited for.

Both sides prove with a challenge that they were started for the same job. What follows is not encrypted: it says how
far the training is and why it ends.
"""

import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import Iterable
from typing import Any

from src.launch import clock

LARGEST = 1 << 18  # bytes of a line, and of what waits to be sent

Message = dict[str, Any]


class Wire:
    """One connection.

    Attributes:
        heard: when something last came.
        closed: why it has ended, or None.
    """

    def __init__(self, connection: socket.socket, who: str):
        self.connection, self.who = connection, who
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = b"", b""
        self.heard = clock.now()
        self.closed: str | None = None

    def silence(self) -> float:
        """Seconds since something last came."""
        return clock.now() - self.heard

    def send(self, message: Message) -> None:
        """Send an object, now or as soon as the other side takes it."""
        self.outgoing += json.dumps(message).encode() + b"\n"
        if len(self.outgoing) > LARGEST:
            self.end("takes nothing any more")
        self._flush()

    def receive(self) -> list[Message]:
        """The objects that have come since the last call."""
        self._flush()
        while self.closed is None:
            try:
                piece = self.connection.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError as error:
                self.end(f"broke off ({error.strerror or error})")
                break
            if not piece:
                self.end("went away")
                break
            self.incoming += piece
            self.heard = clock.now()
            if len(self.incoming) > LARGEST:
                self.end("sent more than a launcher sends")
        *lines, self.incoming = self.incoming.split(b"\n")
        return [message for line in lines if (message := self._parse(line)) is not None]

    def drain(self, seconds: float) -> None:
        """Wait until everything is sent and the other side has closed, but not for long."""
        deadline = time.monotonic() + seconds
        while self.closed is None and time.monotonic() < deadline:
            self.receive()
            time.sleep(0.02)

    def end(self, reason: str) -> None:
        """Close it."""
        if self.closed is None:
            self.closed = reason
            self.connection.close()

    def _flush(self) -> None:
        while self.outgoing and self.closed is None:
            try:
                self.outgoing = self.outgoing[self.connection.send(self.outgoing) :]
            except BlockingIOError:
                return
            except OSError as error:
                self.end(f"broke off ({error.strerror or error})")

    def _parse(self, line: bytes) -> Message | None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.end("sent what no launcher sends")
            return None
        return message


def leave(wires: Iterable[Wire], seconds: float, reason: str) -> None:
    """Close connections, after all of them together have had some time to `Wire.drain`."""
    deadline = time.monotonic() + seconds
    for wire in wires:
        wire.drain(deadline - time.monotonic())
        wire.end(reason)


def job_key(address: str, port: int, secret: str) -> bytes:
    """What all launchers of a job know: where they meet, and a secret if they were given one."""
    return hashlib.sha256(f"{address}|{port}|{secret}".encode()).digest()


def challenge() -> str:
    """A number that nobody has used before."""
    return secrets.token_hex(16)


def proof(key: bytes, side: str, number: Any) -> str:
    """The answer to a challenge; ``side`` is who answers, so that an answer cannot be sent back."""
    return hmac.new(key, f"{side}|{number}".encode(), hashlib.sha256).hexdigest()


def proven(key: bytes, side: str, number: str, answer: Any) -> bool:
    """Whether an answer is right."""
    return isinstance(answer, str) and hmac.compare_digest(proof(key, side, number), answer)
