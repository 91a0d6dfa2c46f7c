"""AdamW and SGD as cells whose whole state is in parameters, with parameter groups.

They are the project's own because ``mindspore.nn.AdamWeightDecay`` has no bias correction and the optimizers
of ``mindspore.mint`` have no CPU kernels. The updates equal those of PyTorch's ``AdamW`` and ``SGD``.
"""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.schema.training import AdamWConfig, OptimizerConfig, SGDConfig


def weight_decay_of(parameter: Parameter, config: OptimizerConfig) -> float:
    """Weight decay acts on weights, not on norms, biases (all of one axis) and position tables."""
    return 0.0 if parameter.ndim <= 1 or "position" in parameter.name else config.weight_decay


def lr_multiplier_of(parameter: Parameter, config: OptimizerConfig) -> float:
    """The decoder may learn faster than a pretrained backbone."""
    return 1.0 if parameter.name.startswith("backbone.") else config.decoder_lr_multiplier


def build_optimizer(config: OptimizerConfig, parameters: list[Parameter]) -> "AdamW | SGD":
    """Return the cell that updates ``parameters`` in place: ``construct(gradients, lr)``."""
    return (AdamW if isinstance(config, AdamWConfig) else SGD)(config, parameters)


class _Optimizer(nn.Cell):
    """The parameters with their weight decay and learning-rate multiplier."""

    def __init__(self, config: OptimizerConfig, parameters: list[Parameter]):
        super().__init__(auto_prefix=False)
        self.weights = ParameterTuple(parameters)
        self.decays = tuple(weight_decay_of(p, config) for p in parameters)
        self.multipliers = tuple(lr_multiplier_of(p, config) for p in parameters)


class AdamW(_Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019)."""

    def __init__(self, config: AdamWConfig, parameters: list[Parameter]):
        super().__init__(config, parameters)
        self.beta1, self.beta2 = config.betas
        self.eps = config.eps
        self.first_moments = self.weights.clone(prefix="first_moment", init="zeros")
        self.second_moments = self.weights.clone(prefix="second_moment", init="zeros")
        self.updates = Parameter(Tensor(0.0, ms.float32), name="updates", requires_grad=False)
        self.adam = ops.Adam()

    def state(self) -> list[Parameter]:
        """Everything besides the weights that the next update depends on."""
        return [*self.first_moments, *self.second_moments, self.updates]

    def construct(self, gradients, lr):
        """gradients: one tensor per weight; lr: fp32 scalar tensor."""
        count = self.updates + 1.0
        ops.assign(self.updates, count)
        power1 = ops.pow(Tensor(self.beta1, ms.float32), count)
        power2 = ops.pow(Tensor(self.beta2, ms.float32), count)
        # The kernel adds eps to sqrt(v) before the bias correction, AdamW adds it after.
        eps = self.eps * ops.sqrt(1.0 - power2)
        for i in range(len(self.weights)):
            self._update(i, gradients[i], lr, power1, power2, eps)
        return lr

    def _update(self, i, gradient, lr, power1, power2, eps):
        """One weight. A method of its own: branches inside the unrolled loop exceed the call depth of deep networks."""
        rate = lr * self.multipliers[i]
        if self.decays[i] > 0:
            ops.assign(self.weights[i], self.weights[i] * (1.0 - rate * self.decays[i]))
        self.adam(
            self.weights[i], self.first_moments[i], self.second_moments[i],
            power1, power2, rate, self.beta1, self.beta2, eps, gradient,
        )  # fmt: skip


class SGD(_Optimizer):
    """Stochastic gradient descent with momentum; weight decay is added to the gradient."""

    def __init__(self, config: SGDConfig, parameters: list[Parameter]):
        super().__init__(config, parameters)
        self.momentum = config.momentum
        self.velocities = self.weights.clone(prefix="velocity", init="zeros")
        self.apply = ops.ApplyMomentum()

    def state(self) -> list[Parameter]:
        """Everything besides the weights that the next update depends on."""
        return list(self.velocities)

    def construct(self, gradients, lr):
        """gradients: one tensor per weight; lr: fp32 scalar tensor."""
        for i in range(len(self.weights)):
            self._update(i, gradients[i], lr)
        return lr

    def _update(self, i, gradient, lr):
        if self.decays[i] > 0:
            gradient = gradient + self.decays[i] * self.weights[i]
        self.apply(self.weights[i], self.velocities[i], lr * self.multipliers[i], gradient, self.momentum)
