"""One worker of test_two_workers: its share of a batch through all that sums over the workers.

python -m tests.launch.worker FOLDER [all] writes FOLDER/RANK.npz.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import src  # noqa: F401  (sets the environment before mindspore is imported)

import mindspore as ms  # isort: skip
import numpy as np
from mindspore import Tensor, nn

from src import device, parallel
from src.losses import build_criterion
from src.losses.consistency import Consistency
from src.losses.cross_entropy import CrossEntropy
from src.losses.focal import Focal
from src.losses.lovasz import Lovasz
from src.losses.mask import MaskLoss
from src.losses.region_dice import RegionDice
from src.models.decoders import build_decoder
from src.models.decoders.prototypes import Memory
from src.models.layers.sync_norm import synchronize
from src.models.segmentor import Segmentor
from src.schema.training import SGDConfig
from src.training.optimizer import build_optimizer
from src.training.train_step import TrainStep
from tests.losses.test_criterion import config
from tests.models.decoders import base
from tests.models.small import SMALL_DECODER

BATCH, CLASSES, CHANNELS, STEPS = 4, 4, 6, 3
UPDATES = 20
FEW = 3  # of the methods whose steps take long, unless all are asked for
METHODS = {
    "fpn": SMALL_DECODER["fpn"],
    "ecenet": SMALL_DECODER["ecenet"],
    "cpt": SMALL_DECODER["cpt"],
    "csnet": SMALL_DECODER["csnet"],
}
COUNTS = np.array([[1, 2**24 + 1], [2**40 + 3, 0]])


class Total(nn.Cell):
    """Sum of a loss's parts, and the parts."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, x, label):
        parts = self.loss(x, label)
        return parts[0] + parts[1], parts


class Pair(nn.Cell):
    """A loss of one part as one of two."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, x, label):
        value = self.loss(x, label)
        return value, value


def losses():
    """Losses that divide by what all workers have; the features have as many channels as there are classes."""
    return {
        "cross entropy": Pair(CrossEntropy(255)),
        "focal": Pair(Focal()),
        "masks": MaskLoss(CLASSES),
        "region dice": Pair(RegionDice(CLASSES)),
        "lovasz, image": Pair(Lovasz(CLASSES, 255, "image")),
        "cosine, image": Consistency(CLASSES, 255, "cosine", "image", 3),
        "euclidean, batch": Consistency(CLASSES, 255, "euclidean", "batch", 3),
        "cosine, batch, roots": Consistency(CLASSES, 255, "cosine", "batch", 3, class_weighting="sqrt"),
        "cosine, batch, detached": Consistency(CLASSES, 255, "cosine", "batch", 3, detach_centers=True),
    }


def batch():
    """Features and labels; the first two images have fewer labeled pixels and classes than the last two."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((BATCH, CLASSES, 9, 11)).astype(np.float32)
    label = generator.integers(0, CLASSES, (BATCH, 9, 11)).astype(np.int32)
    label[1] = 255
    label[0][label[0] == 2] = 0
    label[3, :4] = 255
    return features, label


def evaluate(name, first, last):
    """Parts and gradient of a loss on the images ``first`` to ``last``."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    features, label = batch()
    step = ms.value_and_grad(Total(losses()[name]), 0, has_aux=True)
    (_, parts), gradient = step(Tensor(features[first:last]), Tensor(label[first:last]))
    ms.set_context(mode=ms.GRAPH_MODE)
    return np.array([part.asnumpy() for part in parts]), gradient.asnumpy()


def remember(first, last):
    """CPT's memory, and what it mixes into the prototypes, with the images ``first`` to ``last`` of three batches."""
    ms.set_seed(1)
    generator = np.random.default_rng(0)
    memory = Memory(CLASSES, CHANNELS, 0.1).set_train(True)
    for _ in range(STEPS):
        prototypes = generator.standard_normal((BATCH, CLASSES, CHANNELS)).astype(np.float32)
        mixed = memory(Tensor(prototypes[first:last]))
    return memory.prototypes.asnumpy(), mixed.asnumpy()


def train(name, first, last, updates=UPDATES):
    """Loss of every update and the weights after the last, from the images ``first`` to ``last`` of each batch.

    Dropout is on; FPN is compiled, the others run in PyNative, which takes less time.
    """
    ms.set_context(mode=ms.GRAPH_MODE if name == "fpn" else ms.PYNATIVE_MODE)
    ms.set_seed(1)
    network = Segmentor(base.TinyBackbone(), build_decoder(name, base.CHANNELS, CLASSES, **METHODS[name])).set_train()
    if parallel.world_size() > 1:
        synchronize(network)
    optimizer = build_optimizer(SGDConfig(name="sgd", lr=0.01), list(network.trainable_params()))
    criterion = build_criterion(config(name), CLASSES, 255)
    step = TrainStep(network, criterion, optimizer, np.full(UPDATES, 0.01), clip_norm=1.0)
    generator = np.random.default_rng(0)
    losses = []
    for _ in range(updates):
        image = generator.standard_normal((BATCH, 3, 64, 64)).astype(np.float32)
        label = np.kron(generator.integers(0, CLASSES, (BATCH, 2, 2)), np.ones((1, 32, 32))).astype(np.int32)
        label[0, :40] = 255  # the first worker has fewer labeled pixels
        losses.append(step(Tensor(image[first:last]), Tensor(label[first:last]), True).asnumpy()[0])
    ms.set_context(mode=ms.GRAPH_MODE)
    return np.array(losses), {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}


def updates_of(name, everything):
    """How many updates of a method are compared."""
    return UPDATES if everything or name == "fpn" else FEW


def main(folder: Path, everything: bool) -> None:
    """Compute everything on this worker's share."""
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_device("CPU")
    device.settle_pynative()
    parallel.start()
    rank, share = parallel.rank(), BATCH // parallel.world_size()
    found = {"counts": parallel.sum_counts(COUNTS + rank)}
    for name in METHODS:
        found[f"{name}/training"], weights = train(name, rank * share, (rank + 1) * share, updates_of(name, everything))
        found |= {f"{name}/weights/{key}": value for key, value in weights.items()}
    for name in losses():
        found[f"{name}/parts"], found[f"{name}/gradient"] = evaluate(name, rank * share, (rank + 1) * share)
    found["memory"], found["mixed"] = remember(rank * share, (rank + 1) * share)
    np.savez(folder / f"{rank}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "all" in sys.argv[2:])
