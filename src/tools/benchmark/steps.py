"""The pieces of work that can be measured, built from a configuration."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.schema import Config
from src.tools.benchmark.measure import Work


def train_step(config: Config) -> Work:
    """The whole compiled update (forward, loss, gradient, clip, optimizer) on random images of ``data.crop``."""
    from mindspore import Tensor, nn

    from src.data.info import IGNORE
    from src.losses import build_criterion
    from src.models import build_model
    from src.training.step_builder import build_step

    classes = num_classes(config)
    network = build_model(config.model, classes).set_train()
    criterion: nn.Cell = build_criterion(config, classes, IGNORE)
    # Names for the operators of network and losses, by which a profile finds their modules.
    network.generate_scope()
    criterion.generate_scope()
    step = build_step(config, network, criterion)
    parts = config.train.accumulate
    image, label = (Tensor(one[: len(one) // parts]) for one in random_batch(config, classes))

    def update():
        for part in range(parts):
            result = step(image, label, part == parts - 1).asnumpy()
        return result

    return Work(update, config.train.batch_size, _batch(config), _parameters(network))


def loss_step(config: Config) -> Work:
    """The criterion alone, value and gradient, on the untrained network's outputs for random images."""
    import mindspore as ms
    from mindspore import Tensor

    from src.data.info import IGNORE
    from src.losses import build_criterion
    from src.models import build_model

    classes = num_classes(config)
    image, label = map(Tensor, random_batch(config, classes))
    network = build_model(config.model, classes).set_train()
    outputs = network(image)
    step = ms.value_and_grad(build_criterion(config, classes, IGNORE), 0, has_aux=True)
    return Work(lambda: step(outputs, label)[0][0].asnumpy(), config.train.batch_size, _batch(config))


def eval_step(config: Config, size: list[int]) -> Work:
    """One image through the network and the evaluation protocol to a class map."""
    from src.inference.protocol import predict
    from src.inference.runner import network_runner
    from src.models import build_model

    runner = network_runner(build_model(config.model, num_classes(config)))
    image = np.random.default_rng(0).standard_normal((1, 3, *size), dtype=np.float32)
    return Work(lambda: predict(runner, image, config.eval, size), 1, f"batch 1 at {'x'.join(map(str, size))}")


def evaluation(config: Config) -> Work:
    """The validation split once, from its records to the scores, by an untrained network."""
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.inference.evaluator import evaluate
    from src.inference.runner import network_runner
    from src.models import build_model

    data, split = config.data, config.data.val_split
    metadata = ensure_records(data, [split])
    facts = metadata.split(split)
    network = build_model(config.model, len(metadata.classes))
    runner = network_runner(network, facts.size is not None)

    def run():
        return evaluate(runner, EvalPipeline(data.records, split, data), metadata.classes, config.eval, "untrained")

    return Work(run, facts.count, f"{facts.count} images, {data.workers} threads", _parameters(network))


def data_batch(config: Config) -> Work:
    """Ten training batches from the records: decode, augment, batch (single batches arrive in bursts)."""
    from src.data.pipeline import TrainPipeline
    from src.data.preparation import ensure_records

    ensure_records(config.data)
    data, train = config.data, config.train
    batches = TrainPipeline(data.records, data.train_split, data, train.batch_size, train.seed).batches(0)
    images = 10 * train.batch_size
    what = f"{images} images at {'x'.join(map(str, data.crop))}, {data.workers} threads"
    return Work(lambda: [next(batches) for _ in range(10)], images, what)


STEPS: dict[str, Callable[[Config], Work]] = {
    "train-step": train_step,
    "loss": loss_step,
    "evaluate": evaluation,
    "data": data_batch,
}


def random_batch(config: Config, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images fp32 [B, 3, H, W] and labels int32 [B, H, W] of a training batch, always the same ones.

    The labels are squares of 32x32 pixels, so that cells of the deepest maps have a class.
    """
    random = np.random.default_rng(0)
    shape = (config.train.batch_size, *config.data.crop)
    image = random.standard_normal((shape[0], 3, *shape[1:]), dtype=np.float32)
    label = random.integers(0, classes, (shape[0], -(-shape[1] // 32), -(-shape[2] // 32)))
    return image, label.repeat(32, 1).repeat(32, 2)[:, : shape[1], : shape[2]].astype(np.int32)


def num_classes(config: Config) -> int:
    """Classes of the data, from its records or from what is known of the set."""
    from src.data.catalog import load_dataset_info
    from src.data.records import read_metadata

    data = config.data
    if Path(data.records).is_dir():
        return len(read_metadata(data.records).classes)
    return len(load_dataset_info(data.name, data.root, data.classes).classes)


def _batch(config: Config) -> str:
    return f"batch {config.train.batch_size} at {'x'.join(map(str, config.data.crop))}"


def _parameters(network) -> int:
    return sum(parameter.size for parameter in network.trainable_params())
