"""Checkpoints of ECENet's release: decoder alone and whole networks, in several formats, and what is refused."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import load_checkpoint, write_checkpoint
from src.errors import UserError
from src.models.backbones import build_backbone
from src.models.decoders import build_decoder
from src.weights.heads import head_options, split
from src.weights.loading import load_decoder_weights, own_parameters
from src.weights.rules import find_origin
from src.weights.tables.ecenet import RELEASE
from tests.commands import run_inside
from tests.models.small import SMALL_DECODER
from tests.weights.networks import random_tensors
from tests.weights.torch_writer import windows, write_zip

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ecenet.npz")
HEAD = {name[2:]: GOLDEN[name] for name in GOLDEN.files if name.startswith("w/")}
FLOATS = {name: values for name, values in HEAD.items() if values.dtype == np.float32}


def run(monkeypatch, source, target, arch="head"):
    return run_inside(
        monkeypatch, "src.tools.convert_weights", "--source", "ecenet-release", "--arch", arch, source, target
    )


def write_npz(path, prefix=""):
    np.savez(
        path, **{prefix + name: values for name, values in HEAD.items()}, **{"in/0": np.zeros(3)} if prefix else {}
    )


def write_ckpt(path):
    entries = [{"name": name, "data": Tensor(values)} for name, values in FLOATS.items()]
    ms.save_checkpoint(entries, str(path))


WRITERS = {
    "plain.npz": write_npz,
    "golden.npz": lambda path: write_npz(path, "w/"),
    "head.ckpt": write_ckpt,
    "head.pth": lambda path: write_zip(
        path, windows({f"decode_head.{name}": values for name, values in FLOATS.items()})
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_head_of_every_format(name, tmp_path, monkeypatch, capsys):
    WRITERS[name](tmp_path / name)
    assert run(monkeypatch, tmp_path / name, tmp_path / "out.ckpt") == 0
    out = capsys.readouterr().out
    assert "missing 0, unused 0" in out
    assert "model.decoder needs: channels: 32, heads: 4, mlp_ratio: 4, query_activation: relu" in out
    decoder = build_decoder("ecenet", (16, 32, 64, 128), 11, channels=32)
    assert "loaded all" in load_decoder_weights(decoder, tmp_path / "out.ckpt")
    np.testing.assert_array_equal(decoder.class_scores.weight.asnumpy(), HEAD["trans.weight"])
    np.testing.assert_array_equal(decoder.fusion.bn.moving_variance.asnumpy(), HEAD["proj.bn.running_var"])


def test_options_are_read_off_the_tensors():
    _, head = split({f"decode_head.{name}": values for name, values in HEAD.items()})
    in_channels, classes, options = head_options("ecenet-release", head, "file")
    assert (in_channels, classes) == ([16, 32, 64, 128], 11)
    assert options == {
        "channels": 32,
        "heads": 4,
        "mlp_ratio": 4,
        "query_activation": "relu",
        "ghost_upscale": True,
        "feature_reconstruction": True,
    }


@pytest.mark.parametrize("ratio", [0.5, 1.3, 2.0])
def test_token_ratio_is_read_off_the_tensors(ratio):
    decoder = build_decoder("ecenet", (16, 32, 64, 128), 11, channels=32, token_ratio=ratio)
    cells = decoder.extractions[0].project.weight.shape[1]
    head = {**HEAD, "token_emb.0.cls_learner.weight": np.zeros((32, cells), np.float32)}
    _, _, options = head_options("ecenet-release", head, "file")
    again = build_decoder("ecenet", (16, 32, 64, 128), 11, **options)
    assert again.extractions[0].project.weight.shape[1] == cells


def test_whole_network(tmp_path, monkeypatch, capsys):
    """Backbone and decoder of the released names give a checkpoint that a network takes."""
    decoder = build_decoder("ecenet", (96, 192, 384, 768), 7, channels=16)

    generator = np.random.default_rng(0)
    everything = _Everything()
    tensors = {f"backbone.{name}": values for name, values in random_tensors("mmseg/swin_tiny/7").items()}
    for name, parameter in own_parameters(decoder).items():
        (theirs,) = find_origin(RELEASE, name, everything).names
        tensors[f"decode_head.{theirs}"] = generator.random(parameter.shape).astype(np.float32)
    write_zip(tmp_path / "whole.pth", {"state_dict": windows(tensors)})
    assert run(monkeypatch, tmp_path / "whole.pth", tmp_path / "out.ckpt", "swin_tiny") == 0
    out = capsys.readouterr().out
    assert "model.backbone needs: window: 7, shift_single_window: true" in out
    checkpoint = load_checkpoint(tmp_path / "out.ckpt")
    expected = {f"decoder.{p.name}": p.shape for p in decoder.get_parameters()}
    expected |= {f"backbone.{p.name}": p.shape for p in build_backbone("swin_tiny").get_parameters()}
    assert {name: values.shape for name, values in checkpoint.tensors.items()} == {
        name: tuple(shape) for name, shape in expected.items()
    }


class _Everything:
    """Contains every name."""

    def __contains__(self, name):
        return True


def test_head_without_backbone(tmp_path, monkeypatch, capsys):
    write_npz(tmp_path / "head.npz")
    assert run(monkeypatch, tmp_path / "head.npz", tmp_path / "out.ckpt", "swin_base") == 2
    assert "holds a decoder without a backbone; convert it with --arch head" in capsys.readouterr().err
    assert not (tmp_path / "out.ckpt").exists()


def test_another_decoder(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "other.npz", **{"decode_head.conv_seg.weight": np.zeros((3, 4), np.float32)})
    assert run(monkeypatch, tmp_path / "other.npz", tmp_path / "out.ckpt") == 2
    assert "holds no decoder of ECENet's release; it lacks laterals.0.weight" in capsys.readouterr().err


def test_part_of_a_head(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "part.npz", **{name: values for name, values in FLOATS.items() if "conv_seg" not in name})
    assert run(monkeypatch, tmp_path / "part.npz", tmp_path / "out.ckpt") == 2
    assert "lacks 2 parameters of the decoder; is it whole?\n  classifier.weight" in capsys.readouterr().err
    assert not (tmp_path / "out.ckpt").exists()


def test_decoder_weights_hold_the_state_and_nothing_else(tmp_path):
    """CPT's memory comes along; a part that the decoder has not is refused."""
    options = SMALL_DECODER["cpt"]
    trained = build_decoder("cpt", (8, 12, 16, 20), 5, **options)
    values = {f"decoder.{p.name}": p.asnumpy() for p in trained.get_parameters()}
    write_checkpoint(tmp_path / "a.ckpt", values, {})
    fresh = build_decoder("cpt", (8, 12, 16, 20), 5, **options)
    load_decoder_weights(fresh, tmp_path / "a.ckpt")
    for one, other in zip(fresh.blocks, trained.blocks, strict=True):
        memories = [block.prototypes.memory.prototypes.asnumpy() for block in (one, other)]
        np.testing.assert_array_equal(*memories)
    with pytest.raises(UserError, match=r"unknown: blocks\.0\.prototypes\.memory\.prototypes"):
        load_decoder_weights(build_decoder("cpt", (8, 12, 16, 20), 5, **options, memory=None), tmp_path / "a.ckpt")


def test_head_of_another_source(tmp_path, monkeypatch, capsys):
    write_npz(tmp_path / "head.npz")
    code = run_inside(
        monkeypatch, "src.tools.convert_weights", "--source", "timm", "--arch", "head", tmp_path / "head.npz",
        tmp_path / "out.ckpt",
    )  # fmt: skip
    assert code == 2
    assert "--arch head: only of --source ecenet-release and cpt; timm has no known decoder" in capsys.readouterr().err


def test_decoder_weights_of_another_size(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {"decoder.classifier.weight": np.zeros((3, 4, 1, 1), np.float32)}, {})
    with pytest.raises(UserError, match=r"a\.ckpt: does not fit model\.decoder"):
        load_decoder_weights(build_decoder("fpn", (8, 12, 16, 20), 5, **SMALL_DECODER["fpn"]), tmp_path / "a.ckpt")
