"""ONNX files: every decoder and every backbone family, what is baked in, and deploy/infer.py."""

import json
import shutil
import subprocess
import sys
import venv

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.errors import UserError
from src.inference.deployed import Form
from src.inference.description import describe
from src.inference.exported import exported_runner, open_exported
from src.inference.exporter import export, write_description
from src.inference.protocol import predict
from src.inference.runner import ExportedIds
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.schema.training import EvalConfig
from src.tools.export_table import BACKBONES, DECODERS, MEAN, STD, main, randomize
from tests.commands import ROOT
from tests.models.decoders.base import CHANNELS, CLASSES, TinyBackbone
from tests.models.small import BACKBONE_OF_EACH_FAMILY, SMALL_DECODER, small_backbone

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from src.inference.onnx.batch import free_batch  # noqa: E402  (needs onnx)
from src.inference.onnx.builder import Builder, Value  # noqa: E402

SIZE = (40, 56)
ANY_BATCH = ("csnet-psp", "swin_tiny")  # of the others the slow test alone
COLORS = Form(colors=True, ids=True, half=True, mean=MEAN, std=STD)
# Runs deploy/infer.py where neither this project nor MindSpore can be imported.
ALONE = """
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("src", "mindspore", "onnx"):
            raise ImportError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def decoder(name, channels=CHANNELS):
    base, _, variant = name.partition("-")
    options = SMALL_DECODER[base] | DECODERS[name]
    if variant == "fpn":
        options = {key: value for key, value in options.items() if key != "auxiliary_channels"}
    return build_decoder(base, channels, CLASSES, **options)


def network(name):
    """A small network: a decoder on four convolutions, or a family's backbone under FPN."""
    if name in DECODERS:
        cell = Segmentor(TinyBackbone(), decoder(name))
    else:
        backbone = small_backbone(name)
        cell = Segmentor(backbone, decoder("fpn", backbone.out_channels))
    randomize(cell, CLASSES)
    return cell.set_train(False)


def images(batch, *shape):
    return np.random.default_rng(1).standard_normal((batch, *shape)).astype(np.float32)


def assert_equal(found, expected):
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.999


