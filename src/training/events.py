"""TensorBoard's events of a run.

tensorboardX's own writer hands them to a thread. A full disk ends that thread, and the training would wait for it
forever.
"""

import socket
import struct
import time
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c


class Events:
    """A new file of events.

    Args:
        folder: where TensorBoard looks for them.
        step: the run's first one; what the folder's older files have from there on is hidden.

    Raises:
        OSError: it cannot be written; of all methods.
    """

    def __init__(self, folder: Path, step: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}").open("ab")
        self._write(file_version="brain.Event:2")
        self._write(step=step, session_log=SessionLog(status=SessionLog.START))

    def add(self, values: dict[str, float], step: int) -> None:
        """Write numbers by name."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=scalars))
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _write(self, **fields) -> None:
        data = Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(data))
        self.file.write(length + _sum(length) + data + _sum(data))


def _sum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))
