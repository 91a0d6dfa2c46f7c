"""CPT against the numbers of a public implementation (see tests/golden/pack_cpt.py), and its options."""

import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.losses import build_criterion
from src.models.decoders import build_decoder
from src.models.decoders.cpt import CPTBlock
from src.weights.convert import convert
from src.weights.loading import own_parameters
from tests.losses.test_criterion import config
from tests.models.decoders.base import (
    CHANNELS,
    CLASSES,
    DecoderTester,
    Features,
    Gradients,
    InSegmentor,
    Shapes,
    features,
    in_graph,
    in_pynative,
    randomize,
)
from tests.models.reference import resize
from tests.models.small import SMALL_DECODER

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "cpt.npz")


def golden(prefix):
    return {name.removeprefix(prefix): GOLDEN[name] for name in GOLDEN.files if name.startswith(prefix)}


PUBLISHED = golden("w/")


def own(decoder):
    """Parameters by name, without the prefix of a cell around the decoder."""
    return {name.removeprefix("decoder."): parameter for name, parameter in own_parameters(decoder).items()}


def renamed(tensors, decoder):
    """Arrays by our names."""
    values, report = convert("cpt", "cpt", tensors, {name: tuple(p.shape) for name, p in own(decoder).items()})
    assert not report.missing
    assert not report.unused
    return values


def published():
    """Decoder of the golden numbers with their weights, through the converter."""
    decoder = build_decoder("cpt", (16, 32, 64, 128), 11, channels=32, dropout=0.0)
    for name, value in renamed(PUBLISHED, decoder).items():
        decoder.parameters_dict()[name].set_data(Tensor(value))
    return decoder


def inputs(part, name="in"):
    return tuple(Tensor(GOLDEN[f"{part}/{name}/{i}"]) for i in range(4))


