"""Class-aware consistency (CAC) loss: pulls pixels of a class together, pushes classes apart.

Paper: He et al., "Consistent-Separable Feature Representation for Semantic Segmentation", AAAI 2021.
From the paper: a loss that draws the features of a class together and pushes classes apart.
Our reading, all of it, because no formula could be checked. For every class c with at least ``min_pixels`` labeled
pixels, mu_c is the mean of its features f_p; a and b are two such classes, and [x]+ is max(x, 0):

    cosine      intra = mean_c mean_p [1 - f_p mu_c - delta_v]+       inter = mean_ab [mu_a mu_b - delta_d]+
                f_p and mu_c of length 1                              delta_v 0.05, delta_d 0.1
    euclidean   intra = mean_c mean_p [|f_p - mu_c| - delta_v]+^2     inter = mean_ab [2 delta_d - |mu_a - mu_b|]+^2
                                                                      delta_v 0.5, delta_d 1.5

A pixel of the features has the class of its cell of the label if that is pure enough (`majority_label`). Scope
``image`` takes classes and centers from each image and averages over the images that have such a class; an image with
only one counts with inter 0, an image with none does not count. Scope ``batch`` takes them from the whole batch, over
all workers. Where no class has enough pixels, values and gradients are 0. Gradients flow
through the centers; with ``detach_centers`` intra takes them as constants (as class-aware regularization does: Huang et
al., ECCV 2022), while inter, which acts on nothing else, still moves them. ``class_weighting`` says what the mean over
the classes is weighted with: nothing (``mean``), the root of the pixels of a class (``sqrt``) or their number
(``pixels``); a pair of classes has the product of their weights.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.models.layers.labels import majority_label
from src.parallel import MeanOverWorkers, SumOverWorkers, world_size

MARGINS = {"cosine": (0.05, 0.1), "euclidean": (0.5, 1.5)}  # distance: delta_v, delta_d
# Added to a squared length before the root, so that the gradient of a vector of length 0 is finite.
EPS = 1e-8
# Squared distances below this count as this: the root has no gradient there.
LEAST = 1e-12

_product = ops.BatchMatMul()  # the gradient of ops.matmul fails for a batch of one


class Consistency(nn.Cell):
    """CAC loss of a feature map.

    All sums over the pixels of a class and all look-ups of a pixel's center are products with the one-hot label.
    Memory grows as B (C + K) P for P = h w pixels, plus K^2 per image; pairs of pixels are never formed. With several
    workers the mean of their losses is the loss of all images.

    Args:
        num_classes: K, at least 2.
        ignore_index: label of the pixels that do not count; every other label must be in 0..K-1.
        distance: a key of ``MARGINS``.
        scope: ``image`` or ``batch``.
        min_pixels: least number of pixels, at the features' size, for a class to take part.
        purity: least share of its class in a cell's labeled pixels, see `majority_label`.
        class_weighting: ``mean``, ``sqrt`` or ``pixels``.
        detach_centers: whether intra takes the centers as constants.
        intra_margin: delta_v, or None for that of ``MARGINS``.
        inter_margin: delta_d, or None for that of ``MARGINS``.
    """

    def __init__(
        self,
        num_classes,
        ignore_index=255,
        distance="cosine",
        scope="image",
        min_pixels=8,
        intra_margin=None,
        inter_margin=None,
        purity=0.75,
        class_weighting="mean",
        detach_centers=False,
    ):
        super().__init__()
        defaults = MARGINS[distance]
        self.intra_margin = defaults[0] if intra_margin is None else intra_margin
        self.inter_margin = defaults[1] if inter_margin is None else inter_margin
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.cosine = distance == "cosine"
        self.whole_batch = scope == "batch"
        self.min_pixels = min_pixels
        self.purity = purity
        self.class_weighting = class_weighting
        self.detach_centers = detach_centers
        self.workers = float(world_size())
        self.sum_over_workers = SumOverWorkers()
        self.mean_over_workers = MeanOverWorkers()
        self.others = Tensor(1 - np.eye(num_classes, dtype=np.float32)[None])

    def construct(self, features, label):
        """Features [B, C, h, w], label int32 [B, H, W] -> intra, inter: fp32 scalars, computed in fp32."""
        batch, channels, height, width = features.shape
        features = features.astype(ms.float32).reshape(batch, channels, height * width)
        if self.cosine:
            features = _unit(features)
        member = self._one_hot(majority_label(label, (height, width), self.num_classes, self.ignore_index, self.purity))
        # From here on G = B images, or G = 1 group of all of them.
        counts = member.reshape(batch * self.num_classes, -1).sum(1).reshape(batch, self.num_classes)
        sums = _product(features, member.swapaxes(1, 2))
        if self.whole_batch:
            counts = self.sum_over_workers(counts.sum(0, keepdims=True))
            sums = self.sum_over_workers(sums.sum(0, keepdims=True))
        chosen = (counts >= self.min_pixels).astype(ms.float32)  # [G, K]
        weights = self._class_weights(counts) * chosen  # [G, K]
        total = weights.sum(1, keepdims=True)  # [G, 1]
        centers = sums * _inverse(counts).expand_dims(1)  # [G, C, K]
        if self.cosine:
            centers = _unit(centers)
        fixed = ops.stop_gradient(centers) if self.detach_centers else centers
        intra = self._intra(features, member, fixed, weights * _inverse(counts) * _inverse(total))
        inter = self._inter(centers, weights)
        if self.whole_batch:
            return intra * self.workers, inter  # the workers share out the pixels, but all hold the same centers
        images = _inverse(self.mean_over_workers((total > 0).astype(ms.float32).sum()))
        return intra * images, inter * images

    def _class_weights(self, counts):
        """Pixels of each class [G, K] -> its weight [G, K]."""
        if self.class_weighting == "pixels":
            return counts
        return ops.sqrt(counts) if self.class_weighting == "sqrt" else ops.ones_like(counts)

    def _one_hot(self, label):
        """[B, h, w] -> fp32 [B, K, h w]; ignored pixels are members of no class."""
        label = label.reshape(label.shape[0], -1)
        label = ops.select(label == self.ignore_index, ops.full_like(label, -1), label)
        return ops.one_hot(label, self.num_classes, 1.0, 0.0, 1)

    def _intra(self, features, member, centers, weights):
        """Features [B, C, P], member [B, K, P], centers [G, C, K], weight of a pixel by its class [G, K] -> scalar."""
        batch = features.shape[0]
        own = _product(_for_each(centers, batch), member)  # [B, C, P]
        if self.cosine:
            excess = ops.relu(1.0 - self.intra_margin - _sum_channels(features * own))
        else:
            offset = features - own
            distance = ops.sqrt(ops.maximum(_sum_channels(offset * offset), LEAST))
            excess = ops.relu(distance - self.intra_margin) ** 2
        weights = _product(_for_each(weights.expand_dims(1), batch), member)  # [B, 1, P]
        return (excess * weights).reshape(batch, -1).sum(1).sum()

    def _inter(self, centers, weights):
        """Centers [G, C, K], weights of the classes [G, K], 0 if a class takes no part -> scalar."""
        rows = centers.swapaxes(1, 2)
        if self.cosine:
            excess = ops.relu(_product(rows, centers) - self.inter_margin)
        else:
            excess = ops.relu(2.0 * self.inter_margin - ops.cdist(rows, rows)) ** 2
        pairs = _product(weights.expand_dims(2), weights.expand_dims(1)) * self.others  # [G, K, K]
        return ((excess * pairs).sum(2).sum(1) * _inverse(pairs.sum(2).sum(1))).sum()


def _for_each(x, batch):
    """[B, ...] as it is, [1, ...] repeated: [B, ...]."""
    return x if x.shape[0] == batch else ops.tile(x, (batch, 1, 1))


def _inverse(x):
    """1 / x where x is positive, else 0; for values that need no gradient."""
    positive = (x > 0).astype(ms.float32)
    return positive / (x * positive + 1.0 - positive)


def _sum_channels(x):
    """[N, C, P] -> [N, 1, P]; a product is faster on the CPU than a sum over a middle axis."""
    return _product(ops.ones((x.shape[0], 1, x.shape[1]), x.dtype), x)


def _unit(x):
    """[N, C, P] -> the same with columns of length 1."""
    scale = 1.0 / ops.sqrt(_sum_channels(x * x) + EPS)
    return x * _product(ops.ones((x.shape[0], x.shape[1], 1), x.dtype), scale)
