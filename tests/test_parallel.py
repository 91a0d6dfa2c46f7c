"""What the workers share, where it needs no workers."""

import numpy as np
from mindspore import Tensor

from src import parallel


def test_alone_nothing_changes():
    assert (parallel.rank(), parallel.world_size()) == (0, 1)
    counts = np.arange(4)
    assert parallel.sum_counts(counts) is counts
    assert parallel.gather_counts(counts).tolist() == [[0, 1, 2, 3]]
    gradients = (Tensor(1.0), Tensor(2.0))
    assert parallel.MeanGradients([])(gradients) == gradients


def test_buckets_go_from_the_last_to_the_first_and_leave_none_out():
    assert parallel.buckets([3, 4, 5, 1], limit=6) == [[3, 2], [1], [0]]
    assert parallel.buckets([3, 100, 1], limit=6) == [[2], [1], [0]]
    assert parallel.buckets([2, 2, 2], limit=6) == [[2, 1, 0]]