class Everything(nn.Cell):
    """In one graph, for the sake of time: logits, pyramid, features and what `explain` returns."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, maps):
        decoder = self.decoder
        return decoder(maps), decoder.pyramid(maps)[0], decoder.embed(maps), decoder.explain(maps)


class Losses(nn.Cell):
    """Total and parts of the criterion, logits and masks."""

    def __init__(self, decoder, criterion):
        super().__init__()
        self.decoder, self.criterion = decoder, criterion

    def construct(self, f0, f1, f2, f3, label):
        outputs = self.decoder((f0, f1, f2, f3))
        total, parts = self.criterion(outputs, label)
        return total, parts, outputs[0], outputs[1]


class CPTTester(DecoderTester):
    name = "cpt"

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[level].shape[2:]) for level in (3, 2, 1)]


@in_pynative
class TestShapes(CPTTester, Shapes, Features):
    pass


class TestInSegmentor(CPTTester, InSegmentor):
    pass


@in_pynative
class TestPixels(CPTTester, Shapes, Features, Gradients):
    options = {"source": "pixels"}


@in_pynative
class TestBilinear(CPTTester, Shapes, Features, Gradients):
    options = {"source": "bilinear"}


@in_graph
class TestBilinearInGraph(CPTTester, Gradients):
    options = {"source": "bilinear", "mask_supervision": "levels"}


@in_pynative
class TestWithoutMemory(CPTTester, Shapes, Gradients):
    options = {"memory": False}


# In place of the parts Gradients and Numbers of the default there are the golden numbers, which say more.
@pytest.mark.parametrize("part", ["eval", "odd_sizes"])
def test_numbers_in_pynative(part):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    check_numbers(part)


def test_numbers_in_graph_mode():
    """In a fresh process: MindSpore 2.10 cannot compile this after some other graphs ("released_node")."""
    code = "from tests.models.decoders import test_cpt as t; t.check_numbers('eval'); t.check_numbers('odd_sizes')"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", "import src; " + code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr


def check_numbers(part):
    decoder = published().set_train(False)
    logits, maps, embedded, explained = Everything(decoder)(inputs(part))
    np.testing.assert_allclose(logits.asnumpy(), GOLDEN[f"{part}/out/seg_logits"], atol=1e-4)
    shown = {name: value.asnumpy() for name, value in zip(decoder.EXPLAINS, explained, strict=True)}
    masks = "eval/mid" if part == "eval" else f"{part}/out"
    for i in range(3):
        np.testing.assert_allclose(shown[f"mask_{i}"], GOLDEN[f"{masks}/mask_{i}"], atol=1e-4)
        np.testing.assert_array_equal(shown[f"memory_{i}"], PUBLISHED[f"cft_blocks.{i}.cross_attn.kv.memory"][0])
        if part == "eval":
            expected = GOLDEN[f"eval/mid/attention_{i}"]
            np.testing.assert_allclose(shown[f"attention_{i}"].reshape(expected.shape), expected, atol=1e-5)
            np.testing.assert_allclose(maps[3 - i].asnumpy(), GOLDEN[f"eval/mid/fpn_{i}"], atol=1e-4)
    if part == "eval":
        np.testing.assert_allclose(embedded.asnumpy()[:, :32], GOLDEN["eval/mid/fused"], atol=1e-4)
        pooled = GOLDEN["eval/mid/pooled"].repeat(16, 2).repeat(24, 3)
        np.testing.assert_allclose(embedded.asnumpy()[:, 32:], pooled, atol=1e-4)


def test_prototypes_before_the_memory():
    """Of the coarsest block; the others' inputs are not among the numbers."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    decoder = published().set_train(False)
    block = decoder.blocks[2]
    block.prototypes.memory = None
    high = block.norm_high(decoder.laterals[3](inputs("eval")[3]))
    found = block.prototypes(high, block.mask(high)).asnumpy()
    np.testing.assert_allclose(found, GOLDEN["eval/mid/prototypes_2"], atol=1e-4)


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def check_state(decoder, part):
    """Memory and batch-norm statistics."""
    after = golden(f"train/{part}/")
    expected, found = renamed({**PUBLISHED, **after}, decoder), own(decoder)
    state = [name for name in expected if name.endswith(("moving_mean", "moving_variance", "memory.prototypes"))]
    assert len(state) == len(after) == 7
    for name in state:
        tolerance = {"atol": 1e-5} if "memory" in name else {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(found[name].asnumpy(), expected[name], **tolerance, err_msg=name)


def test_training(mode):
    """Outputs, losses, every gradient, and the state after one step and after two."""
    decoder = published().set_train(True)
    parameters = decoder.trainable_params()
    criterion = build_criterion(config("cpt"), 11, 255)
    assert criterion.part_names == ("ce", "mask", "dice")
    cell = Losses(decoder, criterion)  # prefixes the parameters' names
    gradient = ms.value_and_grad(cell, (0, 1, 2, 3), parameters, has_aux=True)
    label = Tensor(GOLDEN["train/in/label"])
    (total, parts, logits, masks), (by_input, by_parameter) = gradient(*inputs("eval"), label)

    np.testing.assert_allclose(logits.asnumpy(), GOLDEN["train/out/seg_logits"], atol=1e-4)
    for i in range(3):
        np.testing.assert_allclose(masks[2 - i].asnumpy(), GOLDEN[f"train/out/mask_{i}"], atol=1e-4)
    np.testing.assert_allclose(parts.asnumpy(), [GOLDEN[f"train/out/{name}"] for name in criterion.part_names], 1e-5)
    np.testing.assert_allclose(total.asnumpy(), GOLDEN["train/out/loss"], 1e-5)
    check_state(decoder, "after_1")

    for i in range(4):
        assert relative(by_input[i].asnumpy(), GOLDEN[f"train/grad/in/{i}"]) < 1e-3
    gradients = golden("train/grad/w/")
    assert len(gradients) == len(parameters)
    expected = renamed({**PUBLISHED, **gradients}, decoder)
    for parameter, found in zip(parameters, by_parameter, strict=True):
        name = parameter.name.removeprefix("decoder.")
        assert relative(found.asnumpy(), expected[name]) < 1e-3, name

    gradient(*inputs("train", "in2"), label)
    check_state(decoder, "after_2")


@pytest.mark.parametrize(("widths", "size"), [((128, 256, 512, 1024), 7_340_310), ((192, 384, 768, 1536), 7_610_646)])
def test_size_at_the_default_width(widths, size):
    """A size that changes is a change of the method, not of its form."""
    decoder = build_decoder("cpt", widths, 150)
    assert sum(parameter.size for parameter in decoder.trainable_params()) == size
    memories = [p for p in decoder.get_parameters() if "memory" in p.name]
    assert [p.shape for p in memories] == [(150, 256)] * 3
    assert not any(p.requires_grad for p in memories)


def build(**options):
    return build_decoder("cpt", CHANNELS, CLASSES, **{**SMALL_DECODER["cpt"], **options})


def test_initial_values():
    decoder = build_decoder("cpt", (32, 64, 128, 256), 20, channels=128)
    values = {p.name: p.asnumpy() for p in decoder.get_parameters()}
    np.testing.assert_allclose(values["classifier.weight"].std(), 0.01, rtol=0.1)
    for name, deviation in (
        ("blocks.0.key_value.weight", 0.02),
        ("laterals.3.weight", (3 * 256) ** -0.5),
        ("blocks.1.mask.0.weight", (3 * 32) ** -0.5),
        ("blocks.2.mlp.depthwise.weight", (3 * 9) ** -0.5),
        ("fusion.conv.weight", (3 * 9 * 512) ** -0.5),
    ):
        np.testing.assert_allclose(values[name].std(), deviation, rtol=0.1, err_msg=name)
    memory = values["blocks.0.prototypes.memory.prototypes"]
    np.testing.assert_allclose(np.linalg.norm(memory, axis=1), 1, rtol=1e-6)
    assert not np.array_equal(memory, values["blocks.1.prototypes.memory.prototypes"])
    for name, value in values.items():
        if name.endswith(("bias", "beta")):
            assert not value.any(), name


def test_options():
    assert build(pool_channels=5).classifier.in_channels == 8 + 5
    names = ["mask_2", "attention_2", "memory_2", "mask_1", "attention_1", "memory_1"]
    assert build().EXPLAINS[:6] == tuple(names)
    assert build(memory="off").EXPLAINS[:4] == ("mask_2", "attention_2", "mask_1", "attention_1")
    for source in ("pixels", "bilinear"):
        assert build(source=source).EXPLAINS == ("mask_2", "mask_1", "mask_0")
    for decoder in (build(memory="off"), build(source="pixels"), build(source="bilinear")):
        assert not any("memory" in p.name for p in decoder.get_parameters())


def test_memory_off_equals_a_memory_without_a_share():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    maps, remembering, plain = features((64, 96)), build(dropout=0.0), build(dropout=0.0, memory="off")
    for name, parameter in plain.parameters_dict().items():
        parameter.set_data(remembering.parameters_dict()[name])
    expected = remembering.set_train(False)(maps).asnumpy()
    assert np.abs(plain.set_train(False)(maps).asnumpy() - expected).max() > 0
    for block in remembering.blocks:
        block.prototypes.memory.momentum = 0.0
    np.testing.assert_allclose(remembering(maps).asnumpy(), plain(maps).asnumpy(), atol=1e-6)


def block(source, invert):
    cell = CPTBlock(CLASSES, 8, 2, 2, source, None, invert, False)
    randomize(cell)
    return cell.set_train(False)


def two_maps():
    generator = np.random.default_rng(3)
    shapes = ((2, 8, 6, 9), (2, 8, 3, 5))
    return [Tensor(generator.standard_normal(shape).astype(np.float32)) for shape in shapes]


def test_sign_of_the_attention():
    """softmax(-s) softmax(s) is the same for all prototypes of a pixel."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    inverted, plain = (block("prototypes", invert)(*two_maps())[2].asnumpy() for invert in (True, False))
    product = inverted * plain
    np.testing.assert_allclose(product, np.broadcast_to(product[..., :1], product.shape), rtol=1e-3)
    assert (inverted.argmax(-1) != plain.argmax(-1)).mean() > 0.5


def test_bilinear_adds_the_coarse_map():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    (low, high), cell = two_maps(), block("bilinear", True)
    found, masks, attention = cell(low, high)
    filled = low + Tensor(resize(high.asnumpy().astype(np.float64), (6, 9)).astype(np.float32))
    np.testing.assert_allclose(found.asnumpy(), (filled + cell.mlp(cell.norm_mlp(filled))).asnumpy(), atol=1e-5)
    np.testing.assert_array_equal(masks.asnumpy(), cell.mask(cell.norm_high(high)).asnumpy())
    assert attention is None


def test_masks_by_level_stand_apart():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    decoder, maps = build(mask_supervision="levels").set_train(True), features((64, 96))
    levels = decoder(maps)[1]
    decoder.by_level = False
    masks = decoder(maps)[1]
    assert [len(level) for level in levels] == [1, 1, 1]
    np.testing.assert_array_equal(levels[0][0].asnumpy(), masks[0].asnumpy())
    assert [level[0].shape for level in levels] == [mask.shape for mask in masks]
