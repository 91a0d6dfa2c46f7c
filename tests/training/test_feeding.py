"""Data sinking, as far as a CPU can tell: its order of batches, and what is refused."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.config import load_config
from src.errors import UserError
from src.training.feeding import check_sinking, sink


def batches():
    for number in range(100):
        yield Tensor(np.full((2, 3, 4, 4), number, np.float32)), Tensor(np.full((2, 4, 4), number, np.int32))


def queue_on_the_host(step, dataset, sink_size):
    """What ``mindspore.data_sink`` does on a device, with a queue of the host."""
    rows = dataset.create_tuple_iterator(num_epochs=1)

    def run():
        for _ in range(sink_size):
            result = step(*next(rows))
        return result

    return run


def test_every_batch_is_seen_once_and_in_order(monkeypatch):
    monkeypatch.setattr(ms, "data_sink", queue_on_the_host)
    seen = []

    def step(image, label, update):
        assert update is True
        assert image.shape == (2, 3, 4, 4) and label.dtype == ms.int32
        seen.append((int(image.max()), int(label.max())))
        return len(seen)

    run = sink(step, batches(), 3)
    assert [run(), run()] == [3, 6]
    assert seen == [(number, number) for number in range(6)]


def test_cpu_has_no_queue():
    check_sinking(0)
    with pytest.raises(UserError, match="train.sink_size: 10 needs an Ascend or GPU device"):
        check_sinking(10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["train.sink_size=4"], "iterations 6 is not a multiple of sink_size 4"),
        (["train.sink_size=2", "train.eval_every=3"], "eval_every 3 is not a multiple of sink_size 2"),
        (["train.sink_size=1", "train.accumulate=2"], "sink_size 1 and accumulate 2 exclude each other"),
    ],
)
def test_settings_that_do_not_go_together(small_config, options, message):
    with pytest.raises(UserError, match=message):
        load_config(small_config, options)
