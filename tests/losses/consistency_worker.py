"""One of two workers: the consistency loss of its half of a batch, with gradient, into an .npz file.

Started by msrun with the file of the batch and the folder of the results.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import src  # noqa: F401  (sets the environment before mindspore is imported)

import mindspore as ms  # isort: skip
import numpy as np
from mindspore import Tensor, communication, nn

from src.losses.consistency import Consistency

CASES = (("cosine", "image"), ("euclidean", "batch"))  # distance, scope


class Total(nn.Cell):
    """Intra + inter."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, features, label):
        intra, inter = self.loss(features, label)
        return intra + inter, intra, inter


def main(batch: Path, folder: Path) -> None:
    """Write intra, inter and gradient of each case."""
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_device("CPU")
    communication.init()
    rank = communication.get_rank()
    data = np.load(batch)
    half = len(data["label"]) // 2
    rows = slice(rank * half, (rank + 1) * half)
    results = {}
    for distance, scope in CASES:
        step = ms.value_and_grad(Total(Consistency(4, 255, distance, scope, 3)), 0, has_aux=True)
        (_, intra, inter), gradient = step(Tensor(data["features"][rows]), Tensor(data["label"][rows]))
        results[f"{distance}.{scope}.values"] = np.array([intra.asnumpy(), inter.asnumpy()])
        results[f"{distance}.{scope}.gradient"] = gradient.asnumpy()
    np.savez(folder / f"{rank}.npz", **results)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
