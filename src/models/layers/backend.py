"""Which form of a layer the back end gets.

Several layers are written in two forms: MindSpore's standard operator, and one that is faster on its CPU back end and
equal to it up to rounding. The comment at each says what was measured (two cores, fp32, milliseconds forward and
backward).
"""

import mindspore as ms
from mindspore import ops
from mindspore.ops import functional as F


def is_static(x):
    """Whether the shape of ``x`` is known while the graph is compiled."""
    return not F.is_sequence_value_unknown(ops.shape(x))


@ms.constexpr
def products_are_faster():
    return ms.get_context("device_target") == "CPU"
