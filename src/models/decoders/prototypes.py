"""Category prototypes of an image and their memory over the data set, for CPT (``cpt.py`` says what is whose).

All sums, counts and the memory are fp32 whatever the type of the features: a class may cover a whole map.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer

from src.models.layers.activation import softmax
from src.models.layers.dense import Dense
from src.models.layers.labels import resize_nearest
from src.models.layers.norm import LayerNorm
from src.models.layers.rows import outer
from src.parallel import SumOverWorkers


class Assignment(nn.Cell):
    """Share of every pixel that belongs to every class.

    ``hard``: 1 for the class of the highest logit (no gradient). ``soft``: softmax over the classes. ``teacher``:
    in training the label, where pixels without a class belong to none; in evaluation as ``hard``.
    """

    def __init__(self, kind, num_classes):
        super().__init__()
        self.kind, self.num_classes = kind, num_classes
        self.one = Tensor(1, ms.float32)
        self.zero = Tensor(0, ms.float32)
        self.argmax = ops.Argmax(-1, ms.int32)

    def construct(self, logits, label=None):
        """Logits [B, K, h, w], label int32 [B, H, W] -> fp32 [B, h * w, K]."""
        batch, _, height, width = ops.shape(logits)
        if self.kind == "teacher" and self.training:
            if label is None:
                raise ValueError("CPT with assignment: teacher needs the label in training")
            # Labels from K on (ignore is 255) lie outside the one-hot code and give zeros.
            return self.one_hot(resize_nearest(label, (height, width)).reshape(batch, -1))
        logits = logits.astype(ms.float32).reshape(batch, self.num_classes, -1).transpose(0, 2, 1)
        if self.kind == "soft":
            return softmax(logits)
        return self.one_hot(self.argmax(logits))

    def one_hot(self, classes):
        """int32 [B, P] -> fp32 [B, P, K]."""
        return ops.one_hot(classes, self.num_classes, self.one, self.zero)


class PrototypeMemory(nn.Cell):
    """Running mean of every class's features over the training set: state that is saved but not trained.

    Attributes:
        prototypes: fp32 [K, D]; zero for a class that was never seen.
        updates: int32 [K], number of updates so far.
    """

    def __init__(self, num_classes, channels, momentum):
        super().__init__()
        self.momentum = momentum
        self.prototypes = Parameter(
            initializer("zeros", (num_classes, channels)), name="prototypes", requires_grad=False
        )
        self.updates = Parameter(initializer("zeros", (num_classes,), ms.int32), name="updates", requires_grad=False)
        self.sum_over_workers = SumOverWorkers()

    def construct(self):
        """Prototypes fp32 [K, D] and whether each was ever seen, 1 or 0, fp32 [K, 1], both as they are now."""
        # The sum is a value of its own: the parameter changes before the backward pass reads it.
        return self.prototypes + 0.0, (self.updates > 0).astype(ms.float32).reshape(-1, 1)

    def update(self, sums, counts):
        """Blend in the mean of this step's pixels, the same on every worker; a first sight is copied.

        Args:
            sums: weighted sum of the features of every class over this worker's batch, fp32 [K, D].
            counts: sum of the weights, fp32 [K, 1]; 0 where the class is absent, which changes nothing.
        """
        both = self.sum_over_workers(ops.cat((sums, counts), 1))
        sums, counts = both[:, :-1], both[:, -1:]
        present = (counts > 0).astype(ms.float32)
        mean = sums / (counts + (1.0 - present))
        seen = (self.updates > 0).astype(ms.float32).reshape(-1, 1)
        share = present * (1.0 - self.momentum * seen)
        ops.assign(self.prototypes, (1.0 - share) * self.prototypes + share * mean)
        ops.assign(self.updates, self.updates + present.reshape(-1).astype(ms.int32))


class Prototypes(nn.Cell):
    """One refined prototype per image and class, from the image's pixels and from the memory.

    Args:
        num_classes: K.
        channels: D.
        assignment: see `Assignment`.
        momentum: of the memory, or None for no memory.
        min_mass: a class is present where the sum of its pixels' shares is above this, in pixels.
    """

    def __init__(self, num_classes, channels, assignment, momentum, min_mass):
        super().__init__()
        self.num_classes, self.channels, self.min_mass = num_classes, channels, min_mass
        self.assignment = Assignment(assignment, num_classes)
        self.product = ops.BatchMatMul()
        self.remember = momentum is not None
        if self.remember:
            self.memory = PrototypeMemory(num_classes, channels, momentum)
            self.gate = Dense(2 * channels, channels)
        self.norm = LayerNorm(channels)

    def construct(self, x, logits, label=None):
        """Features [B, D, h, w], logits [B, K, h, w], label int32 [B, H, W] or None.

        Returns:
            Refined prototypes [B, K, D] in the type of ``x``, and fp32 [B, K]: 1 where a class is in the image or
            in the memory, else 0. In training the memory is updated, after it was read.
        """
        batch = ops.shape(x)[0]
        share = self.assignment(logits, label)
        pixels = x.astype(ms.float32).reshape(batch, self.channels, -1)
        sums = self.product(pixels, share).transpose(0, 2, 1).reshape(-1, self.channels)  # [B K, D]
        counts = self.product(ops.ones_like(pixels[:, :1]), share).reshape(-1, 1)  # [B K, 1]
        present = (counts > self.min_mass).astype(ms.float32)
        ones = ops.ones((1, self.channels), ms.float32)
        mask = outer(present, ones)
        prototypes = sums * outer(present / ops.maximum(counts, self.min_mass), ones)
        if self.remember:
            per_image = ops.ones_like(counts.reshape(batch, -1)[:, :1])  # [B, 1]
            memory, seen = self.memory()
            memory = outer(per_image, memory.reshape(1, -1)).reshape(-1, self.channels)
            if self.training:
                self.update_memory(batch, sums * mask, counts * present)
            # Where the class is absent the gate is shut and the memory alone counts.
            gate = ops.sigmoid(self.gate(ops.cat((prototypes, memory), 1))) * mask
            prototypes = gate * prototypes + (1.0 - gate) * memory
            present = ops.maximum(present, outer(per_image, seen.reshape(1, -1)).reshape(-1, 1))
        refined = self.norm(prototypes).reshape(batch, self.num_classes, self.channels)
        return refined.astype(x.dtype), present.reshape(batch, self.num_classes)

    def update_memory(self, batch, sums, counts):
        """Sums [B K, D] and counts [B K, 1] per image -> the memory's update with those of the batch."""
        row = ops.ones((1, batch), ms.float32)
        sums = ops.matmul(row, ops.stop_gradient(sums).reshape(batch, -1)).reshape(-1, self.channels)
        counts = ops.matmul(row, ops.stop_gradient(counts).reshape(batch, -1)).reshape(-1, 1)
        self.memory.update(sums, counts)
