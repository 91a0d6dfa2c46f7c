"""What an exported file computes: a network, with what comes before and after it baked in where asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

# Trained parameters of this many axes are stored in fp16; biases and norms are small and sensitive, and states such as
# CPT's memory are fp32 in every network.
MATRIX = 2


@dataclass(frozen=True)
class Form:
    """What an exported file takes and gives.

    Attributes:
        colors: takes RGB bytes [B, H, W, 3] and normalizes them, instead of normalized images [B, 3, H, W].
        ids: gives the class of each pixel, uint8 [B, H, W], instead of logits [B, K, H, W].
        half: stores the weights in fp16; it computes in fp32 all the same.
        mean, std: of each channel, in levels of 0..255; needed with ``colors``.
    """

    colors: bool = False
    ids: bool = False
    half: bool = False
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)


class Deployed(nn.Cell):
    """A network in the given form."""

    def __init__(self, network: nn.Cell, form: Form):
        super().__init__(auto_prefix=False)
        self.network = network
        self.colors, self.ids = form.colors, form.ids
        self.mean = Tensor(np.array(form.mean, np.float32).reshape(1, 3, 1, 1))
        self.std = Tensor(np.array(form.std, np.float32).reshape(1, 3, 1, 1))
        self.arg_max = ops.Argmax(1, ms.int32)

    def construct(self, image):
        """Images as `Form` says -> logits or ids."""
        if self.colors:
            image = (image.astype(ms.float32).transpose(0, 3, 1, 2) - self.mean) / self.std
        logits = self.network(image)
        return self.arg_max(logits).astype(ms.uint8) if self.ids else logits


@contextmanager
def rounded_weights(network: nn.Cell) -> Iterator[list[ms.Parameter]]:
    """Round the weights to fp16 for a while, still stored as fp32; yields the parameters that this concerns."""
    weights = [one for one in network.trainable_params() if one.dtype == ms.float32 and one.ndim >= MATRIX]
    before = [one.asnumpy() for one in weights]
    try:
        for weight, values in zip(weights, before, strict=True):
            weight.set_data(Tensor(values.astype(np.float16).astype(np.float32)))
        yield weights
    finally:
        for weight, values in zip(weights, before, strict=True):
            weight.set_data(Tensor(values))


@contextmanager
def stored_as(weights: list[ms.Parameter], dtype: ms.Type) -> Iterator[None]:
    """Give parameters another type for a while."""
    before = [weight.dtype for weight in weights]
    try:
        for weight in weights:
            weight.set_dtype(dtype)
        yield
    finally:
        for weight, old in zip(weights, before, strict=True):
            weight.set_dtype(old)
