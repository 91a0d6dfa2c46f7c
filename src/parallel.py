"""Sums over the workers of a data-parallel run; with one worker they change nothing and cost nothing.

Each worker's loss is averaged over the workers, and so are its gradients. A loss that divides by a count which
differs between workers (labelled pixels, present classes) therefore divides by `MeanOverWorkers` of the count: the
average of the workers' losses is then the loss of the whole batch.
"""

from mindspore import communication, nn, ops


def world_size() -> int:
    """Number of workers; 1 where no distributed run was started."""
    return communication.get_group_size() if communication.GlobalComm.INITED else 1


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