@pytest.mark.parametrize("name", [*DECODERS, *BACKBONE_OF_EACH_FAMILY])
def test_onnx_equals_the_network(name, tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)  # spares the compilation of the network
    cell = network(name)
    any_batch = name in ANY_BATCH
    exported = export(cell, "ONNX", (None if any_batch else 3, 3, *SIZE), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert exported.equal >= 0.999 and exported.difference <= 1e-4 * max(1, exported.largest)
    image, file = images(3, 3, *SIZE), open_exported(exported.path)
    expected = cell(Tensor(image)).asnumpy()
    assert file.shape == (None if any_batch else 3, 3, *SIZE) and np.ptp(expected) > 0.1
    assert_equal(file.run(image), expected)
    if any_batch:
        assert_equal(file.run(image[:1]), expected[:1])
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert not {"Identity", "AdaptiveAvgPool2D"} & {node.op_type for node in model.graph.node}
    assert {node.domain for node in model.graph.node} == {""}  # ONNX's own operators


def test_the_memory_of_a_network_with_half_weights_stays_as_it_is(tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    path = export(network("cpt"), "ONNX", (1, 3, *SIZE), tmp_path / "model", Form(half=True)).path
    kinds = {one.name: one.data_type for one in onnx.load(path).graph.initializer}
    memories = [name for name in kinds if name.endswith("memory.prototypes")]
    assert len(memories) == 3 and {kinds[name] for name in memories} == {onnx.TensorProto.FLOAT}
    assert onnx.TensorProto.FLOAT16 in kinds.values()


@pytest.fixture(scope="module")
def small():
    return network("fpn")


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    """The same network in several forms, each with its description."""
    folder, paths = tmp_path_factory.mktemp("files"), {}
    plain = Form(mean=MEAN, std=STD)
    for name, file_format, form in (("plain", "ONNX", plain), ("baked", "ONNX", COLORS), ("baked", "MINDIR", COLORS)):
        shape = (2 if file_format == "ONNX" else 1, 3, *SIZE)
        path = export(small, file_format, shape, folder / name, form).path
        facts = {"classes": list("abcde"), "colors": [[40 * index, 0, 0] for index in range(CLASSES)]}
        write_description(path, {**describe(form, shape, CLASSES), **facts})
        paths[path.name] = path
    return paths


def test_colors_ids_and_half_are_baked_in(small, files):
    colors = np.random.default_rng(2).integers(0, 256, (2, *SIZE, 3), np.uint8)
    before = [parameter.asnumpy() for parameter in small.get_parameters()]
    normalized = ((colors - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    logits = small(Tensor(normalized)).asnumpy()
    mindir, onnx_file = open_exported(files["baked.mindir"]), open_exported(files["baked.onnx"])
    assert onnx_file.takes_colors and onnx_file.gives_ids and onnx_file.size == mindir.size == SIZE
    ids = onnx_file.run(colors)
    assert ids.dtype == np.uint8 and ids.shape == (2, *SIZE)
    # Rounded weights may turn the order of two classes that are as good as equal.
    chosen = np.take_along_axis(logits, ids[:, None].astype(int), 1)[:, 0]
    assert (logits.max(1) - chosen).max() <= 5e-3 * np.abs(logits).max()
    assert (mindir.run(colors[:1]) == ids[:1]).mean() >= 0.999
    weights = onnx.load(files["baked.onnx"]).graph.initializer
    assert {onnx.TensorProto.FLOAT16} == {one.data_type for one in weights if one.name.endswith("conv.weight")}
    assert all((p.asnumpy() == old).all() for p, old in zip(small.get_parameters(), before, strict=True))


def test_runner_takes_normalized_images_for_a_file_of_colors(small, files, tmp_path):
    form = Form(colors=True, mean=MEAN, std=STD)
    path = export(small, "ONNX", (2, 3, *SIZE), tmp_path / "model", form).path
    colors = np.random.default_rng(2).integers(0, 256, (3, *SIZE), np.uint8)
    normalized = ((colors - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]).astype(np.float32)
    with pytest.raises(UserError, match="expected normalize with mean and std"):
        exported_runner(path)
    write_description(path, describe(form, (2, 3, *SIZE), CLASSES))
    found = exported_runner(path)(normalized[None])
    assert_equal(found, exported_runner(files["plain.onnx"])(normalized[None]))


@pytest.mark.parametrize("file", ["baked.onnx", "baked.mindir"])
def test_ids_serve_whole_images(file, files):
    colors = np.random.default_rng(2).integers(0, 256, (1, *SIZE, 3), np.uint8)
    normalized = ((colors - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    given = open_exported(files[file])
    run = ExportedIds(exported_runner(files[file]), files[file])
    expected = given.run(np.repeat(colors, given.shape[0], axis=0))[0]
    np.testing.assert_array_equal(predict(run, normalized, EvalConfig(), SIZE), expected)
    for config, size in ((EvalConfig(flip=True), SIZE), (EvalConfig(), (20, 28))):
        with pytest.raises(UserError, match=r"gives class ids, .*without --ids"):
            predict(run, normalized, config, size)


def test_runner_refuses_other_sizes(files):
    with pytest.raises(UserError, match=r"takes images of 40x56, found 32x56"):
        exported_runner(files["plain.onnx"])(images(1, 3, 32, 56))


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_damaged_onnx_is_named(tmp_path, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        exported_runner(path)


class _Sums(nn.Cell):
    """A network with an operator that none of the project's has."""

    def construct(self, image):
        return ops.cumsum(image, 1)


def test_unknown_operator_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"no ONNX form is known for the operator CumSum in network; use --format MINDIR"
    ):
        export(_Sums(), "ONNX", (1, 3, 32, 32), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_any_batch_is_for_onnx_alone(small, tmp_path):
    with pytest.raises(UserError, match="MINDIR files have a fixed batch size"):
        export(small, "MINDIR", (None, 3, 32, 32), tmp_path / "model")


@pytest.mark.parametrize(
    "constant", [lambda batch: np.arange(batch, dtype=np.float32), lambda batch: np.ones(5 - batch)]
)
def test_batch_that_cannot_be_freed_is_said(constant):
    graphs = []
    for batch in (2, 3):
        graphs.append(Builder())
        graphs[-1].add("Add", Value("image"), constant(batch))
    with pytest.raises(UserError, match=r"--batch any: .*give --batch a number"):
        free_batch(*graphs, Value("image"))


def photo(folder, size):
    path = folder / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8))
    return path


def infer(model, image, output, *command):
    command = command or (sys.executable, "-c", ALONE)
    arguments = [ROOT / "deploy" / "infer.py", "--model", model, "--input", image, "--output", output]
    return subprocess.run(
        list(map(str, [*command, *arguments])), cwd=output.parent, capture_output=True, text=True, check=False
    )


def assert_inferred(small, image, output):
    """The classes are those of the network, but for a few pixels where two are as good as equal."""
    colors = cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB)
    normalized = ((colors - np.array(MEAN)) / np.array(STD)).transpose(2, 0, 1).astype(np.float32)
    expected = small(Tensor(normalized[None])).asnumpy()[0].argmax(0)
    found = cv2.imread(str(output / "photo.png"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint8 and (found == expected).mean() >= 0.99
    drawn = cv2.imread(str(output / "photo_color.png"))[..., ::-1]
    np.testing.assert_array_equal(drawn[..., 0], 40 * found)


@pytest.mark.parametrize("model", ["plain.onnx", "baked.onnx"])
def test_one_file_segments_without_the_project(small, files, model, tmp_path):
    image = photo(tmp_path, SIZE)
    done = infer(files[model], image, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_inferred(small, image, tmp_path / "out")


def test_infer_resizes_and_tells_mistakes(files, tmp_path):
    image = photo(tmp_path, (50, 91))
    assert infer(files["baked.onnx"], image, tmp_path / "out").returncode == 0
    assert cv2.imread(str(tmp_path / "out" / "photo.png"), cv2.IMREAD_UNCHANGED).shape == (50, 91)
    done = infer(files["baked.mindir"], image, tmp_path / "out")
    assert done.returncode == 2 and "needs one of these packages: mindspore, mindspore_lite" in done.stderr
    done = infer(files["baked.onnx"], image, tmp_path)
    assert done.returncode == 2 and "photo.png would replace an image" in done.stderr


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("model.onnx", b"not a model", "model.onnx: cannot be loaded"),
        ("model.onnx.json", b"{", "model.onnx.json: not a readable description"),
        ("model.onnx.json", b'{"input": {}}', "model.onnx.json: lacks normalize, output, colors"),
        ("model.onnx.json", None, "model.onnx.json is missing: copy the description"),
        ("photo.png", b"", "photo.png: not a readable image"),
        ("out", b"", "File exists; name another path"),
    ],
)
def test_infer_names_damaged_files(files, file, content, message, tmp_path):
    image = photo(tmp_path, SIZE)
    for ending in ("", ".json"):
        shutil.copyfile(f"{files['plain.onnx']}{ending}", tmp_path / f"model.onnx{ending}")
    (tmp_path / file).unlink(missing_ok=True)
    if content is not None:
        (tmp_path / file).write_bytes(content)
    done = infer(tmp_path / "model.onnx", image, tmp_path / "out")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_infer_with_mindspore(small, files, tmp_path):
    image = photo(tmp_path, SIZE)
    done = infer(files["baked.mindir"], image, tmp_path / "out", sys.executable)
    assert done.returncode == 0, done.stderr
    assert_inferred(small, image, tmp_path / "out")


@pytest.mark.slow
def test_infer_in_an_environment_of_three_packages(small, files, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = ["numpy", "opencv-python-headless", "onnxruntime"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    image = photo(tmp_path, SIZE)
    done = infer(files["plain.onnx"], image, tmp_path / "out", python)
    assert done.returncode == 0, done.stderr
    assert_inferred(small, image, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 96), (360, 480)], ids=["small", "full"])
def test_every_decoder_on_every_family(size, tmp_path, monkeypatch):
    """With whole networks; the table must have every entry. At full size each decoder and each family at least once."""
    names = list(DECODERS)
    pairs = [(names, BACKBONES)] if size[0] < 100 else [(names[i::4], [b]) for i, b in enumerate(BACKBONES)]
    kinds = ["ONNX", "ONNX any batch"]
    for decoders, backbones in pairs:
        arguments = ["--output", tmp_path, "--size", *size, "--kinds", *kinds, "--decoders", *decoders]
        monkeypatch.setattr(sys, "argv", list(map(str, ["export_table", *arguments, "--backbones", *backbones])))
        main()
    rows = json.loads((tmp_path / "results.json").read_text())
    assert len(rows) == sum(len(decoders) * len(backbones) for decoders, backbones in pairs)
    for name, row in rows.items():
        for kind in kinds:
            assert row[kind].get("equal", 0) >= 0.999 and row[kind]["difference"] <= 1e-3, (name, row)
