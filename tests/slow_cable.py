"""A hub with slow and lossy cables, for machines whose kernel has no netem.

    python -m tests.slow_cable DELAY LOSS SEED NAMESPACE=ADDRESS ...

gives every network namespace an interface ``cable`` with its address and passes frames between them: each comes DELAY
seconds later, or with probability LOSS not at all. Prints ``ready`` and runs until it is killed.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time
from contextlib import suppress

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
CLONE_NEWNET = 0x40000000


def enter(path: str) -> None:
    """Move this process to a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path) as namespace:  # noqa: PTH123
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")


def plug(name: str, address: str) -> int:
    """Make a namespace's interface; return the file that its frames come from and go to."""
    enter(f"/run/netns/{name}")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", b"cable", IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "address", "add", f"{address}/24", "dev", "cable"], check=True)
    subprocess.run(["ip", "link", "set", "cable", "up"], check=True)
    return tap


def main(delay: float, loss: float, seed: int, ends: list[str]) -> None:
    """Pass frames on."""
    taps = [plug(*end.split("=")) for end in ends]
    generator, waiting, number = random.Random(seed), [], 0
    print("ready", flush=True)
    while True:
        until = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for tap in select.select(taps, [], [], until)[0]:
            frame = os.read(tap, 65536)
            if generator.random() >= loss:
                number += 1
                heapq.heappush(waiting, (time.monotonic() + delay, number, tap, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, origin, frame = heapq.heappop(waiting)
            for tap in taps:
                if tap != origin:
                    with suppress(OSError):  # a full queue loses frames, as cables do
                        os.write(tap, frame)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
