"""The choice between the two forms of a layer.

Several layers exist in two forms: MindSpore's standard operator, and one that is faster on the CPU and equal to it up
to rounding. The measurements are in docs/performance.md.
"""

import mindspore as ms
from mindspore import ops
from mindspore.ops import functional as F


def is_static(x):
    """Whether the shape of ``x`` is known while the graph is compiled."""
    return not F.is_sequence_value_unknown(ops.shape(x))


@ms.constexpr
def products_are_faster():
    """Whether the back end is the CPU, where the forms made of matrix products are the faster ones."""
    return ms.get_context("device_target") == "CPU"
