"""One compiled training step: forward, loss, gradient, clipping, update."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.parallel import MeanGradients, MeanOverWorkers
from src.training.loss_scale import LossScale
from src.training.moving_average import MovingAverage


class NetworkWithLoss(nn.Cell):
    """Network and criterion as one cell: (image, label, scale, step) -> (total * scale, total, parts).

    Args:
        dtype: type in which the network computes.
    """

    def __init__(self, network: nn.Cell, criterion: nn.Cell, dtype=ms.float32):
        super().__init__(auto_prefix=False)  # a prefix would rename the parameters for good
        self.network = network
        self.criterion = criterion
        self.dtype = dtype
        self.needs_step = getattr(criterion, "needs_step", False)

    def construct(self, image, label, scale, step=None):
        """image [B, 3, H, W] fp32, label [B, H, W] int32, scale fp32 and step int32 scalars -> two scalars, parts [P].

        What comes out is fp32.
        """
        outputs = self.network(image.astype(self.dtype))
        if self.needs_step:
            total, parts = self.criterion(outputs, label, step)
        else:
            total, parts = self.criterion(outputs, label)
        return total * scale, total, parts


class TrainStep(nn.Cell):
    """``construct(image, label, update)`` does one step and returns one fp32 vector, see `RESULT`.

    A step whose loss or gradient is not finite leaves the weights and the optimizer's state unchanged, and with
    ``protect_state`` the network's own state (batch-norm statistics) too. With several workers, each passes its part of
    the batch; losses and gradients are averaged, so all make the same update and get the same vector.

    Args:
        rates: learning rate of each iteration, fp32 [iterations].
        clip_norm: largest global L2 norm of the gradient, or None.
        accumulate: number of calls whose gradients are averaged into one update; the last of them is made
            with ``update=True``, the others with ``update=False``.
        protect_state: keep a copy of the network's state and restore it after a non-finite step.
        dtype: type in which the network computes.
        loss_scale: None for no scaling.
        average: moving average of the weights, updated with them, or None.
    """

    # Followed by the parts of the criterion. stop: share of the workers that ask to stop.
    RESULT = ("loss", "grad_norm", "finite", "lr", "loss_scale", "stop")

    def __init__(
        self,
        network: nn.Cell,
        criterion: nn.Cell,
        optimizer: nn.Cell,
        rates,
        clip_norm: float | None = None,
        accumulate: int = 1,
        protect_state: bool = False,
        dtype=ms.float32,
        loss_scale: LossScale | None = None,
        average: MovingAverage | None = None,
    ):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        weights = optimizer.weights
        self.network = NetworkWithLoss(network, criterion, dtype)
        self.gradient = ms.value_and_grad(self.network, None, weights, has_aux=True)
        self.mean_values, self.mean_gradients = MeanOverWorkers(), MeanGradients(weights)
        self.rates = Tensor(rates, ms.float32)
        self.clip_norm = clip_norm
        self.accumulate = accumulate
        self.loss_scale, self.average = loss_scale, average
        self.map = ops.HyperMap()  # see src/training/optimizer.py for why not a loop
        self.one = Tensor(1.0, ms.float32)
        self.iteration = Parameter(Tensor(0, ms.int32), name="iteration", requires_grad=False)
        self.sums = weights.clone(prefix="gradient_sum", init="zeros") if accumulate > 1 else ()
        trained = {id(weight) for weight in weights}
        state = [p for p in network.get_parameters() if id(p) not in trained] if protect_state else []
        self.protect_state = bool(state)
        self.network_state = ParameterTuple(state)
        self.kept_state = self.network_state.clone(prefix="kept", init="same")

    def state(self) -> list[Parameter]:
        """Everything besides the network's parameters that the next step depends on, between two updates."""
        scale = self.loss_scale.state() if self.loss_scale else []
        averages = list(self.average.averages) if self.average else []
        return [*self.optimizer.state(), self.iteration, *scale, *averages]

    def keep_network_state(self) -> None:
        """Make the network's current state the one to restore; call it after loading weights."""
        for kept, present in zip(self.kept_state, self.network_state, strict=True):
            kept.set_data(present.clone())

    def construct(self, image, label, update, stop=None):
        """One step.

        Args:
            image: fp32 [B, 3, H, W], this worker's part.
            label: int32 [B, H, W].
            update: Python bool, see ``accumulate``.
            stop: fp32 scalar, 1 if this worker asks to stop; None for 0.

        Returns:
            fp32 [len(RESULT) + P]; after an update the same on all workers.
        """
        scale = self.one if self.loss_scale is None else self.loss_scale.scale + 0.0
        (_, total, parts), gradients = self.gradient(image, label, scale, self.iteration + 0)
        if self.loss_scale is not None:
            gradients = self.map(ops.partial(_times, 1.0 / scale), gradients)
        stop = ops.zeros_like(total) if stop is None else stop
        values = self.mean_values(ops.concat((ops.stack((total, stop)), parts)))
        lr = self.rates[self.iteration]
        if self.accumulate > 1:
            gradients = self.map(ops.partial(_add, 1.0 / self.accumulate), self.sums, gradients)
        if update:
            gradients = self.mean_gradients(gradients)
        # Sums of squares by tensor, then over all of them.
        norm = ops.sqrt(ops.reduce_sum(ops.stack(self.map(_sum_of_squares, gradients))))
        finite = ops.isfinite(values[0] + norm)
        if update:
            self._update(gradients, norm, finite, lr)
        head = ops.stack((values[0], norm, finite.astype(ms.float32), lr, scale, values[1]))
        return ops.concat((head, values[2:]))

    def _update(self, gradients, norm, finite, lr):
        """Update the weights, or restore the previous state."""
        if self.clip_norm is not None:
            scale = ops.minimum(self.one, self.clip_norm / (norm + 1e-6))
            gradients = self.map(ops.partial(_times, scale), gradients)
        if finite:
            self.optimizer(gradients, lr)
            if self.average is not None:
                self.average(self.iteration.astype(ms.float32))
            if self.protect_state:
                self.map(ops.assign, self.kept_state, self.network_state)
        elif self.protect_state:
            self.map(ops.assign, self.network_state, self.kept_state)
        if self.loss_scale is not None:
            self.loss_scale(finite)
        if self.accumulate > 1:
            self.map(_clear, self.sums)
        # A result other than None: a branch without one would be a Python call in the compiled graph.
        return ops.assign_add(self.iteration, Tensor(1, ms.int32))


def _times(factor, x):
    return x * factor


def _add(share, total, gradient):
    """Add a part's share to the sum and return a copy, because the sum is set to zero after the update."""
    ops.assign_add(total, gradient * share)
    return total + 0.0


def _clear(total):
    return ops.assign(total, ops.zeros_like(total))


def _sum_of_squares(gradient):
    """A reduction over the last axis of a 2-D view is faster on CPU."""
    rows = gradient.view(gradient.shape[0], -1).astype(ms.float32)
    return ops.reduce_sum(ops.reduce_sum(rows * rows, -1))
