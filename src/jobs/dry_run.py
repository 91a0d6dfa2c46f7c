"""Try a training: real samples, real shapes, and nothing left behind but a picture of the samples."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import Tensor

from src import device
from src.data.info import IGNORE
from src.data.inspection.samples import TITLES, sample_rows
from src.data.inspection.sources import RawSample, Source, open_source
from src.data.pipeline import differ_in_size
from src.data.records import read_metadata
from src.data.transforms import build_transforms
from src.errors import UserError
from src.files import check_writable
from src.inference.protocol import describe as describe_protocol
from src.inference.protocol import predict
from src.inference.runner import network_runner
from src.jobs.training import build, describe
from src.memory import peak_memory
from src.parallel import world_size
from src.report.charts import contact_sheet
from src.report.images import IGNORED
from src.schema import Config
from src.schema.data import DataConfig
from src.training.step_builder import build_step
from src.training.train_step import TrainStep
from src.weights.fine_tuning import load_initial

ROWS = 4  # of the sheet
SHEET = "samples.png"


@dataclass(frozen=True)
class Batch:
    """What one pass of an update works on, and where it comes from."""

    image: np.ndarray  # fp32 [B, 3, H, W]
    label: np.ndarray  # int32 [B, H, W]
    positions: list[int]  # of the samples in the split
    class_share: list[float]  # of the split's labeled pixels, or of these samples' where there are no records


def dry_run(config: Config, output: Path) -> None:
    """Make one update, time a second one and an evaluated image, print what a training needs, and draw its samples.

    Without records the raw images are read; no records are written.

    Args:
        output: folder of the sheet.

    Raises:
        UserError: of every part that a training has.
    """
    target = device.setup(config.device.target, config.device.mode, config.device.native)
    if world_size() > 1:
        raise UserError("--dry-run: takes one worker; start train.py itself, for example with a worker's batch_size")
    check_writable(output)
    data, train = config.data, config.train
    source = _open(data)
    batch = read_batch(source, data, train.batch_size // train.accumulate, train.seed)
    sheet = draw_sheet(source, data, batch, output / SHEET)

    network, criterion = build(config, source.info.classes)
    load_initial(network, config, source.info.classes)
    step = build_step(config, network.set_train(), criterion)
    step.keep_network_state()
    image, label = Tensor(batch.image), Tensor(batch.label)

    def update() -> np.ndarray:
        vectors = [step(image, label, part == train.accumulate - 1).asnumpy() for part in range(train.accumulate)]
        return vectors[-1]

    first, vector = _timed(update)
    result = dict(zip((*TrainStep.RESULT, *criterion.part_names), vector.tolist(), strict=True))
    device.pin_threads()
    seconds, _ = _timed(update)
    device.keep_signal_handlers()

    size = "x".join(map(str, batch.label.shape[1:]))
    print(f"{describe(config, network)}, {len(source.info.classes)} classes, {target} in {config.device.mode} mode")
    print(f"one update of {train.batch_size} images of {size}, from {source.described}:")
    bad = "" if result["finite"] else "  NOT FINITE: lower optimizer.lr, set train.clip_norm, or check the data"
    print(f"  loss {result['loss']:.4f}, norm of the gradient {result['grad_norm']:.4g}{bad}")
    print(f"  {first:.1f} s with compiling, then {seconds:.2f} s ({train.batch_size / seconds:.1f} images/s)")
    evaluating, words = estimate_evaluations(config, source, network)
    training = train.iterations * seconds
    print(f"  peak memory {peak_memory():.2f} GiB" + ("" if target == "CPU" else " (of the host)"))
    print(
        f"estimated {_hours(first + training + evaluating)}: {train.iterations} steps {_hours(training)}{words}; "
        "reading the data is not counted"
    )
    print(f"wrote {sheet} and nothing else")


def _open(data: DataConfig) -> Source:
    """The records where they exist, else the raw images."""
    splits = list(dict.fromkeys((data.train_split, data.val_split)))
    there = (Path(data.records) / "metadata.json").is_file()
    return open_source(data.model_copy(update={"root": None}) if there else data, splits)


def read_batch(source: Source, data: DataConfig, size: int, seed: int) -> Batch:
    """Augmented samples of the training split, drawn at random.

    Raises:
        UserError: the split has no labels or too few usable images, or the samples differ in size.
    """
    split = data.train_split
    if not source.labels(split):
        raise UserError(f"data.train_split: the split '{split}' has no labels; it serves for predictions only")
    order = np.random.default_rng(seed).permutation(source.count(split)).tolist()
    samples: list[tuple[int, RawSample]] = []
    for position in order:
        if len(samples) < size:
            samples += [(position, sample) for sample in _usable(source, split, position)]
    if len(samples) < size:
        raise UserError(
            f"train.batch_size: a batch of {size} is larger than the split '{split}' with its {len(samples)} usable "
            "images; lower it"
        )
    labels = [sample.mapped(source.info) for _, sample in samples]
    share = _class_share(source, data, labels)
    transforms = build_transforms(data.train_transforms, data, "train_transforms", share)
    pairs = [
        transforms(sample.image.copy(), label, np.random.default_rng((seed, position)))
        for (position, sample), label in zip(samples, labels, strict=True)
    ]
    if len({image.shape for image, _ in pairs}) > 1:
        raise differ_in_size(data.crop)
    images, ids = zip(*pairs, strict=True)
    return Batch(np.stack(images), np.stack(ids).astype(np.int32), [position for position, _ in samples], share)


def _usable(source: Source, split: str, position: int) -> Iterator[RawSample]:
    for sample in source.samples(split, [position]):
        if isinstance(sample, str):
            print(f"warning: {sample}")
        else:
            yield sample


def _class_share(source: Source, data: DataConfig, labels: list[np.ndarray]) -> list[float]:
    if (Path(data.records) / "metadata.json").is_file():
        return read_metadata(data.records).split(data.train_split).class_share
    pixels = np.bincount(
        np.concatenate([label[label != IGNORE] for label in labels]), minlength=len(source.info.classes)
    )
    return (pixels / max(pixels.sum(), 1)).tolist()


def draw_sheet(source: Source, data: DataConfig, batch: Batch, path: Path) -> Path:
    """Write samples as they are and as training sees them."""
    rows = sample_rows(source, data.train_split, batch.positions[:ROWS], data, batch.class_share)
    info = source.info
    contact_sheet(path, rows, TITLES, [*info.classes, "(ignored)"], [*info.colors, IGNORED])
    return path


def estimate_evaluations(config: Config, source: Source, network) -> tuple[float, str]:
    """Seconds that the evaluations of a training take, and words about them, from one image of the middle."""
    train, data = config.train, config.data
    if not train.eval_every:
        return 0.0, ", no evaluation"
    count = source.count(data.val_split)
    sample = next((s for s in source.samples(data.val_split, [count // 2]) if isinstance(s, RawSample)), None)
    if sample is None:
        return 0.0, ", evaluations not known"
    transforms = build_transforms(data.eval_transforms, data, "eval_transforms")
    image = transforms(sample.image, None, np.random.default_rng(0))[0][None]
    run = network_runner(network, fixed_size=True)
    _timed(lambda: predict(run, image, config.eval, sample.values.shape))
    seconds, _ = _timed(lambda: predict(run, image, config.eval, sample.values.shape))
    times = -(-train.iterations // train.eval_every)
    each = f"{count} images ({describe_protocol(config.eval)}, {seconds:.2f} s each)"
    return times * count * seconds, f", {times} evaluations of {each} {_hours(times * count * seconds)}"


def _timed(work: Callable):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
