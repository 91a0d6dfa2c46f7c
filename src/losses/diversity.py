"""Diversity loss of ECENet's feature reconstruction.

Standing: name and weight (0.2) are from the release; the formula is our reading, after the mutual-channel loss
(Chang et al., "The Devil Is in the Channels", TIP 2020): where the channels' softmaxes over the positions peak at
different places, the maximum over the channels is large.
"""

import mindspore as ms
from mindspore import nn, ops


class DiversityLoss(nn.Cell):
    """Mean over the levels of 1 - (1 / c_i) mean over the batch of Σ_p E_i[p]; in [0, 1), 0 without levels.

    E_i is the largest of c_i softmaxes over the positions, so its sum lies in [1, min(c_i, number of positions)].

    Args:
        index: place of the tuple of E_i among the decoder's outputs.
        channels_index: place of the numbers of channels c_i.
    """

    def __init__(self, index, channels_index):
        super().__init__()
        self.index, self.channels_index = index, channels_index

    def construct(self, outputs, label):
        """Tuple with E_i [B, P_i] and c, fp32 [levels] -> a tuple of one fp32 scalar."""
        levels, channels = outputs[self.index], outputs[self.channels_index]
        if len(levels) == 0:
            return (ops.zeros((), ms.float32),)
        spread = ops.stack([ops.sum(level) / level.shape[0] for level in levels])
        return (1.0 - ops.mean(spread / channels),)
