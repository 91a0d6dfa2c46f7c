"""Batch norm over the batch of all workers (Ioffe & Szegedy, ICML 2015; synchronized as in MegDet, CVPR 2018).

MindSpore's own ``nn.SyncBatchNorm`` has no CPU kernel. Every worker must hold the same number of pixels, as
data-parallel training ensures.
"""

import mindspore as ms
from mindspore import nn, ops

from src.models.layers.norm import BatchNorm, activate
from src.parallel import MeanOverWorkers, world_size


class _Normalize(nn.Cell):
    """Normalize with the statistics of all workers; the hand-written gradient sums over the workers too."""

    def __init__(self, channels, eps):
        super().__init__()
        self.eps = eps
        self.channels = channels
        self.mean = MeanOverWorkers()
        self.affine = ops.BatchNorm(is_training=False, epsilon=eps)
        self.add = ops.BiasAdd()
        self.reduce_mean = ops.ReduceMean()

    def channel_mean(self, x):
        """fp32 [B, C, H, W] -> [C]; a reduction over the last axis of a 2-D view is faster on CPU."""
        rows = x.reshape(x.shape[0] * self.channels, -1)
        return self.reduce_mean(self.reduce_mean(rows, 1).reshape(-1, self.channels), 0)

    def scale(self, x, factor, shift):
        """x factor + shift per channel: the batch norm of mean 0 and variance 1."""
        zero = ops.zeros_like(factor)
        return self.affine(x, factor, shift, zero, zero + (1.0 - self.eps))[0]

    def construct(self, x, gamma, beta):
        """x fp32 [B, C, H, W] -> the same, the mean and the variance (of the sample, not corrected), fp32 [C]."""
        mean = self.mean(self.channel_mean(x))
        centered = self.add(x, -mean)
        variance = self.mean(self.channel_mean(centered * centered))
        return self.affine(x, gamma, beta, mean, variance)[0], mean, variance

    def bprop(self, x, gamma, beta, out, dout):
        dy = dout[0]
        x = ops.depend(x, dy)
        _, mean, variance = out
        normed = self.affine(x, ops.ones_like(gamma), ops.zeros_like(gamma), mean, variance)[0]
        both = ops.concat((self.channel_mean(dy), self.channel_mean(dy * normed)))
        pixels = x.shape[0] * x.shape[2] * x.shape[3]
        dbeta, dgamma = both[: self.channels] * pixels, both[self.channels :] * pixels  # of this worker's pixels
        both = self.mean(both)
        factor = gamma / ops.sqrt(variance + self.eps)
        dx = self.scale(dy, factor, -factor * both[: self.channels])
        return dx - self.scale(normed, factor * both[self.channels :], ops.zeros_like(factor)), dgamma, dbeta


class SyncBatchNorm(BatchNorm):
    """Batch norm whose training statistics, and hence gradients, are those of the global batch.

    In evaluation, and with ``use_batch_statistics`` False, it behaves like its base class.

    Args:
        plain: the batch norm to replace, whose parameters, eps and momentum it takes over.
    """

    def __init__(self, plain: BatchNorm):
        super().__init__(plain.num_features, plain.eps, 1.0 - plain.momentum, plain.activation)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            setattr(self, name, getattr(plain, name))
        self.use_batch_statistics = plain.use_batch_statistics
        self.normalize = _Normalize(plain.num_features, plain.eps)
        self.workers = world_size()
        self.set_train(plain.training)

    def construct(self, x):
        """[B, C, H, W] -> [B, C, H, W]."""
        if not self.training or self.use_batch_statistics is False:
            return self.normalize_alone(x)
        y, mean, variance = self.normalize(x.astype(ms.float32), self.gamma, self.beta)
        self.follow(mean, variance, self.workers * x.shape[0] * x.shape[2] * x.shape[3])
        return activate(y.astype(x.dtype), self.activation)


def synchronize(network: nn.Cell) -> None:
    """Replace every batch norm inside ``network`` by a synchronized one with the same parameters."""
    names = [(parameter, parameter.name) for parameter in network.get_parameters()]
    for cell in [cell for _, cell in network.cells_and_names()]:
        for name, child in list(cell.name_cells().items()):
            if type(child) is BatchNorm:
                if isinstance(cell, nn.SequentialCell | nn.CellList):
                    cell[int(name)] = SyncBatchNorm(child)
                else:
                    setattr(cell, name, SyncBatchNorm(child))
    for parameter, name in names:  # putting a cell into another one renames its parameters
        parameter.name = name
