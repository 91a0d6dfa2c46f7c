"""Dropout whose random state a checkpoint can hold, with the same factors on one worker and on several."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.parallel import rank


@ms.constexpr
def _indices(first, count):
    """The numbers first .. first + count - 1, spread over 32 bits by a product with the golden ratio of 2^32."""
    return Tensor((np.arange(first, first + count, dtype=np.int64) * 0x9E3779B1).astype(np.int32))


def _mix(bits):
    """Scramble int32 words: the finalizer of MurmurHash3, with logical shifts."""
    bits = ops.bitwise_xor(bits, ops.bitwise_and(ops.bitwise_right_shift(bits, 16), 0xFFFF))
    bits = bits * -2048144789
    bits = ops.bitwise_xor(bits, ops.bitwise_and(ops.bitwise_right_shift(bits, 13), 0x7FFFF))
    bits = bits * -1028477387
    return ops.bitwise_xor(bits, ops.bitwise_and(ops.bitwise_right_shift(bits, 16), 0xFFFF))


class HashedDropout(nn.Cell):
    """Random factors, 0 or 1 / (1 - rate), that continue exactly after a resume.

    ``nn.Dropout``'s random state can be neither fixed nor saved, so the factors are a hash of (seed, step,
    index). Seed and step are a parameter of the layer: they are saved and restored with the weights, and a
    resumed run draws the factors that the unbroken run would have drawn. The layer counts its own training
    calls. The seed comes from NumPy's generator, which ``mindspore.set_seed`` sets. With several workers, each draws
    what a single worker with the whole batch would draw for its samples.
    """

    def __init__(self):
        super().__init__()
        self.state = Parameter(Tensor([np.random.randint(2**31 - 1), 0], ms.int32), name="state", requires_grad=False)
        self.one_step = Tensor([0, 1], ms.int32)
        self.rank = rank()

    def uniform(self, batch, each):
        """The next numbers in [0, 1), ``each`` for every sample of the batch: fp32 [batch, each]."""
        seed_and_step = ops.assign_add(self.state, self.one_step)
        key = _mix(seed_and_step[0] + _mix(seed_and_step[1]))
        bits = _mix(ops.bitwise_xor(_indices(self.rank * batch * each, batch * each), key))
        return (ops.bitwise_and(bits, 0x7FFFFF).astype(ms.float32) * (1 / 2**23)).reshape(batch, each)


def check_rate(rate):
    if not 0 <= rate < 1:
        raise ValueError(f"dropout rate must be in [0, 1), got {rate}")
    return rate


class ChannelDropout(HashedDropout):
    """Drop whole channels of [B, C, H, W] in training and scale the others by 1 / (1 - rate)."""

    def __init__(self, rate):
        super().__init__()
        self.rate = check_rate(rate)

    def construct(self, x):
        """[B, C, H, W] -> [B, C, H, W]."""
        if not self.training or self.rate == 0:
            return x
        batch, channels = x.shape[:2]
        mask = (self.uniform(batch, channels) >= self.rate).astype(x.dtype) * (1 / (1 - self.rate))
        return x * mask.reshape(batch, channels, 1, 1)
