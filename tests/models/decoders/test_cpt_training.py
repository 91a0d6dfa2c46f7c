"""CPT's memory in the compiled training step, in averages, through checkpoints, files of class means and export."""

from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from pydantic import TypeAdapter

from src.checkpoint import load_checkpoint, load_network, load_state, save_checkpoint
from src.errors import UserError
from src.inference.exported import exported_runner
from src.inference.exporter import export
from src.losses import build_criterion
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.schema.decoders import DecoderConfig
from src.schema.model import ModelConfig
from src.schema.training import AdamWConfig
from src.training.moving_average import MovingAverage
from src.training.optimizer import build_optimizer
from src.training.train_step import TrainStep
from src.weights.loading import load_memory, load_pretrained
from tests.commands import read_until, start
from tests.losses.test_criterion import config
from tests.models.decoders.base import CHANNELS, CLASSES, TinyBackbone
from tests.models.small import SMALL_DECODER

RATES = np.full(10, 1e-3)


def network(**options):
    ms.set_seed(1)
    return Segmentor(TinyBackbone(), build_decoder("cpt", CHANNELS, CLASSES, **SMALL_DECODER["cpt"], **options))


def memories(cell):
    return [block.prototypes.memory.prototypes.asnumpy().copy() for block in cell.decoder.blocks]


def training(accumulate, decay=None):
    """A network and its step."""
    cell = network().set_train()
    optimizer = build_optimizer(AdamWConfig(name="adamw", lr=1e-3), list(cell.trainable_params()))
    criterion = build_criterion(config("cpt"), CLASSES, 255)
    average = MovingAverage(cell, decay) if decay else None
    options = {"accumulate": accumulate, "protect_state": True, "average": average}
    return cell, TrainStep(cell, criterion, optimizer, RATES, **options)


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
    cell, step = training(1)
    step.keep_network_state()
    start = memories(cell)
    assert step(*map(Tensor, batch(0)), True).asnumpy()[2] == 1
    for old, new in zip(start, memories(cell), strict=True):
        added = (new - 0.9 * old) / 0.1
        np.testing.assert_allclose(np.linalg.norm(added, axis=1), 1, rtol=1e-5)
    before = values(cell)
    assert step(*spoilt(1), True).asnumpy()[2] == 0
    same(values(cell), before)
    assert step(*map(Tensor, batch(2)), True).asnumpy()[2] == 1
    assert all((before[name] != value).any() for name, value in values(cell).items() if "memory" in name)


def test_memory_with_accumulated_parts_and_resuming(tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    cell, step = training(2)
    step.keep_network_state()
    for index in range(2):
        update(step, index)
    save_checkpoint(tmp_path / "last.ckpt", cell, {}, step.state())
    saved, remembered = values(cell), memories(cell)

    result = step(*map(Tensor, batch(4)), False).asnumpy()
    after = values(cell)
    # Every part of an accumulated update counts.
    for old, new in zip(remembered, memories(cell), strict=True):
        np.testing.assert_allclose(np.linalg.norm((new - 0.9 * old) / 0.1, axis=1), 1, rtol=1e-5)
    resumed, again = training(2)
    checkpoint = load_checkpoint(tmp_path / "last.ckpt")
    load_network(resumed, checkpoint)
    load_state(again.state(), checkpoint)
    same(values(resumed), saved)
    np.testing.assert_array_equal(again(*map(Tensor, batch(4)), False).asnumpy(), result)
    same(values(resumed), after)

    assert step(*spoilt(5), True).asnumpy()[2] == 0
    same(values(cell), saved)  # the whole update is taken back, its good part too


def test_averaged_weights_have_an_averaged_memory():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    cell, step = training(1, decay=0.3)
    expected = [memory.astype(np.float64) for memory in memories(cell)]
    for index in range(3):
        step(*map(Tensor, batch(index)), True)
        decay = min(0.3, (1 + index) / (10 + index))
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, memories(cell), strict=True)]
    present = memories(cell)
    step.average.exchange()
    for found, average, last in zip(memories(cell), expected, present, strict=True):
        np.testing.assert_allclose(found, average, atol=1e-6)
        assert (found != last).any()


