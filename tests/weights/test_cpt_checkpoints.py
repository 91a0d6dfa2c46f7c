"""Checkpoints of CPT's public code: decoder alone and whole networks, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import load_checkpoint
from src.models.backbones import build_backbone
from src.models.decoders import build_decoder
from src.weights.heads import head_options
from src.weights.loading import load_decoder_weights, own_parameters
from src.weights.rules import find_origin
from src.weights.tables.cpt import CODE
from tests.commands import run_inside
from tests.weights.networks import random_tensors
from tests.weights.torch_writer import windows, write_zip

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "cpt.npz")
HEAD = {name[2:]: GOLDEN[name] for name in GOLDEN.files if name.startswith("w/")}


def run(monkeypatch, source, target, arch="head"):
    return run_inside(monkeypatch, "src.tools.convert_weights", "--source", "cpt", "--arch", arch, source, target)


def write_npz(path, prefix="", tensors=HEAD):
    np.savez(path, **{prefix + name: values for name, values in tensors.items()})


WRITERS = {
    "plain.npz": write_npz,
    "golden.npz": lambda path: np.savez(path, **{f"w/{n}": v for n, v in HEAD.items()}, **{"in/0": np.zeros(3)}),
    "prefixed.npz": lambda path: write_npz(path, "decode_head."),
    "head.pth": lambda path: write_zip(path, windows({f"decode_head.{name}": v for name, v in HEAD.items()})),
}


@pytest.mark.parametrize("name", WRITERS)
def test_head_of_every_format(name, tmp_path, monkeypatch, capsys):
    WRITERS[name](tmp_path / name)
    assert run(monkeypatch, tmp_path / name, tmp_path / "out.ckpt") == 0
    out = capsys.readouterr().out
    assert "missing 0, unused 0" in out
    assert "model.decoder needs: channels: 32, heads: 4, mlp_ratio: 4, pool_channels: 48\n" in out
    decoder = build_decoder("cpt", (16, 32, 64, 128), 11, channels=32)
    assert "loaded all" in load_decoder_weights(decoder, tmp_path / "out.ckpt")
    for i in range(3):
        memory = decoder.blocks[i].prototypes.memory.prototypes.asnumpy()
        np.testing.assert_array_equal(memory, HEAD[f"cft_blocks.{i}.cross_attn.kv.memory"][0])
    np.testing.assert_array_equal(decoder.pool.bn.moving_variance.asnumpy(), HEAD["img_pool.1.bn.running_var"])
    np.testing.assert_array_equal(decoder.classifier.weight.asnumpy(), HEAD["conv_seg.weight"])


def test_options_are_read_off_the_tensors():
    options = {"channels": 32, "heads": 4, "mlp_ratio": 4, "pool_channels": 48}
    assert head_options("cpt", HEAD, "file") == ([16, 32, 64, 128], 11, options)
    without = {name: values for name, values in HEAD.items() if not name.endswith("memory")}
    assert head_options("cpt", without, "file")[2] == {**options, "memory": "off"}


class _Everything:
    """Contains every name."""

    def __contains__(self, name):
        return True


def test_whole_network(tmp_path, monkeypatch, capsys):
    """Backbone and decoder under their names give a checkpoint that a network takes."""
    decoder = build_decoder("cpt", (96, 192, 384, 768), 7, channels=16)
    generator = np.random.default_rng(0)
    tensors = {f"backbone.{name}": values for name, values in random_tensors("mmseg/swin_tiny/7").items()}
    for name, parameter in own_parameters(decoder).items():
        (theirs,) = find_origin(CODE, name, _Everything()).names
        tensors[f"decode_head.{theirs}"] = generator.random(parameter.shape).astype(np.float32)
    write_zip(tmp_path / "whole.pth", {"state_dict": windows(tensors)})
    assert run(monkeypatch, tmp_path / "whole.pth", tmp_path / "out.ckpt", "swin_tiny") == 0
    assert "model.backbone needs: window: 7, shift_single_window: true" in capsys.readouterr().out
    expected = {f"decoder.{p.name}": tuple(p.shape) for p in decoder.get_parameters()}
    expected |= {f"backbone.{p.name}": tuple(p.shape) for p in build_backbone("swin_tiny").get_parameters()}
    found = load_checkpoint(tmp_path / "out.ckpt").tensors
    assert {name: values.shape for name, values in found.items()} == expected


def test_another_decoder(tmp_path, monkeypatch, capsys):
    write_npz(tmp_path / "other.npz", tensors={"conv_seg.weight": np.zeros((3, 4), np.float32)})
    assert run(monkeypatch, tmp_path / "other.npz", tmp_path / "out.ckpt") == 2
    assert "holds no decoder of CPT's public code; it lacks lateral_convs.0.weight" in capsys.readouterr().err


def test_part_of_a_head(tmp_path, monkeypatch, capsys):
    write_npz(tmp_path / "part.npz", tensors={n: v for n, v in HEAD.items() if "conv_seg" not in n})
    assert run(monkeypatch, tmp_path / "part.npz", tmp_path / "out.ckpt") == 2
    assert "lacks 2 parameters of the decoder; is it whole?\n  classifier.weight" in capsys.readouterr().err
    assert not (tmp_path / "out.ckpt").exists()
