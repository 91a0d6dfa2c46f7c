"""CPT as a decoder: every variant against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.decoders import build_decoder
from tests.models.decoders import cpt_reference
from tests.models.decoders.base import (
    CHANNELS,
    CLASSES,
    AllParts,
    DecoderTester,
    Gradients,
    InSegmentor,
    Numbers,
    Shapes,
    features,
    in_graph,
    in_pynative,
    randomize,
)
from tests.models.reference import conv_norm_relu
from tests.models.small import SMALL_DECODER


class CPTTester(DecoderTester):
    name = "cpt"
    reference: dict = {}

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[level + 1].shape[2:]) for level in range(2, self.level - 1, -1)]

    def expected_logits(self, parameters, maps):
        return cpt_reference.decoder(maps, parameters, heads=2, output_level=self.level, **self.reference)


class TestNoBlock(CPTTester, AllParts):
    options = {"output_level": 3}
    level = 3


# Compiling blocks takes time: the variants with blocks have all parts among the slow tests only.
class TestOneBlock(CPTTester, Gradients, Numbers, InSegmentor):
    options = {"output_level": 2}
    level = 2


@in_graph
class TestNumbersOfThreeBlocks(CPTTester, Numbers):
    pass


@in_pynative
class TestShapesOfThreeBlocks(CPTTester, Shapes):
    pass


@pytest.mark.slow
class TestThreeBlocks(CPTTester, AllParts):
    pass


class SoftWithoutMemory(CPTTester):
    options = {"assignment": "soft", "memory": False, "fusion": "last", "output_level": 2}
    reference = {"assignment": "soft", "fusion": "last"}
    level = 2


class TestNumbersOfSoftWithoutMemory(SoftWithoutMemory, Numbers):
    pass


@in_pynative
class TestGradientsOfSoftWithoutMemory(SoftWithoutMemory, Gradients):
    pass


@pytest.mark.slow
class TestSoftWithoutMemory(SoftWithoutMemory, AllParts):
    pass


class Pixels(CPTTester):
    options = {"source": "pixels", "output_level": 2}
    reference = {"pixels": True}
    level = 2


class TestNumbersOfPixels(Pixels, Numbers, InSegmentor):
    pass


@in_pynative
class TestGradientsOfPixels(Pixels, Gradients):
    pass


@pytest.mark.slow
class TestPixels(Pixels, AllParts):
    pass


def build(**options):
    return build_decoder("cpt", CHANNELS, CLASSES, **{**SMALL_DECODER["cpt"], **options})


def test_output_level_decides_which_parameters_exist():
    counts = {}
    for level in range(4):
        decoder = build(output_level=level)
        counts[level] = (len(decoder.blocks), len(decoder.laterals))
    assert counts == {0: (3, 4), 1: (2, 3), 2: (1, 2), 3: (0, 1)}


def test_head_size_at_the_default_width():
    """A size that changes is a change of the method, not of its form."""
    decoder = build_decoder("cpt", (128, 256, 512, 1024), 150)
    assert sum(parameter.size for parameter in decoder.trainable_params()) == 5_810_776
    state = {p.name: p.shape for p in decoder.get_parameters() if "memory" in p.name}
    assert len(state) == 6
    assert state["blocks.0.prototypes.memory.prototypes"] == (150, 256)
    assert state["blocks.0.prototypes.memory.updates"] == (150,)


def test_only_the_teacher_asks_for_the_label():
    assert build(assignment="teacher").needs_label
    assert not build().needs_label
    assert not build(assignment="teacher", source="pixels").needs_label
    assert not build(assignment="teacher", output_level=3).needs_label


def test_teacher_without_a_label_says_so():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    decoder = build(assignment="teacher")
    decoder.set_train(True)
    with pytest.raises(ValueError, match="teacher needs the label"):
        decoder(features((64, 64)))


def test_report_counts_the_classes_seen():
    decoder = build(output_level=1)
    decoder.blocks[1].prototypes.memory.updates.set_data(Tensor(np.array([0, 1, 0, 7, 0], np.int32)))
    assert decoder.report() == "prototype memory, of 5 classes seen so far: 0 at level 2, 2 at level 1"
    assert build(memory=None).report() is None
    assert build(source="pixels").report() is None


class Explanation(nn.Cell):
    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, features):
        return self.decoder.explain(features)


def test_what_is_explained():
    decoder, maps = build(output_level=1), features((64, 96))
    randomize(decoder)
    decoder.set_train(False)
    kinds = ("assignment", "attention", "memory", "updates")
    assert list(decoder.EXPLAINS) == [f"{kind}_{level}" for level in (2, 1) for kind in kinds]
    found = {name: value.asnumpy() for name, value in zip(decoder.EXPLAINS, Explanation(decoder)(maps), strict=True)}
    p = {f"decoder.{p.name.removeprefix('decoder.')}": p.asnumpy().astype(float) for p in decoder.get_parameters()}
    arrays = [one.asnumpy().astype(float) for one in maps]
    x = conv_norm_relu(arrays[3], p, "decoder.laterals.2")
    for i, level in enumerate((2, 1)):
        lateral = conv_norm_relu(arrays[level], p, f"decoder.laterals.{level - 1}")
        x, logits, weights = cpt_reference.block(lateral, x, p, f"decoder.blocks.{i}", 2)
        np.testing.assert_array_equal(found[f"assignment_{level}"], logits.argmax(1))
        expected = weights.mean(1).reshape(2, *lateral.shape[2:], CLASSES)
        np.testing.assert_allclose(found[f"attention_{level}"], expected, atol=1e-5)
        memory = p[f"decoder.blocks.{i}.prototypes.memory.prototypes"]
        np.testing.assert_allclose(found[f"memory_{level}"], memory, rtol=1e-6)
        assert found[f"updates_{level}"].shape == (CLASSES,)


def test_pixels_explain_the_assignment_only():
    assert build(source="pixels", output_level=1).EXPLAINS == ("assignment_2", "assignment_1")
