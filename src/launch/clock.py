"""A clock that stands still while this process does.

When a machine sleeps, or a scheduler suspends the whole job, launcher and workers wake up together: nobody was silent
in between. The silence of others is therefore measured in the time that the launcher itself was awake.
"""

import time

LONGEST = 2.0  # seconds between two readings that count; its loops read it several times a second

_last, _asleep = time.monotonic(), 0.0


def now() -> float:
    """Seconds, without those that this process was not running; to be read all the time."""
    global _last, _asleep
    here = time.monotonic()
    before, _last = _last, here  # a signal's handler may read it too
    _asleep += max(0.0, here - before - LONGEST)
    return here - _asleep
