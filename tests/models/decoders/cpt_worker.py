"""One worker of test_cpt_training: its share of the images through CPT's prototypes, for three steps.

python -m tests.models.decoders.cpt_worker OUT.npz
"""

import sys

import src  # noqa: F401  (sets the environment before mindspore is imported)

import mindspore as ms  # isort: skip
import numpy as np
from mindspore import Tensor, communication

from src.models.decoders.prototypes import Prototypes

CLASSES, CHANNELS, STEPS, BATCH = 4, 6, 3, 4


def train(first, last):
    """Memory and its counts after three steps with the images ``first`` to ``last`` of each batch."""
    generator = np.random.default_rng(0)
    prototypes = Prototypes(CLASSES, CHANNELS, "hard", 0.9, 1e-3)
    prototypes.set_train(True)
    for step in range(STEPS):
        x = generator.standard_normal((BATCH, CHANNELS, 5, 6)).astype(np.float32)
        logits = generator.standard_normal((BATCH, CLASSES, 5, 6)).astype(np.float32)
        logits[:, 0] = -50  # class 0 never appears
        logits[: BATCH // 2, 1] = -50  # class 1 only in the images of the second worker
        if step == 0:
            logits[:, 2] = -50  # class 2 from the second step on
        prototypes(Tensor(x[first:last]), Tensor(logits[first:last]))
    return prototypes.memory.prototypes.asnumpy(), prototypes.memory.updates.asnumpy()


if __name__ == "__main__":
    ms.set_device("CPU")
    communication.init()
    rank, workers = communication.get_rank(), communication.get_group_size()
    share = BATCH // workers
    memory, updates = train(rank * share, (rank + 1) * share)
    np.savez(f"{sys.argv[1]}.{rank}.npz", memory=memory, updates=updates)
