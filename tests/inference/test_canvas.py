"""Swin and MiT on canvases: few graphs for images of many sizes, and the numbers of the images alone."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from mindspore.common.api import _CellGraphExecutor

from src.inference.canvas import BUDGET, HEADROOM, Canvases, plan_canvases
from src.inference.runner import network_runner
from src.models import Segmentor
from src.models.decoders import DECODERS, build_decoder
from tests.models.small import SMALL_DECODER, small_backbone

MOST_GRAPHS = 6
SIZES = [(33, 47), (64, 96), (95, 50), (40, 41), (61, 96), (96, 64), (70, 70)]


@pytest.fixture
def compiled(monkeypatch):
    """The cells that are compiled during the test."""
    cells, compile_one = [], _CellGraphExecutor.compile

    def counted(self, cell, *arguments, **options):
        phase, new = compile_one(self, cell, *arguments, **options)
        cells.extend([type(cell).__name__] * new)
        return phase, new

    monkeypatch.setattr(_CellGraphExecutor, "compile", counted)
    return cells


def network_of(backbone, decoder, **options):
    """A small network whose norms and memories hold random numbers."""
    backbone = small_backbone(backbone, **options)
    network = Segmentor(backbone, build_decoder(decoder, backbone.out_channels, 5, **SMALL_DECODER[decoder]))
    random = np.random.default_rng(0)
    for parameter in network.get_parameters():
        if parameter.dtype == ms.float32:
            noise = random.normal(0, 0.1, parameter.shape).astype(np.float32)
            start = 1 if parameter.name.endswith(("gamma", "variance")) else 0
            parameter.set_data(Tensor(abs(start + noise) if start else noise + parameter.asnumpy()))
    return network


def check_equal(network, sizes, batch=1):
    """Logits on canvases are those of the images alone, to 1e-4 of the largest."""
    random = np.random.default_rng(1)
    images = [random.standard_normal((1, 3, *size), dtype=np.float32) for size in sizes]
    runner = network_runner(network, fixed_size=False, batch=batch)
    runner.plan(sizes)
    found = [runner(image) for image in images]
    if batch > 1:
        pair = runner(np.concatenate([images[0][..., ::-1], images[0]]))  # windows or mirror images
        assert np.abs(pair[1:] - found[0]).max() <= 1e-5 * np.abs(found[0]).max() < np.abs(pair[:1] - found[0]).max()
    ids = runner.ids(images[0])
    ms.set_context(mode=ms.PYNATIVE_MODE)
    alone = network_runner(network, fixed_size=True)
    for image, logits in zip(images, found, strict=True):
        expected = alone(image)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(ids, found[0].argmax(1))


def test_logits_on_a_canvas_are_those_of_the_image_alone(compiled, monkeypatch):
    """Also two at once. Other backbones and decoders take long to compile: they are in the slow test below."""
    monkeypatch.setattr("src.inference.canvas.BUDGET", 1)  # every image but the largest has a border
    check_equal(network_of("swin_tiny", "fpn"), SIZES, batch=2)
    assert sorted(compiled) == ["_Ids", "_Logits", "_OnCanvas"]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["swin_tiny", "mit_b0"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_gives_the_logits_of_the_image_alone(backbone, decoder, compiled):
    random = np.random.default_rng(2)
    check_equal(network_of(backbone, decoder), [tuple(size) for size in random.integers(32, 260, (12, 2)).tolist()])
    assert compiled.count("_OnCanvas") <= BUDGET


@pytest.mark.parametrize(
    ("name", "options"),
    [("swin_tiny", {"pad_before_shift": False}), ("swin_tiny", {"shift_single_window": True}), ("mit_b0", {})],
    ids=str,
)
def test_maps_on_a_canvas_are_those_of_the_image_alone(name, options):
    """Also with the borders that mmsegmentation and timm have."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    backbone = network_of(name, "fpn", **options).backbone.set_train(False)
    for size in [(33, 47), (70, 101)]:
        image = np.random.default_rng(3).standard_normal((1, 3, *size), dtype=np.float32)
        canvas = np.zeros((2, 3, 96, 128), np.float32)  # the first image is empty
        canvas[1:, :, : size[0], : size[1]] = image
        tables = tuple(Tensor(table) for table in backbone.canvas_tables(size, (96, 128)))
        for found, expected in zip(backbone(Tensor(canvas), tables), backbone(Tensor(image)), strict=True):
            inside = found.asnumpy()[1:, :, : expected.shape[2], : expected.shape[3]]
            np.testing.assert_allclose(inside, expected.asnumpy(), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["swin_tiny", "mit_b0"])
def test_200_sizes_take_few_compilations(backbone, compiled):
    sizes = [tuple(size) for size in np.random.default_rng(4).integers(32, 200, (200, 2)).tolist()]
    runner = network_runner(network_of(backbone, "fpn"), fixed_size=False)
    runner.plan(sizes)
    for size in sizes:
        assert runner.ids(np.zeros((1, 3, *size), np.float32)).shape == (1, *size)
    runner(np.zeros((1, 3, *sizes[0]), np.float32))  # a picture of probabilities beside the ids
    print(f"\n{backbone}: {len(compiled)} compilations for {len(set(sizes))} sizes")
    assert len(set(sizes)) > 190
    assert len(compiled) <= MOST_GRAPHS, compiled


# ------------------------------------------------------------------------------------------ the choice of canvases
def test_a_plan_covers_all_sizes_with_little_waste():
    random = np.random.default_rng(5)
    sizes = [(int(h), int(w)) for h, w in random.integers(200, 900, (200, 2))]
    plan = plan_canvases(sizes)
    assert len(plan) == BUDGET
    assert all(side % 32 == 0 for canvas in plan for side in canvas)
    canvases = Canvases()
    canvases.plan(sizes)
    chosen = [canvases.choose(size) for size in sizes]
    assert set(chosen) == set(plan)
    assert all(canvas[0] >= size[0] and canvas[1] >= size[1] for canvas, size in zip(chosen, sizes, strict=True))
    area = sum(height * width for height, width in chosen) / sum(height * width for height, width in sizes)
    single = max(h for h, _ in sizes) * max(w for _, w in sizes) * len(sizes) / sum(h * w for h, w in sizes)
    assert area < 0.75 * single


def test_few_sizes_have_a_canvas_each():
    assert sorted(plan_canvases([(64, 96), (96, 64), (63, 96), (64, 96)])) == [(64, 96), (96, 64)]


def test_without_a_plan_canvases_stay_few():
    random = np.random.default_rng(6)
    canvases = Canvases()
    for size in random.integers(32, 2000, (1000, 2)).tolist():
        canvas = canvases.choose(tuple(size))
        assert canvas[0] >= size[0]
        assert canvas[1] >= size[1]
    growth = np.log(2000 / 32) / np.log(HEADROOM)
    assert len(canvases.sizes) <= BUDGET + growth


def test_an_image_without_a_plan_is_not_put_on_a_far_larger_canvas():
    canvases = Canvases()
    assert canvases.choose((640, 640)) == (640, 640)
    assert canvases.choose((600, 500)) == (640, 640)
    assert canvases.choose((100, 100)) == (128, 128)


def test_a_second_plan_adds_only_what_is_missing():
    canvases = Canvases()
    canvases.plan([(64, 64), (60, 40)])
    before = list(canvases.sizes)
    canvases.plan([(64, 64), (32, 64)])
    assert canvases.sizes == before
