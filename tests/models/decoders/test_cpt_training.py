"""CPT in the compiled training step, over several workers, through checkpoints and export."""

import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import load_checkpoint, load_network, load_state, save_checkpoint
from src.inference.exported import mindir_runner
from src.inference.exporter import export
from src.losses import build_criterion
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.schema.training import AdamWConfig
from src.training.optimizer import build_optimizer
from src.training.train_step import TrainStep
from tests.commands import read_until, start
from tests.losses.test_criterion import config
from tests.models.decoders.base import CHANNELS, CLASSES, TinyBackbone
from tests.models.small import SMALL_DECODER

RATES = np.full(10, 1e-3)


def network(**options):
    ms.set_seed(1)
    return Segmentor(
        TinyBackbone(), build_decoder("cpt", CHANNELS, CLASSES, **SMALL_DECODER["cpt"], output_level=2, **options)
    )


def training(accumulate, **options):
    """A network and its step."""
    cell = network(**options).set_train()
    optimizer = build_optimizer(AdamWConfig(name="adamw", lr=1e-3), list(cell.trainable_params()))
    criterion = build_criterion(config("cpt"), CLASSES, 255)
    return cell, TrainStep(cell, criterion, optimizer, RATES, accumulate=accumulate, protect_state=True)


def batch(index):
    generator = np.random.default_rng(index)
    label = np.kron([[1, 2], [3, 4]], np.ones((32, 32)))[None].repeat(2, 0).astype(np.int32)  # class 0 never appears
    label[:, -9:] = 255
    return generator.standard_normal((2, 3, 64, 64)).astype(np.float32), label


def update(step, index):
    """One update of two parts."""
    for part in range(2):
        result = step(*map(Tensor, batch(2 * index + part)), part == 1).asnumpy()
    return result


def values(cell):
    return {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def spoilt(index):
    image, label = batch(index)
    image[1] = np.nan
    return Tensor(image), Tensor(label)


def test_memory_in_the_compiled_step_and_after_a_bad_one():
    cell, step = training(1, assignment="teacher")
    step.keep_network_state()
    assert step(*map(Tensor, batch(0)), True).asnumpy()[2] == 1
    memory = cell.decoder.blocks[0].prototypes.memory
    np.testing.assert_array_equal(memory.updates.asnumpy(), [0, 1, 1, 1, 1])
    before = values(cell)
    assert step(*spoilt(1), True).asnumpy()[2] == 0
    same(values(cell), before)
    assert step(*map(Tensor, batch(2)), True).asnumpy()[2] == 1
    np.testing.assert_array_equal(memory.updates.asnumpy(), [0, 2, 2, 2, 2])


def test_memory_with_accumulated_parts_and_resuming(tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    cell, step = training(2, assignment="teacher")
    step.keep_network_state()
    for index in range(2):
        update(step, index)
    memory = cell.decoder.blocks[0].prototypes.memory
    # Every part of an accumulated update counts: the next part reads what the one before wrote.
    np.testing.assert_array_equal(memory.updates.asnumpy(), [0, 4, 4, 4, 4])
    assert (memory.prototypes.asnumpy()[0] == 0).all()
    assert (np.abs(memory.prototypes.asnumpy()[1:]).max(1) > 0).all()
    save_checkpoint(tmp_path / "last.ckpt", cell, {}, step.state())
    saved = values(cell)

    result = step(*map(Tensor, batch(4)), False).asnumpy()
    after = values(cell)
    assert not np.array_equal(after[memory.prototypes.name], saved[memory.prototypes.name])
    resumed, again = training(2, assignment="teacher")
    checkpoint = load_checkpoint(tmp_path / "last.ckpt")
    load_network(resumed, checkpoint)
    load_state(again.state(), checkpoint)
    same(values(resumed), saved)
    np.testing.assert_array_equal(again(*map(Tensor, batch(4)), False).asnumpy(), result)
    same(values(resumed), after)

    assert step(*spoilt(5), True).asnumpy()[2] == 0
    same(values(cell), saved)  # the whole update is taken back, its good part too


def test_exported_file_holds_the_memory(tmp_path):
    cell = network()
    generator = np.random.default_rng(0)
    memory = cell.decoder.blocks[0].prototypes.memory
    memory.prototypes.set_data(Tensor(generator.standard_normal((CLASSES, 8)).astype(np.float32)))
    memory.updates.set_data(Tensor(np.arange(CLASSES, dtype=np.int32)))
    for parameter in cell.trainable_params():  # so that the logits are large enough to compare
        if parameter.name.endswith("weight"):
            parameter.set_data(Tensor(0.3 * generator.standard_normal(parameter.shape).astype(np.float32)))
    exported = export(cell, "MINDIR", (1, 3, 40, 56), tmp_path / "model")
    assert exported.difference <= 1e-5 * exported.largest
    image = generator.standard_normal((1, 3, 40, 56)).astype(np.float32)
    found = mindir_runner(exported.path)(image)
    np.testing.assert_allclose(found, cell(Tensor(image)).asnumpy(), atol=1e-5 * exported.largest)
    memory.prototypes.set_data(Tensor(np.zeros((CLASSES, 8), np.float32)))
    assert np.abs(found - cell(Tensor(image)).asnumpy()).max() > 1e-3 * exported.largest


@pytest.mark.slow
def test_killed_training_continues_with_the_same_memory(small_config, tmp_path):
    decoder = "model.decoder={name: cpt, channels: 16, output_level: 2}"
    arguments = ["train.py", "--config", small_config, "--set", decoder, "train.iterations=4", "--output"]
    straight = start(*arguments, tmp_path / "straight")
    output, _ = straight.communicate()
    assert straight.returncode == 0, output
    assert re.search(r"prototype memory, of 7 classes seen so far: [1-7] at level 2\n", output)
    killed = start(*arguments, tmp_path / "killed")
    read_until(killed, "step 3/4")
    killed.kill()
    killed.wait()
    resumed = start(*arguments, tmp_path / "killed")
    output, _ = resumed.communicate()
    assert "at step 2" in output
    first, second = (load_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("straight", "killed"))
    assert any("memory.updates" in name for name in first.tensors)
    same(second.tensors, first.tensors)
