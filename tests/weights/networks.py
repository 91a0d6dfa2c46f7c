"""Published networks for the tests: their names and shapes, and arrays under them.

``weight_names.json.gz`` holds the names and shapes that the programs themselves give; it was made by
tests/golden/make_weight_names.py. Keys are "source/arch", for a Swin with the window, for a ResNet-C with "deep".
"""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
from mindspore.nn.utils import no_init_parameters

from src.models.backbones import build_backbone
from src.weights.loading import own_parameters

NAMES = Path(__file__).parents[1] / "golden" / "weight_names.json.gz"
NETWORKS = json.loads(gzip.decompress(NAMES.read_bytes()))


def stand_ins(names):
    """Arrays of these shapes that take no memory."""
    return {n: np.broadcast_to(np.float32(0), shape) for n, shape in names.items()}


def random_tensors(network):
    """Random tensors under the names of a published network, those of classification heads left out."""
    random = np.random.default_rng(0)
    names = {n: s for n, s in NETWORKS[network].items() if not n.startswith(("fc.", "head.", "classifier."))}
    return {n: random.random(shape, np.float32) for n, shape in names.items()}


@cache
def shapes_of(arch, **options):
    """Shapes of our backbone's parameters by name."""
    with no_init_parameters():
        backbone = build_backbone(arch, **options)
    return {name: tuple(parameter.shape) for name, parameter in own_parameters(backbone).items()}
