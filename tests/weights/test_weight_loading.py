"""``model.backbone.weights``: converted, own and foreign files into a backbone, and the normalization they want."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import nn

from src.checkpoint import save_checkpoint, write_checkpoint
from src.errors import UserError
from src.models.backbones import build_backbone
from src.schema.data import DataConfig
from src.weights.loading import load_backbone_weights, own_parameters
from src.weights.normalization import HALF, IMAGENET, check_normalization, normalization, refuse_caffe
from tests.weights.networks import random_tensors
from tests.weights.torch_writer import windows, write_zip

CONFIG = SimpleNamespace(name="resnet18")


def data(mean=IMAGENET.mean, std=IMAGENET.std):
    return DataConfig(name="shapes", records="r", crop=[64, 64], mean=list(mean), std=list(std))


class Network(nn.Cell):
    def __init__(self):
        super().__init__()
        self.backbone = build_backbone("resnet18")
        self.decoder = nn.Conv2d(512, 3, 1)


def test_foreign_file(tmp_path):
    tensors = random_tensors("torchvision/resnet18")
    path = write_zip(tmp_path / "x.pth", windows(tensors))
    network = Network()  # its backbone's names have a prefix
    line = load_backbone_weights(network.backbone, CONFIG, path, data())
    assert line.startswith(f"{path}: resnet18 from torchvision: loaded 100, missing 0, unused 0, reshaped 0 parameters")
    assert "warning" not in line
    parameters = own_parameters(network.backbone)
    np.testing.assert_array_equal(parameters["bn1.moving_variance"].asnumpy(), tensors["bn1.running_var"])
    np.testing.assert_array_equal(parameters["layer3.0.conv1.weight"].asnumpy(), tensors["layer3.0.conv1.weight"])


@pytest.mark.parametrize("whole", [False, True])
def test_own_checkpoint_of_a_backbone_or_a_whole_network(tmp_path, whole):
    network, fresh = Network(), build_backbone("resnet18")
    save_checkpoint(tmp_path / "x.ckpt", network if whole else network.backbone, {"step": 3})
    line = load_backbone_weights(fresh, CONFIG, tmp_path / "x.ckpt", data())
    assert "loaded 100, missing 0, unused 0, reshaped 0" in line
    wanted = own_parameters(network.backbone)
    for name, parameter in own_parameters(fresh).items():
        np.testing.assert_array_equal(parameter.asnumpy(), wanted[name].asnumpy())


def test_states_of_random_layers_are_no_weights(tmp_path):
    backbone = build_backbone("mit_b0")
    assert any(re.search("state$", p.name) for p in backbone.get_parameters())
    assert not any("state" in name for name in own_parameters(backbone))
    save_checkpoint(tmp_path / "x.ckpt", backbone, {})
    line = load_backbone_weights(build_backbone("mit_b0"), SimpleNamespace(name="mit_b0"), tmp_path / "x.ckpt")
    assert "loaded 176, missing 0, unused 0" in line


def test_backbone_is_unchanged_after_a_refusal(tmp_path):
    tensors = random_tensors("torchvision/resnet18")
    tensors["layer4.1.bn2.weight"] = np.ones(3, np.float32)
    path = write_zip(tmp_path / "x.pth", windows(tensors))
    backbone = build_backbone("resnet18")
    before = backbone.conv1.weight.asnumpy().copy()
    with pytest.raises(UserError, match=r"layer4\.1\.bn2\.gamma: found \(3,\), expected \(512,\)"):
        load_backbone_weights(backbone, CONFIG, path)
    np.testing.assert_array_equal(backbone.conv1.weight.asnumpy(), before)


def test_nineteen_twentieths_are_enough_and_no_less(tmp_path):
    tensors = random_tensors("torchvision/resnet18")
    del tensors["layer1.0.conv1.weight"]  # 0.3 % of the numbers
    line = load_backbone_weights(build_backbone("resnet18"), CONFIG, write_zip(tmp_path / "x.pth", windows(tensors)))
    assert "loaded 99, missing 1" in line
    assert "layer1.0.conv1.weight" in line
    del tensors["layer4.0.conv1.weight"]  # 11 %
    with pytest.raises(UserError, match=r"covers 89\.\d %"):
        load_backbone_weights(build_backbone("resnet18"), CONFIG, write_zip(tmp_path / "x.pth", windows(tensors)))


# ------------------------------------------------------------------------------------------- normalization
def test_catalog():
    assert normalization("timm", "swin_base") == IMAGENET
    assert normalization("timm", "efficientnet_lite0") == HALF
    assert normalization("efficientnet-lite", "efficientnet_lite0") == HALF
    assert normalization("mmseg", "resnet50") == IMAGENET
    assert normalization("timm", "resnet34", "x/resnet34.ra4_e3600_r224_in1k.safetensors") == HALF
    assert normalization("own", "resnet50") is None


def test_contradicting_config_is_warned_about():
    assert check_normalization("timm", data(), "resnet50") is None
    warning = check_normalization("timm", data(), "efficientnet_lite0")
    assert "127.5" in warning and "123.675" in warning and "data.mean" in warning
    assert check_normalization("timm", data((127, 127, 127), (128, 128, 128)), "efficientnet_lite0") is None
    assert check_normalization("timm", data(IMAGENET.mean[::-1]), "resnet50") is not None  # BGR by mistake
    assert check_normalization("timm", data(std=(1, 1, 1)), "resnet50") is not None
    assert check_normalization("own", data(), "resnet50") is None
    assert check_normalization({}, data()) is None


def test_converted_checkpoint_says_what_it_wants(tmp_path):
    values = {name: p.asnumpy() for name, p in own_parameters(build_backbone("resnet18")).items()}
    write_checkpoint(tmp_path / "x.ckpt", values, {"source": "timm", **HALF._asdict()})
    line = load_backbone_weights(build_backbone("resnet18"), CONFIG, tmp_path / "x.ckpt", data())
    assert "warning: the backbone's weights (timm) were trained with mean [127.5, 127.5, 127.5]" in line
    line = load_backbone_weights(build_backbone("resnet18"), CONFIG, tmp_path / "x.ckpt", data(HALF.mean, HALF.std))
    assert "warning" not in line


@pytest.mark.parametrize("name", ["resnet50_caffe-788b5fa3.pth", "x_BGR.pth"])
def test_weights_of_caffes_kind_are_refused(name):
    with pytest.raises(UserError, match="BGR"):
        refuse_caffe(f"/weights/{name}")
    refuse_caffe("/caffe/resnet50.pth")
