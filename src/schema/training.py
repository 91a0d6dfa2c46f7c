"""Keys of ``optimizer``, ``schedule``, ``train``, ``eval`` and ``device``."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from src.schema.base import Count, Natural, NonNegative, Positive, Rate, Section, Share, Size

Betas = Annotated[list[Rate], Field(min_length=2, max_length=2, title="[β₁, β₂]")]


# ------------------------------------------------------------------------------------ optimizer, schedule
class OptimizerBase(Section):
    """Keys that all optimizers share."""

    lr: Positive
    """Highest learning rate, for the total batch size of this config."""
    weight_decay: NonNegative = 0.01
    """Weight decay; norms, biases and position tables have none."""
    decoder_weight_decay: NonNegative | None = None
    """Weight decay of the decoder; null: `weight_decay`."""
    decoder_lr_multiplier: Positive = 1.0
    """Factor of the learning rate for the decoder."""


class SGDConfig(OptimizerBase):
    """Stochastic gradient descent with momentum; weight decay is added to the gradient."""

    name: Literal["sgd"]
    momentum: Rate = 0.9
    """Share of the old direction that stays at an update."""


class AdamWConfig(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""

    name: Literal["adamw"]
    betas: Betas = [0.9, 0.999]
    """Decay of the averages of the gradient and of its square."""
    eps: Positive = 1e-8
    """Added to the denominator of the update."""


OptimizerConfig = Annotated[SGDConfig | AdamWConfig, Field(discriminator="name")]


class ScheduleConfig(Section):
    """Learning rate over the iterations: linear warm-up, then decay to `min_lr` at the last iteration."""

    name: Literal["poly", "cosine", "constant"] = "poly"
    """Shape of the decay: a power of the share of iterations left, half a cosine, or none."""
    power: Positive = 0.9
    """Exponent of `poly`."""
    min_lr: NonNegative = 0.0
    """Learning rate at the end; not of `constant`."""
    warmup_iterations: Natural = 0
    """Iterations over which the learning rate rises."""
    warmup_ratio: Share = 1e-6
    """Share of the learning rate at which the warm-up starts."""


# ---------------------------------------------------------------------------------- training, evaluation
class LossScaleConfig(Section):
    """Dynamic loss scaling of fp16 (`amp: O2` and `O3`): halved at an overflow, doubled after good updates."""

    initial: Annotated[float, Field(ge=1, le=2**24)] = 65536.0
    """Scale of the first update."""
    window: Count = 1000
    """Updates in a row without an overflow after which the scale doubles."""


class AverageConfig(Section):
    """Exponential moving average of the weights, which is then evaluated and kept as the best."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998
    """Share of the old average that stays at an update; smaller in the first updates."""


class TrainConfig(Section):
    """The training loop."""

    iterations: Count
    """Updates of the weights."""
    batch_size: Count
    """Images per update: the total over all workers and all accumulated parts."""
    accumulate: Count = 1
    """Parts into which the batch of an update is divided, one after the other, to save memory; must divide
    `batch_size`."""
    eval_every: Natural = 0
    """Iterations between evaluations; 0: never."""
    checkpoint_every: Count = 1000
    """Iterations between checkpoints."""
    log_every: Count = 50
    """Iterations between lines of the log."""
    seed: Natural = 0
    """Seed of initial weights, dropout, order of the data and augmentation."""
    init_from: str | None = None
    """Checkpoint of a training with the same model, to fine-tune it: backbone and decoder start from its weights, and
    what depends on the classes starts anew where they differ. `weights` of backbone and decoder and CPT's
    `memory.init` are not read then; a run that is resumed goes on from its own checkpoint."""
    amp: Literal["O0", "O2", "O3", "bf16"] = "O0"
    """Type the network computes in: fp32, fp16 with batch norms in fp32, fp16 through batch norms too, or bfloat16
    (experimental: never run, it has no CPU kernels)."""
    loss_scale: LossScaleConfig = LossScaleConfig()
    sink_size: Natural = 0
    """Experimental: updates per call with batches from the device's own queue, on Ascend and GPU, where it has never
    been run; must divide `iterations`, `eval_every`, `checkpoint_every` and `log_every`; 0: hand over each batch."""
    ema: AverageConfig | None = None
    clip_norm: Positive | None = None
    """Largest global norm of the gradient, to which a larger one is scaled down; null: no limit."""
    max_bad_steps: Natural = 0
    """Steps in a row that are skipped because loss or gradient is not finite; one more stops the training."""

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
    """Predict the whole image at once, or windows whose logits are averaged where they overlap."""
    crop: Size | None = None
    """Size of a window of `slide`, in pixels; `slide` needs it."""
    stride: Size | None = None
    """Step of the windows of `slide`, in pixels, at most `crop`; `slide` needs it."""
    scales: Annotated[list[Positive], Field(min_length=1)] = [1.0]
    """Factors of the image's size; the probabilities of all of them are averaged."""
    flip: bool = False
    """Predict the mirrored image too and average the probabilities."""
    batch: Count = 1
    """Windows, or an image and its mirror image, that go through the network at once; more may be faster on Ascend and
    GPU, and take as many times the memory."""

    @model_validator(mode="after")
    def _window(self) -> "EvalConfig":
        if self.mode == "slide":
            if self.crop is None or self.stride is None:
                raise ValueError("mode slide needs crop and stride, each [height, width]")
            if any(s > c for s, c in zip(self.stride, self.crop, strict=True)):
                raise ValueError(f"stride {self.stride} is larger than crop {self.crop} and would skip pixels")
        return self


def _switch(value: Any) -> Any:
    """YAML reads on and off as true and false, unless quoted."""
    return ("on" if value else "off") if isinstance(value, bool) else value


class DeviceConfig(Section):
    """Where and how the network runs."""

    target: Literal["auto", "CPU", "GPU", "Ascend"] = "auto"
    """Where it runs; `auto` takes the first of Ascend, GPU and CPU that there is. Ascend and GPU are experimental: the
    project has never been run on them."""
    mode: Literal["graph", "pynative"] = "graph"
    """Compile the network, or run it operator by operator, which is slower and easier to debug."""
    native: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = "auto"
    """Whether a CPU computes convolutions and some other layers with kernels that are compiled on first use. `auto`
    falls back to MindSpore's operators where there is no C++ compiler; `on` makes that an error."""
    compile_cache: bool = False
    """Keep the compiled training step in the user's cache folder, and take it from there when the same training starts
    again: after an interruption, or with another seed. Proven on a CPU only."""
