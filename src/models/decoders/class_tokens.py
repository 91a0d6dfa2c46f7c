"""ECENet's class embeddings: extracted from masks, refined by a gate. Standing: as in ``ecenet``."""

import math

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.errors import UserError
from src.models.layers.backend import is_static
from src.models.layers.dense import Dense
from src.models.layers.norm import LayerNorm
from src.models.layers.pooling import pooling_matrix

POOLS = (1, 2, 3, 6)  # sides of the fixed grids; the last grid depends on the number of classes
LARGEST_GRID = 64  # side; the grid of 171 classes has 13


def grid_side(num_classes, token_ratio):
    """Side of the finest grid: ⌊√K ρ⌋, made odd by adding 1.

    Raises UserError where that leaves no grid, or one so fine that its layer would be huge.
    """
    side = math.floor(math.sqrt(num_classes) * token_ratio)
    if not 1 <= side <= LARGEST_GRID:
        raise UserError(
            f"decoder ecenet: token_ratio: {token_ratio} with {num_classes} classes gives a grid of {side} a side, "
            f"expected 1 to {LARGEST_GRID}"
        )
    return side + 1 - side % 2


def selection_matrix(sides):
    """Picks the grids out of the pools of all rows by all columns: [sum(sides)^2, sum of sides^2] of 0 and 1."""
    total, columns, start = sum(sides), [], 0
    for side in sides:
        for row in range(side):
            columns += [(start + row) * total + start + column for column in range(side)]
        start += side
    matrix = np.zeros((total * total, len(columns)), np.float32)
    matrix[columns, np.arange(len(columns))] = 1
    return matrix


@ms.constexpr
def _rows(length, sides):
    return Tensor(pooling_matrix(length, sides))


@ms.constexpr
def _columns(length, sides):
    return Tensor(np.ascontiguousarray(pooling_matrix(length, sides).T))


class ClassExtraction(nn.Cell):
    """Class embeddings from the layout of the classes' masks.

    The masks are pooled to five grids, which one linear layer reads. Pooling is two products with constant
    matrices, all grids at once; a third product picks the grids out.

    Args:
        channels: D, width of an embedding.
        side: of the finest grid (`grid_side`).
    """

    def __init__(self, channels, side):
        super().__init__()
        self.sides = (*POOLS, side)
        self.total = sum(self.sides)
        self.pools = [nn.AdaptiveAvgPool2d(size) for size in self.sides]
        self.select = Tensor(selection_matrix(self.sides))
        self.project = Dense(sum(size**2 for size in self.sides), channels)

    def construct(self, masks):
        """Raw masks [B, K, H, W] -> [B, K, D]."""
        batch, classes = ops.shape(masks)[:2]
        if is_static(masks):
            height, width = masks.shape[2:]
            pooled = ops.matmul(masks.reshape(-1, width), _columns(width, self.sides).astype(masks.dtype))
            rows = _rows(height, self.sides).astype(masks.dtype)
            pooled = ops.matmul(rows, pooled.reshape(-1, height, self.total))
            pooled = ops.matmul(pooled.reshape(-1, self.total**2), self.select.astype(masks.dtype))
        else:
            grids = []
            for pool in self.pools:
                grids.append(pool(masks).reshape(batch, classes, -1))
            pooled = ops.cat(grids, 2)
        return self.project(pooled).reshape(batch, classes, -1)


class TokenUpdate(nn.Cell):
    """Gated update of the class embeddings by those of a finer level.

    Args:
        channels: D.
    """

    def __init__(self, channels):
        super().__init__()
        self.dynamic = Dense(channels, 2 * channels)
        self.input = Dense(channels, channels)
        self.gate = Dense(channels, channels)
        self.norm_gate = LayerNorm(channels)
        self.norm_update = LayerNorm(channels)
        self.project = Dense(channels, channels)
        self.norm = LayerNorm(channels)
        self.split = ops.Split(2, 2)

    def construct(self, tokens, update):
        """Embeddings and update, both [B, K, D] -> [B, K, D]."""
        gate_features, features = self.split(self.dynamic(update))
        gate = ops.sigmoid(self.norm_gate(self.gate(self.input(tokens) * gate_features)))
        return ops.relu(self.norm(self.project(gate * self.norm_update(features) + tokens)))
