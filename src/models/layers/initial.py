"""Initial values that decoders of one line of work share."""

import math

from mindspore import nn
from mindspore.common.initializer import HeUniform, initializer

from src.models.layers.convolution import Conv2d


def initialize_convolutions(decoder: nn.Cell, classifier: nn.Cell) -> None:
    """Give all convolutions inside ``decoder`` but the ``classifier`` PyTorch's default: a standard deviation of
    1 / sqrt(3 fan-in), uniformly distributed."""
    for _, cell in decoder.cells_and_names():
        if isinstance(cell, Conv2d) and cell is not classifier:
            weight = cell.weight
            weight.set_data(initializer(HeUniform(math.sqrt(5)), weight.shape, weight.dtype).init_data())
