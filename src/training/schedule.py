"""Learning-rate schedules as tables: one value per iteration, computed once in float64."""

import numpy as np

from src.schema.training import ScheduleConfig


def learning_rates(config: ScheduleConfig, base_lr: float, iterations: int) -> np.ndarray:
    """Return the learning rate of every iteration, float32 [iterations].

    With t = 0, 1, ... the iteration, T = ``iterations`` and w = ``warmup_iterations``:

    - poly: min_lr + (base_lr - min_lr) * (1 - t/T)^power
    - cosine: min_lr + (base_lr - min_lr) * (1 + cos(pi t/T)) / 2
    - constant: base_lr
    - for t < w the value is multiplied by 1 - (1 - t/w) * (1 - warmup_ratio), which rises linearly from
      ``warmup_ratio`` to 1 (the field's usual warm-up, as in mmsegmentation).
    """
    t = np.arange(iterations, dtype=np.float64)
    progress = t / iterations
    if config.name == "poly":
        decay = (1 - progress) ** config.power
    elif config.name == "cosine":
        decay = (1 + np.cos(np.pi * progress)) / 2
    else:
        decay = np.ones(iterations)
    floor = config.min_lr if config.name != "constant" else 0.0
    rates = floor + (base_lr - floor) * decay
    warmup = config.warmup_iterations
    if warmup:
        rates *= np.where(t < warmup, 1 - (1 - t / warmup) * (1 - config.warmup_ratio), 1.0)
    return rates.astype(np.float32)
