"""All workers must begin with the same weights at the same step; where their disks differ, they may not.

The first worker alone writes checkpoints. A run folder on each host's own disk, or another file of pretrained weights,
would let the workers train something that none of them has.
"""

import numpy as np

from src.errors import UserError
from src.parallel import as_counts, gather_counts
from src.training.run_folder import RunFolder


def check_same_start(step: int, checksum: str, folder: RunFolder) -> None:
    """Compare this worker's start with the others'; all must call this.

    Args:
        step: updates done so far.
        checksum: of everything that the training goes on from, in hexadecimal.

    Raises:
        UserError: a worker starts elsewhere than the first one; raised by all workers.
    """
    starts = gather_counts(np.array([step, *as_counts(checksum)], np.int64))
    different = [worker for worker in range(len(starts)) if (starts[worker] != starts[0]).any()]
    if not different:
        return
    steps = ", ".join(f"worker {worker} at step {starts[worker, 0]}" for worker in (0, *different[:7]))
    if (starts[different, 0] == starts[0, 0]).all():
        what = f"the workers begin at step {step} with different weights or optimizer states"
        mend = "give all hosts the same files of pretrained weights and the same run folder"
    else:
        what = f"the workers begin at different steps: {steps}"
        mend = f"put {folder.path} on a disk that all hosts share, or copy the first host's to each of them"
    raise UserError(f"{what}; {mend}")
