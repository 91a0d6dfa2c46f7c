"""Multiply-adds counted in the graph, against counts by hand."""

import numpy as np
from mindspore import Tensor, nn, ops

from src.models.complexity import by_part, multiply_adds, parameters_by_part
from src.models.decoders import build_decoder
from src.models.layers.dense import Dense
from src.models.layers.resize import resize_bilinear


class Example(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, pad_mode="pad", padding=1, stride=2)
        self.depthwise = nn.Conv2d(8, 8, 3, pad_mode="pad", padding=1, group=8)
        self.dense = Dense(8, 5)
        self.product = ops.BatchMatMul(transpose_a=True)

    def construct(self, x):
        x = self.depthwise(self.conv(resize_bilinear(x, (16, 24))))
        rows = self.dense(x.reshape(1, 8, -1).transpose(0, 2, 1))
        return self.product(rows, rows)


def test_counts_by_hand():
    counts = multiply_adds(Example(), Tensor(np.zeros((1, 3, 8, 12), np.float32)))
    pixels = 8 * 12
    assert counts == {
        "conv": pixels * 8 * 3 * 9,
        "depthwise": pixels * 8 * 9,
        "dense": pixels * 8 * 5,
        "": 5 * 5 * pixels,
    }


class OnMaps(nn.Cell):
    """A decoder with its maps as separate inputs."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, f0, f1, f2, f3):
        return self.decoder((f0, f1, f2, f3))


def test_ecenet_of_the_release_at_640():
    """93.8 G, two thirds of it in the fusion."""
    widths = (128, 256, 512, 1024)
    network = OnMaps(build_decoder("ecenet", widths, 150))
    maps = [Tensor(np.zeros((1, width, 160 >> i, 160 >> i), np.float32)) for i, width in enumerate(widths)]
    parts = by_part(multiply_adds(network, *maps))
    assert abs(sum(parts.values()) / 93.847e9 - 1) < 1e-4
    assert parts["decoder.fusion"] == 160 * 160 * 9 * 4 * 256 * 256
    assert sum(parameters_by_part(network).values()) == 9_888_428
