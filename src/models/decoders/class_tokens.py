"""ECENet's class embeddings: extracted from masks, refined by a gate. Standing: as in ``ecenet``."""

import math

from mindspore import nn, ops

from src.errors import UserError
from src.models.layers.dense import Dense
from src.models.layers.norm import LayerNorm
from src.models.layers.pooling import AdaptivePools

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


class ClassExtraction(nn.Cell):
    """Class embeddings from the layout of the classes' masks.

    The masks are pooled to five grids, which one linear layer reads.

    Args:
        channels: D, width of an embedding.
        side: of the finest grid (`grid_side`).
    """

    def __init__(self, channels, side):
        super().__init__()
        sides = (*POOLS, side)
        self.pools = AdaptivePools(sides)
        self.project = Dense(sum(size**2 for size in sides), channels)

    def construct(self, masks):
        """Raw masks [B, K, H, W] -> [B, K, D]."""
        return self.project(self.pools(masks))


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
