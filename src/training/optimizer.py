"""AdamW and SGD with parameter groups, as cells whose whole state is in parameters.

The project has its own because ``mindspore.nn.AdamWeightDecay`` has no bias correction and the optimizers of
``mindspore.mint`` have no CPU kernels. The updates equal those of PyTorch's ``AdamW`` and ``SGD``.
"""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.schema.training import AdamWConfig, OptimizerConfig, SGDConfig


def weight_decay_of(parameter: Parameter, config: OptimizerConfig) -> float:
    """Weight decay acts on weights, not on norms and biases (which have one axis) or position tables."""
    if parameter.ndim <= 1 or "position" in parameter.name:
        return 0.0
    own = config.decoder_weight_decay
    return config.weight_decay if own is None or parameter.name.startswith("backbone.") else own


def lr_multiplier_of(parameter: Parameter, config: OptimizerConfig) -> float:
    """The decoder may learn faster than a pretrained backbone."""
    return 1.0 if parameter.name.startswith("backbone.") else config.decoder_lr_multiplier


def build_optimizer(config: OptimizerConfig, parameters: list[Parameter]) -> "AdamW | SGD":
    """Return the cell that updates ``parameters`` in place: ``construct(gradients, lr)``."""
    return (AdamW if isinstance(config, AdamWConfig) else SGD)(config, parameters)


class _Optimizer(nn.Cell):
    """The parameters with their weight decay and learning-rate multiplier.

    Weights are updated by a map over tuples. A loop that takes item i of a tuple would give every weight a graph of
    its own that holds all weights, and compiling would take time quadratic in their number (docs/performance.md).
    """

    def __init__(self, config: OptimizerConfig, parameters: list[Parameter]):
        super().__init__(auto_prefix=False)
        self.weights = ParameterTuple(parameters)
        self.decays = tuple(weight_decay_of(p, config) for p in parameters)
        self.multipliers = tuple(lr_multiplier_of(p, config) for p in parameters)
        self.map = ops.HyperMap()


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
        update = ops.partial(_adamw, self.adam, (self.beta1, self.beta2, power1, power2, eps), lr)
        return self.map(
            update, self.weights, self.first_moments, self.second_moments, gradients, self.decays, self.multipliers
        )


def _adamw(adam, constants, lr, weight, first_moment, second_moment, gradient, decay, multiplier):
    """Update one weight."""
    beta1, beta2, power1, power2, eps = constants
    rate = lr * multiplier
    if decay > 0:
        ops.assign(weight, weight * (1.0 - rate * decay))
    return adam(weight, first_moment, second_moment, power1, power2, rate, beta1, beta2, eps, gradient)


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
        update = ops.partial(_sgd, self.apply, self.momentum, lr)
        return self.map(update, self.weights, self.velocities, gradients, self.decays, self.multipliers)


def _sgd(apply, momentum, lr, weight, velocity, gradient, decay, multiplier):
    """Update one weight."""
    if decay > 0:
        gradient = gradient + decay * weight
    return apply(weight, velocity, lr * multiplier, gradient, momentum)
