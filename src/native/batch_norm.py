"""Batch norm with an activation by the native kernels, fp32, with its gradients."""

import numpy as np
from mindspore import Tensor, nn

from src.native import library

ACTIVATIONS = (None, "relu", "relu6")


def _options(eps, activation):
    return Tensor(np.array([eps, ACTIVATIONS.index(activation)], np.float32))


def _gradient(name):
    return library.operator(
        name, lambda dy, x, gamma, *_: (x, gamma, gamma), lambda dy, x, gamma, *_: (x, gamma, gamma)
    )


class BatchNorm(nn.Cell):
    """x [B, C, H, W], gamma [C], beta [C] -> y [B, C, H, W], and mean and variance (not corrected) of the batch [C]."""

    def __init__(self, eps, activation):
        super().__init__()
        self.options = _options(eps, activation)
        self.forward = library.operator(
            "NormalizeBatch", lambda x, gamma, *_: (x, gamma, gamma), lambda x, *_: (x, x, x)
        )
        self.gradient = _gradient("NormalizeBatchGradient")

    def construct(self, x, gamma, beta):
        return self.forward(x, gamma, beta, self.options)

    def bprop(self, x, gamma, beta, out, dout):
        return self.gradient(dout[0], x, gamma, beta, out[1], out[2], self.options)


class FixedNorm(nn.Cell):
    """x [B, C, H, W] and gamma, beta, mean, variance [C] -> y [B, C, H, W]; no gradient of mean and variance."""

    def __init__(self, eps, activation):
        super().__init__()
        self.options = _options(eps, activation)
        self.forward = library.operator("NormalizeGiven", lambda x, *_: x, lambda x, *_: x)
        self.gradient = _gradient("NormalizeGivenGradient")

    def construct(self, x, gamma, beta, mean, variance):
        return self.forward(x, gamma, beta, mean, variance, self.options)

    def bprop(self, x, gamma, beta, mean, variance, out, dout):
        dx, dgamma, dbeta = self.gradient(dout, x, gamma, beta, mean, variance, self.options)
        return dx, dgamma, dbeta, mean * 0.0, variance * 0.0
