"""Keys of ``optimizer``, ``schedule``, ``train``, ``eval`` and ``device``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from src.schema.base import Count, Natural, Positive, Section, Share, Size


# ------------------------------------------------------------------------------------ optimizer, schedule
class OptimizerBase(Section):
    """Keys that all optimizers share."""

    lr: Positive  # for the total batch size of this config
    weight_decay: Annotated[float, Field(ge=0)] = 0.01  # not applied to norms, biases and position tables
    decoder_lr_multiplier: Positive = 1.0


class SGDConfig(OptimizerBase):
    """Stochastic gradient descent with momentum; weight decay is added to the gradient."""

    name: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9


class AdamWConfig(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019)."""

    name: Literal["adamw"]
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = [
        0.9,
        0.999,
    ]
    eps: Positive = 1e-8


OptimizerConfig = Annotated[SGDConfig | AdamWConfig, Field(discriminator="name")]


class ScheduleConfig(Section):
    """Learning rate over the iterations: linear warm-up, then decay to ``min_lr`` at the last iteration."""

    name: Literal["poly", "cosine", "constant"] = "poly"
    power: Positive = 0.9  # of `poly`
    min_lr: Annotated[float, Field(ge=0)] = 0.0
    warmup_iterations: Natural = 0
    warmup_ratio: Share = 1e-6  # the warm-up starts at this share of the learning rate


# ---------------------------------------------------------------------------------- training, evaluation
class LossScaleConfig(Section):
    """Dynamic loss scaling of fp16: halved at an overflow, doubled after ``window`` good updates in a row."""

    initial: Annotated[float, Field(ge=1, le=2**24)] = 65536.0
    window: Count = 1000


class AverageConfig(Section):
    """Exponential moving average of the weights."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998  # share of the old average at an update


class TrainConfig(Section):
    """The training loop."""

    iterations: Count
    batch_size: Count  # total per update: over all workers and all accumulated parts
    accumulate: Count = 1  # parts into which the batch of an update is divided, one after the other
    eval_every: Natural = 0  # iterations; 0 = never
    checkpoint_every: Count = 1000
    log_every: Count = 50
    seed: Natural = 0
    amp: Literal["O0", "O2", "O3", "bf16"] = "O0"  # fp32, fp16, fp16 through batch norm too, bfloat16
    loss_scale: LossScaleConfig = LossScaleConfig()  # of O2 and O3
    sink_size: Natural = 0  # updates per call on Ascend and GPU, fed from the device's queue; 0 = hand over each batch
    ema: AverageConfig | None = None  # moving average of the weights, which is then evaluated and kept as best
    clip_norm: Positive | None = None  # largest global norm of the gradient
    max_bad_steps: Natural = 0  # steps in a row with a non-finite loss or gradient that are skipped

    @model_validator(mode="after")
    def _divisible(self) -> "TrainConfig":
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulate {self.accumulate}")
        if self.sink_size:
            if self.accumulate > 1:
                raise ValueError(f"sink_size {self.sink_size} and accumulate {self.accumulate} exclude each other")
            for name in ("iterations", "eval_every", "checkpoint_every", "log_every"):
                if getattr(self, name) % self.sink_size:
                    raise ValueError(f"{name} {getattr(self, name)} is not a multiple of sink_size {self.sink_size}")
        return self


class EvalConfig(Section):
    """The protocol of evaluation; printed beside every result."""

    mode: Literal["whole", "slide"] = "whole"
    crop: Size | None = None  # window of `slide`
    stride: Size | None = None  # step of `slide`
    scales: Annotated[list[Positive], Field(min_length=1)] = [1.0]
    flip: bool = False

    @model_validator(mode="after")
    def _window(self) -> "EvalConfig":
        if self.mode == "slide":
            if self.crop is None or self.stride is None:
                raise ValueError("mode slide needs crop and stride, each [height, width]")
            if any(s > c for s, c in zip(self.stride, self.crop, strict=True)):
                raise ValueError(f"stride {self.stride} is larger than crop {self.crop} and would skip pixels")
        return self


class DeviceConfig(Section):
    """Where and how the network runs."""

    target: Literal["auto", "CPU", "GPU", "Ascend"] = "auto"
    mode: Literal["graph", "pynative"] = "graph"
