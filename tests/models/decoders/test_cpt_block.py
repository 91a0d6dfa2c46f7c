"""One CPT block and its memory against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.decoders.cpt import CPTBlock
from tests.models.decoders import cpt_reference
from tests.models.decoders.base import randomize

CLASSES, CHANNELS, HEADS = 5, 8, 2
SEEN = np.array([0, 3, 0, 1, 2], np.int32)  # classes 0 and 2 were never seen


def build(assignment="hard", momentum=0.9, source="prototypes", absent=(0, 1)):
    """A block with random parameters and memory, whose source maps never have the classes ``absent``."""
    block = CPTBlock(CLASSES, CHANNELS, HEADS, 2, source, assignment, momentum, 1e-3, "exact")
    randomize(block)
    bias = block.assign.bias.asnumpy().copy()
    bias[list(absent)] = -50
    block.assign.bias.set_data(Tensor(bias))
    if source == "prototypes" and momentum is not None:
        memory = block.prototypes.memory
        memory.updates.set_data(Tensor(SEEN))
        memory.prototypes.set_data(Tensor(memory.prototypes.asnumpy() * (SEEN > 0)[:, None]))
    return block


def named(block):
    """Parameters under "block." whether a cell around it has put that before their names or not."""
    values = {p.name: p.asnumpy().copy() for p in block.get_parameters()}
    return {f"block.{n.removeprefix('block.')}": v.astype(np.float64) for n, v in values.items()}


def maps(seed=0, batch=3):
    """Lateral and source; all pixels of the second image's source are alike, so it has one class only."""
    generator = np.random.default_rng(seed)
    lateral = generator.standard_normal((batch, CHANNELS, 6, 7)).astype(np.float32)
    source = generator.standard_normal((batch, CHANNELS, 3, 4)).astype(np.float32)
    source[1] = source[1, :, :1, :1]
    return lateral, source


def labels(seed=0, batch=3):
    """Labels of another size than the source; the last image has no labeled pixel."""
    label = np.random.default_rng(seed).integers(1, CLASSES, (batch, 12, 17)).astype(np.int32)
    label[0, :6] = 255
    label[1] = 3
    label[2] = 255
    return label


def compare(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.asnumpy(), other, atol=1e-5 * max(1, np.abs(other).max()))


@pytest.mark.parametrize("momentum", [0.9, None], ids=["memory", "no memory"])
@pytest.mark.parametrize("assignment", ["hard", "soft"])
def test_block_equals_numpy(mode, assignment, momentum):
    block = build(assignment, momentum)
    block.set_train(False)
    lateral, source = maps()
    before = named(block)
    expected = cpt_reference.block(lateral, source, before, "block", HEADS, assignment)
    found = block(Tensor(lateral), Tensor(source))
    compare(found, expected)
    assert (found[2].asnumpy()[..., 0] == 0).all()  # class 0 is nowhere: it is not attended to
    weights = expected[2].mean((1, 2))
    if momentum is None:
        assert (weights[:, 1] == 0).all()
    else:
        assert (weights[:, 1] > 0).all()  # class 1 is in the memory only
    if assignment == "hard" and momentum is None:
        assert sorted(weights[1]) == [0, 0, 0, 0, 1]  # one class only
    after = named(block)
    assert all(np.array_equal(after[name], before[name]) for name in before)  # evaluation changes nothing


def test_pixels_are_plain_cross_attention(mode):
    block = build(source="pixels")
    lateral, source = maps()
    compare(
        block(Tensor(lateral), Tensor(source)),
        cpt_reference.block(lateral, source, named(block), "block", HEADS, pixels=True),
    )


@pytest.mark.parametrize("momentum", [0.9, None], ids=["memory", "no memory"])
def test_teacher_takes_the_label_in_training_only(momentum):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    block = build("teacher", momentum)
    (lateral, source), label = maps(), labels()
    p = named(block)
    block.set_train(False)
    compare(block(*map(Tensor, (lateral, source))), cpt_reference.block(lateral, source, p, "block", HEADS))
    block.set_train(True)
    expected = cpt_reference.block(lateral, source, p, "block", HEADS, label=label)
    found = block(*map(Tensor, (lateral, source, label)))
    compare(found[:2], expected[:2])
    # Without memory nothing is left for the image without labels: its prototypes are all alike, its weights free.
    compare([found[2][:2]], [expected[2][:2]])


