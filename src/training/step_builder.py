"""The training step that a configuration describes."""

from mindspore import nn

from src.schema import Config
from src.training.loss_scale import LossScale
from src.training.moving_average import MovingAverage
from src.training.optimizer import build_optimizer
from src.training.precision import needs_loss_scale, set_precision
from src.training.schedule import learning_rates
from src.training.train_step import TrainStep


def build_step(config: Config, network: nn.Cell, criterion: nn.Cell) -> TrainStep:
    """Build optimizer, schedule, precision, loss scale and moving average of ``network``, and the step with them.

    Raises:
        UserError: the device has no kernels for ``train.amp``.
    """
    train = config.train
    optimizer = build_optimizer(config.optimizer, list(network.trainable_params()))
    rates = learning_rates(config.schedule, config.optimizer.lr, train.iterations)
    dtype = set_precision(network, train.amp)
    loss_scale = LossScale(**train.loss_scale.model_dump()) if needs_loss_scale(train.amp) else None
    return TrainStep(
        network,
        criterion,
        optimizer,
        rates,
        train.clip_norm,
        train.accumulate,
        protect_state=train.max_bad_steps > 0 or loss_scale is not None,
        dtype=dtype,
        loss_scale=loss_scale,
        average=MovingAverage(network, train.ema.decay) if train.ema else None,
    )