def test_memory_is_frozen_and_mixed_in_in_evaluation():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    cell, image = network().set_train(False), Tensor(batch(0)[0])
    before = memories(cell)
    logits = cell(image).asnumpy()
    for old, new in zip(before, memories(cell), strict=True):
        np.testing.assert_array_equal(old, new)
    for block in cell.decoder.blocks:
        block.prototypes.memory.prototypes.set_data(Tensor(np.zeros((CLASSES, 8), np.float32)))
    assert (cell(image).asnumpy() != logits).any()


def test_memory_starts_from_class_means(tmp_path):
    cell = network()
    start = memories(cell)
    means = np.random.default_rng(0).standard_normal((CLASSES, 20)).astype(np.float32)
    means[3] = 0  # a class that the training set does not show
    np.savez(tmp_path / "means.npz", means=means, pixels=np.arange(CLASSES))
    assert f"the means of {CLASSES - 1} of {CLASSES} classes" in load_memory(cell.decoder, tmp_path / "means.npz")
    rows = means[:, :8] / np.maximum(np.linalg.norm(means[:, :8], axis=1, keepdims=True), 1e-12)
    for old, new in zip(start, memories(cell), strict=True):
        np.testing.assert_allclose(new, np.where(means[:, :8] != 0, rows, old), rtol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"means": np.zeros((CLASSES, 7), np.float32)}, r"found means \[5, 7\], expected \[5, 8 or more\]"),
        ({"means": np.zeros((4, 8), np.float32)}, r"found means \[4, 8\], expected \[5, 8 or more\]"),
        ({"other": np.zeros((CLASSES, 8), np.float32)}, "found no 'means', expected"),
        ({"means": np.full((CLASSES, 8), np.nan, np.float32)}, "hold NaN or infinity"),
    ],
)
def test_file_that_the_memory_cannot_start_from(arrays, message, tmp_path):
    np.savez(tmp_path / "means.npz", **arrays)
    with pytest.raises(UserError, match=rf"means\.npz: .*{message}"):
        load_memory(network().decoder, tmp_path / "means.npz")


def test_key_of_the_file_is_named():
    config = TypeAdapter(DecoderConfig).validate_python({"name": "cpt", "memory": {"init": "nowhere.npz"}})
    model = ModelConfig.model_construct(backbone=SimpleNamespace(weights=None), decoder=config)
    with pytest.raises(UserError, match=r"model\.decoder\.memory\.init: weights not found: nowhere\.npz"):
        load_pretrained(network(), model, None)


def test_exported_file_holds_the_memory(tmp_path):
    cell = network()
    generator = np.random.default_rng(0)
    memory = cell.decoder.blocks[0].prototypes.memory
    memory.prototypes.set_data(Tensor(9 * generator.standard_normal((CLASSES, 8)).astype(np.float32)))
    for parameter in cell.trainable_params():  # so that the logits are large enough to compare
        if parameter.name.endswith("weight"):
            parameter.set_data(Tensor(0.3 * generator.standard_normal(parameter.shape).astype(np.float32)))
    exported = export(cell, "MINDIR", (1, 3, 40, 56), tmp_path / "model")
    assert exported.difference <= 1e-5 * exported.largest
    image = generator.standard_normal((1, 3, 40, 56)).astype(np.float32)
    found = exported_runner(exported.path)(image)
    np.testing.assert_allclose(found, cell(Tensor(image)).asnumpy(), atol=1e-5 * exported.largest)
    memory.prototypes.set_data(Tensor(np.zeros((CLASSES, 8), np.float32)))
    assert np.abs(found - cell(Tensor(image)).asnumpy()).max() > 1e-3 * exported.largest


@pytest.mark.slow
def test_killed_training_continues_with_the_same_memory(small_config, tmp_path):
    decoder = "model.decoder={name: cpt, channels: 16}"
    arguments = ["train.py", "--config", small_config, "--set", decoder, "train.iterations=4", "--output"]
    straight = start(*arguments, tmp_path / "straight")
    output, _ = straight.communicate()
    assert straight.returncode == 0, output
    killed = start(*arguments, tmp_path / "killed")
    read_until(killed, "step 3/4")
    killed.kill()
    killed.wait()
    resumed = start(*arguments, tmp_path / "killed")
    output, _ = resumed.communicate()
    assert "at step 2" in output
    first, second = (load_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("straight", "killed"))
    assert any("memory.prototypes" in name for name in first.tensors)
    same(second.tensors, first.tensors)