@pytest.mark.parametrize(
    ("run", "assignment"),
    [(ms.GRAPH_MODE, "hard"), (ms.GRAPH_MODE, "teacher"), (ms.PYNATIVE_MODE, "hard"), (ms.PYNATIVE_MODE, "soft")],
)
def test_memory_after_three_steps(run, assignment):
    ms.set_context(mode=run)
    block = build(assignment, 0.9, absent=(0,))
    memory = block.prototypes.memory
    memory.updates.set_data(Tensor(np.zeros(CLASSES, np.int32)))
    memory.prototypes.set_data(Tensor(np.zeros((CLASSES, CHANNELS), np.float32)))
    block.set_train(True)
    p = named(block)
    name = "block.prototypes.memory"
    bias = block.assign.bias.asnumpy().copy()
    for step in range(3):
        (lateral, source), label = maps(step), labels(step)
        label[label == 2] = 3 if step == 0 else 2  # class 2 appears in the second step
        if step < 2:
            p["block.assign.bias"] = np.where(np.arange(CLASSES) == 2, -50 if step == 0 else bias[2], bias)
            block.assign.bias.set_data(Tensor(p["block.assign.bias"].astype(np.float32)))
        arguments = (lateral, source, label) if assignment == "teacher" else (lateral, source)
        found = block(*map(Tensor, arguments))
        given = label if assignment == "teacher" else None
        expected = cpt_reference.block(lateral, source, p, "block", HEADS, assignment, label=given)
        compare(found[:2], expected[:2])  # made with the memory from before the step
        a = cpt_reference.shares(expected[1], assignment, given)
        p[f"{name}.prototypes"], p[f"{name}.updates"] = cpt_reference.update_memory(
            p[f"{name}.prototypes"], p[f"{name}.updates"], source.astype(float), a, 0.9
        )
        np.testing.assert_allclose(memory.prototypes.asnumpy(), p[f"{name}.prototypes"], atol=1e-5)
        np.testing.assert_array_equal(memory.updates.asnumpy(), p[f"{name}.updates"])
    assert p[f"{name}.updates"][0] == 0
    assert p[f"{name}.updates"][2] < 3 <= p[f"{name}.updates"].max()


class Sum(nn.Cell):
    """Sum of a block's map and logits, every number with a weight of its own."""

    def __init__(self, block):
        super().__init__()
        self.block = block
        generator = np.random.default_rng(3)
        self.weights = Tensor(generator.standard_normal((3, CHANNELS, 6, 7)).astype(np.float32))
        self.logit_weights = Tensor(generator.standard_normal((3, CLASSES, 3, 4)).astype(np.float32))

    def construct(self, lateral, source):
        y, logits, _ = self.block(lateral, source)
        return (y * self.weights).sum() + (logits * self.logit_weights).sum()


def gradients(run, training, assignment):
    """Of a new block's inputs and weights; also whether the memory has changed."""
    ms.set_context(mode=run)
    block = build(assignment)
    block.set_train(training)
    weights = block.trainable_params()
    assert not [weight.name for weight in weights if "memory" in weight.name]
    before = named(block)["block.prototypes.memory.prototypes"]
    of_inputs, of_weights = ms.grad(Sum(block), (0, 1), weights)(*map(Tensor, maps()))
    changed = not np.array_equal(named(block)["block.prototypes.memory.prototypes"], before)
    return [gradient.asnumpy() for gradient in of_inputs + of_weights], changed


@pytest.mark.parametrize(
    ("run", "assignment"), [(ms.GRAPH_MODE, "hard"), (ms.PYNATIVE_MODE, "hard"), (ms.PYNATIVE_MODE, "soft")]
)
def test_the_update_of_the_memory_does_not_touch_the_gradients(run, assignment):
    """The backward pass must see the memory that the forward pass saw, and no gradient may enter the memory."""
    frozen, changed = gradients(ms.PYNATIVE_MODE, False, assignment)
    assert not changed
    trained, changed = gradients(run, True, assignment)
    assert changed
    for one, other in zip(trained, frozen, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("assignment", ["hard", "soft"])
def test_gradients_equal_finite_differences(assignment):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    block = build(assignment)
    block.set_train(False)
    lateral, source = maps()
    total = Sum(block)
    p = named(block)

    def value(lateral, source):
        y, logits, _ = cpt_reference.block(lateral, source, p, "block", HEADS, assignment)
        return (y * total.weights.asnumpy()).sum() + (logits * total.logit_weights.asnumpy()).sum()

    gradients = ms.grad(total, (0, 1))(Tensor(lateral), Tensor(source))
    generator = np.random.default_rng(4)
    direction = [generator.standard_normal(x.shape) for x in (lateral, source)]
    step = 1e-5
    ahead, behind = (value(lateral + s * direction[0], source + s * direction[1]) for s in (step, -step))
    slope = sum((g.asnumpy() * d).sum() for g, d in zip(gradients, direction, strict=True))
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


def test_sums_over_large_maps_of_half_precision_do_not_overflow():
    block = build(absent=(0, 1, 3, 4))  # all 96 * 96 pixels are of class 2
    block.set_train(True)
    source = np.full((1, CHANNELS, 96, 96), 30, np.float16)  # their sum, 276480, is beyond fp16
    prototypes, usable = block.prototypes(Tensor(source), block.assign(Tensor(source, ms.float32)))
    assert prototypes.dtype == ms.float16
    assert np.isfinite(prototypes.asnumpy()).all()
    np.testing.assert_array_equal(usable.asnumpy(), [[0, 1, 1, 1, 1]])
    np.testing.assert_allclose(block.prototypes.memory.prototypes.asnumpy()[2], 30, rtol=1e-6)
