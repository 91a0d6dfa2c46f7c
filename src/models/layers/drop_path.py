"""Stochastic depth for a whole backbone.

Paper: Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016. As is usual since then,
the rate rises linearly over the blocks, and a branch that is kept is scaled by 1 / (1 - rate).
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from src.models.layers.dropout import HashedDropout, check_rate
from src.models.layers.rows import outer


def linear_rates(rate, depths, branches=1):
    """Rates from 0 to ``rate`` over the blocks of all stages, each repeated for the ``branches`` of its block."""
    return [float(r) for r in np.linspace(0, check_rate(rate), sum(depths)) for _ in range(branches)]


class DropPaths(HashedDropout):
    """Decide which residual branches of a network are dropped for which sample.

    One cell serves all branches, because each draw takes about twenty small operators.

    Args:
        rates: one per branch, in the order in which the network uses them.
    """

    def __init__(self, rates):
        super().__init__()
        self.count = len(rates)
        self.active = any(check_rate(rate) > 0 for rate in rates)
        rates = np.array(rates, np.float32).reshape(1, -1)
        self.rates = Tensor(rates)
        self.scales = Tensor(1 / (1 - rates))

    def construct(self, batch):
        """Number of samples B -> one factor per branch, fp32 [B]; in evaluation None for each."""
        if not self.training or not self.active:
            return [None] * self.count
        keep = self.uniform(batch, self.count) >= self.rates
        return ops.unstack(keep.astype(ms.float32) * self.scales, 1)


def add_branch(x, branch, keep):
    """Residual sum x + keep * branch of two [B, ...]; ``keep`` is [B], or None for 1."""
    if keep is None:
        return x + branch
    batch = branch.shape[0]
    factors = outer(keep.astype(branch.dtype).reshape(batch, 1), ops.ones((1, branch.size // batch), branch.dtype))
    return x + branch * factors.reshape(branch.shape)
