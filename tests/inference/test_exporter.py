"""Export: the file is loaded back in a fresh process and equals the network; impossible formats say why."""

import mindspore as ms
import numpy as np
import pytest
from mindspore.train.mind_ir_pb2 import ModelProto

from src.errors import UserError
from src.inference import exporter
from src.inference.exported import exported_runner, open_exported
from src.inference.exporter import export
from src.inference.runner import network_runner
from src.models import build_model
from src.schema.model import ModelConfig
from tests.models.small import SMALL_DECODER


@pytest.fixture(scope="module")
def network():
    config = {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn", **SMALL_DECODER["fpn"]}}
    return build_model(ModelConfig.model_validate(config), 4)


def test_mindir_equals_the_network(network, tmp_path):
    exported = export(network, "MINDIR", (2, 3, 40, 56), tmp_path / "deep" / "model.v1")
    assert exported.path == tmp_path / "deep" / "model.v1.mindir"
    assert [p.name for p in exported.path.parent.iterdir()] == ["model.v1.mindir"]
    assert exported.difference <= 1e-5 * max(1, exported.largest)
    assert open_exported(exported.path).shape == (2, 3, 40, 56)
    image = np.random.default_rng(1).standard_normal((1, 3, 40, 56)).astype(np.float32)
    np.testing.assert_allclose(
        exported_runner(exported.path)(image), network_runner(network)(image), atol=1e-5 * max(1, exported.largest)
    )


def test_an_exported_graph_has_no_native_kernels(network, tmp_path):
    """They exist on this machine alone."""
    model = ModelProto()
    model.ParseFromString(export(network, "MINDIR", (1, 3, 40, 56), tmp_path / "model").path.read_bytes())
    types = {primitive.op_type for primitive in model.primitives}
    assert "Conv2D" in types
    assert "Custom" not in types


def test_image_of_another_size_is_refused_with_the_mend(network, tmp_path):
    path = export(network, "MINDIR", (1, 3, 32, 32), tmp_path / "model").path
    with pytest.raises(UserError, match=r"takes images of 32x32, found 40x48; export it with --size 40 48"):
        exported_runner(path)(np.zeros((1, 3, 40, 48), np.float32))


def test_a_file_that_differs_is_not_kept(network, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "_run", lambda path, image: np.ones((1, 4, 32, 32), np.float32) * 99)
    with pytest.raises(RuntimeError, match="differs from the checkpoint"):
        export(network, "MINDIR", (1, 3, 32, 32), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(ms.get_context("device_target") == "Ascend", reason="AIR can be written on Ascend")
def test_air_says_that_it_needs_ascend(network, tmp_path):
    with pytest.raises(UserError, match="AIR needs an Ascend device"):
        export(network, "AIR", (1, 3, 32, 32), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_damaged_mindir_is_named(tmp_path, content):
    path = tmp_path / "model.mindir"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        exported_runner(path)
