"""Data-parallel workers: the rank of this one, and sums over all. With one worker nothing is communicated.

Each worker's loss is averaged over the workers, and so are its gradients. A loss that divides by a count which
differs between workers (labeled pixels, present classes) therefore divides by `MeanOverWorkers` of the count: the
average of the workers' losses is then the loss of the whole batch.
"""

import os

import numpy as np
from mindspore import Tensor, communication, nn, ops

from src import heartbeat

DIGIT = 1 << 12  # counts are summed in digits of this base: exact in fp32 for up to 4,096 workers
HEXADECIMAL = 13  # digits of a checksum that travel as one number
BUCKET = 8 << 20  # gradients summed at a time, in numbers


def start() -> None:
    """Join the other workers if ``msrun`` started this process; its scheduler process never returns from here."""
    if "MS_ROLE" in os.environ and not communication.GlobalComm.INITED:
        heartbeat.start()
        communication.init()
        heartbeat.tick()


def world_size() -> int:
    """Number of workers; 1 where no distributed run was started."""
    return communication.get_group_size() if communication.GlobalComm.INITED else 1


def rank() -> int:
    """Index of this worker, from 0."""
    return communication.get_rank() if communication.GlobalComm.INITED else 0


def local_rank() -> int:
    """Number of this worker among those of its machine, from 0; msrun says it."""
    return int(os.environ.get("DEVICE_ID", 0)) if communication.GlobalComm.INITED else 0


def local_world_size() -> int:
    """Number of workers of this machine; our launcher says it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def wait_for_all() -> None:
    """Return once every worker has made this call."""
    sum_counts(np.zeros(1, np.int64))


def sum_counts(counts: np.ndarray) -> np.ndarray:
    """Sum of non-negative integers below 2^60 over the workers, exact; int64 of any shape."""
    if world_size() == 1:
        return counts
    digits = np.stack([counts // DIGIT**place % DIGIT for place in range(5)]).astype(np.float32)
    sums = ops.AllReduce(ops.ReduceOp.SUM)(Tensor(digits)).asnumpy().astype(np.int64)
    return sum(digit * DIGIT**place for place, digit in enumerate(sums))


def gather_counts(counts: np.ndarray) -> np.ndarray:
    """Non-negative integers below 2^60, [N] -> those of all workers, int64 [workers, N], exact."""
    rows = np.zeros((world_size(), len(counts)), np.int64)
    rows[rank()] = counts
    return sum_counts(rows)


def as_counts(checksum: str) -> list[int]:
    """Hexadecimal digits -> numbers that `gather_counts` takes."""
    return [int(checksum[start : start + HEXADECIMAL], 16) for start in range(0, len(checksum), HEXADECIMAL)]


class SumOverWorkers(nn.Cell):
    """Tensor -> its sum over all workers, differentiable, of any shape."""

    def __init__(self):
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM) if world_size() > 1 else None

    def construct(self, x):
        """x of any shape -> the same shape."""
        return x if self.all_reduce is None else self.all_reduce(x)


class MeanOverWorkers(nn.Cell):
    """Tensor -> its mean over all workers, differentiable, of any shape."""

    def __init__(self):
        super().__init__()
        self.sum = SumOverWorkers()
        self.share = 1 / world_size()

    def construct(self, x):
        """x of any shape -> the same shape."""
        return self.sum(x) * self.share


class MeanGradients(nn.Cell):
    """Gradients -> their means over the workers.

    They are sent in buckets of up to 32 MB, last layers first, because those are known first. Each bucket waits for
    the one before, so that all workers send them in the same order.

    Args:
        parameters: the weights, in the order of the gradients.
    """

    def __init__(self, parameters):
        super().__init__()
        self.workers = world_size()
        self.sum = SumOverWorkers()
        self.shapes = [tuple(parameter.shape) for parameter in parameters]
        self.sizes = [parameter.size for parameter in parameters]
        self.buckets = buckets(self.sizes)

    def construct(self, gradients):
        """Tuple of fp32 tensors -> tuple of their means; with one worker the tuple itself."""
        if self.workers == 1:
            return gradients
        means = [None] * len(self.sizes)
        before = gradients[-1]
        for bucket in self.buckets:
            flat = ops.concat([gradients[i].reshape(-1) for i in bucket])
            before = self.sum(ops.depend(flat, before)) * (1 / self.workers)
            parts = ops.split(before, [self.sizes[i] for i in bucket])
            for place in range(len(bucket)):
                means[bucket[place]] = parts[place].reshape(self.shapes[bucket[place]])
        return tuple(means)


def buckets(sizes: list[int], limit: int = BUCKET) -> list[list[int]]:
    """Indices of ``sizes`` from the last to the first, in groups whose sizes sum to at most ``limit`` (or of one)."""
    groups, total = [], limit + 1
    for index in reversed(range(len(sizes))):
        if total + sizes[index] > limit:
            groups.append([])
            total = 0
        groups[-1].append(index)
        total += sizes[index]
    return groups
