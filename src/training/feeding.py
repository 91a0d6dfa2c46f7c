"""How batches reach the compiled step: one by one, or through the device's own queue (data sinking)."""

from collections.abc import Callable, Iterator

import mindspore as ms
import mindspore.dataset as ds
from mindspore import nn

from src.errors import UserError


def check_sinking(sink_size: int) -> None:
    """Refuse data sinking where the device has no queue.

    Raises:
        UserError: the device is a CPU.
    """
    if sink_size and ms.get_context("device_target") == "CPU":
        raise UserError(
            f"train.sink_size: {sink_size} needs an Ascend or GPU device; set train.sink_size=0 (its default) on CPU"
        )


def sink(step: nn.Cell, batches: Iterator, sink_size: int) -> Callable:
    """Return a function that makes ``sink_size`` updates and returns the result of the last one.

    The device takes its batches from a queue that MindSpore fills in the background, in the same order.

    Args:
        step: `TrainStep` without accumulation.
        batches: endless pairs of image and label.
    """

    def rows():
        for image, label in batches:
            yield image.asnumpy(), label.asnumpy()

    queue = ds.GeneratorDataset(rows, ["image", "label"], shuffle=False, num_parallel_workers=1)
    return ms.data_sink(lambda image, label: step(image, label, True), queue, sink_size)
