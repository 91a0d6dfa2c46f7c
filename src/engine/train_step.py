"""One compiled training step: forward, loss, gradient, clipping, update."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops


class NetworkWithLoss(nn.Cell):
    """Network and criterion as one cell: (image, label) -> (total, parts)."""

    def __init__(self, network: nn.Cell, criterion: nn.Cell):
        super().__init__(auto_prefix=False)  # a prefix would change the parameters' names for good
        self.network = network
        self.criterion = criterion
        self.needs_label = getattr(network, "needs_label", False)

    def construct(self, image, label):
        """image [B, 3, H, W] fp32, label [B, H, W] int32 -> total, scalar; parts [P] fp32."""
        outputs = self.network(image, label) if self.needs_label else self.network(image)
        return self.criterion(outputs, label)


class TrainStep(nn.Cell):
    """``construct(image, label, update)`` does one step and returns one fp32 vector, see `RESULT`.

    A step whose loss or gradient is not finite leaves the weights and the optimizer's state as they were,
    and with ``protect_state`` the network's own state (batch-norm statistics) too.

    Args:
        rates: learning rate of each iteration, fp32 [iterations].
        clip_norm: largest global L2 norm of the gradient, or None.
        accumulate: number of calls whose gradients are averaged into one update; the last of them is made
            with ``update=True``, the others with ``update=False``.
        protect_state: keep a copy of the network's state to return to after a step that is not finite.
    """

    RESULT = ("loss", "grad_norm", "finite", "lr")  # followed by the parts of the criterion

    def __init__(self, network, criterion, optimizer, rates, clip_norm=None, accumulate=1, protect_state=False):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        weights = optimizer.weights
        self.gradient = ms.value_and_grad(NetworkWithLoss(network, criterion), None, weights, has_aux=True)
        self.rates = Tensor(rates, ms.float32)
        self.clip_norm = clip_norm
        self.accumulate = accumulate
        self.iteration = Parameter(Tensor(0, ms.int32), name="iteration", requires_grad=False)
        self.sums = weights.clone(prefix="gradient_sum", init="zeros") if accumulate > 1 else ()
        trained = {id(weight) for weight in weights}
        state = [p for p in network.get_parameters() if id(p) not in trained] if protect_state else []
        self.network_state = ParameterTuple(state)
        self.kept_state = self.network_state.clone(prefix="kept", init="same")

    def state(self) -> list[Parameter]:
        """Everything besides the network's parameters that the next step depends on, between two updates."""
        return [*self.optimizer.state(), self.iteration]

    def keep_network_state(self) -> None:
        """Take the network's present state as the one to return to; call it when weights were loaded."""
        for kept, present in zip(self.kept_state, self.network_state, strict=True):
            kept.set_data(present.clone())

    def construct(self, image, label, update):
        """image [B, 3, H, W], label [B, H, W] int32, update: Python bool -> fp32 [len(RESULT) + P]."""
        (total, parts), gradients = self.gradient(image, label)
        lr = self.rates[self.iteration]
        if self.accumulate > 1:
            gradients = self._add(gradients)
        norm = _global_norm(gradients)
        finite = ops.isfinite(total + norm)
        if update:
            ops.assign_add(self.iteration, Tensor(1, ms.int32))
            if self.clip_norm is not None:
                scale = ops.minimum(Tensor(1.0, ms.float32), self.clip_norm / (norm + 1e-6))
                gradients = [gradient * scale for gradient in gradients]
            if finite:
                self.optimizer(gradients, lr)
                _copy(self.kept_state, self.network_state)
            else:
                _copy(self.network_state, self.kept_state)
            if self.accumulate > 1:
                for total_gradient in self.sums:
                    ops.assign(total_gradient, ops.zeros_like(total_gradient))
        return ops.concat((ops.stack((total, norm, finite.astype(ms.float32), lr)), parts))

    def _add(self, gradients):
        """Add this part's share to the sums and return them."""
        summed = []
        for i in range(len(self.sums)):
            ops.assign_add(self.sums[i], gradients[i] / self.accumulate)
            summed.append(self.sums[i] + 0.0)  # a value of its own: the sums are set to zero below
        return summed


def _copy(targets, sources):
    for i in range(len(targets)):
        ops.assign(targets[i], sources[i])


def _global_norm(gradients):
    """L2 norm over all tensors. Sums over the last axis of a 2-D view: up to ten times as fast on CPU."""
    squares = []
    for gradient in gradients:
        rows = gradient.view(gradient.shape[0], -1).astype(ms.float32)
        squares.append(ops.reduce_sum(ops.reduce_sum(rows * rows, -1)))
    return ops.sqrt(ops.reduce_sum(ops.stack(squares)))
