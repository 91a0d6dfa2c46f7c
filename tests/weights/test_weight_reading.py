"""Every format leads to the same tensors; every wrong file to a short message."""

import json
import struct

import mindspore as ms
import numpy as np
import pytest
import safetensors.numpy

from src.checkpoint import write_checkpoint
from src.errors import UserError
from src.weights.reading import read_tensors
from tests.weights.torch_writer import windows, write_legacy, write_zip

ARRAYS = {
    "conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "bn.bias": np.linspace(-1, 1, 3, dtype=np.float32),
}


def _safetensors(path):
    safetensors.numpy.save_file(ARRAYS, path)


def _npz(path):
    np.savez(path.open("wb"), **ARRAYS)


def _mindspore(path):
    ms.save_checkpoint([{"name": n, "data": ms.Tensor(v)} for n, v in ARRAYS.items()], str(path))


FORMATS = {
    "zip.pth": lambda path: write_zip(path, windows(ARRAYS)),
    "legacy.pth": lambda path: write_legacy(path, windows(ARRAYS)),
    "zip.bin": lambda path: write_zip(path, {"model": windows(ARRAYS)}),
    "x.safetensors": _safetensors,
    "x.npz": _npz,
    "x.ckpt": _mindspore,
    "own.ckpt": lambda path: write_checkpoint(path, ARRAYS, {"source": "timm"}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(tmp_path, name):
    FORMATS[name](tmp_path / name)
    found = read_tensors(tmp_path / name)
    assert found.keys() == ARRAYS.keys()
    for key, values in ARRAYS.items():
        np.testing.assert_array_equal(found[key], values)


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith(".ckpt")])
def test_contents_decide_not_the_suffix(tmp_path, name):
    FORMATS[name](tmp_path / name)
    renamed = (tmp_path / name).rename(tmp_path / "weights")
    assert read_tensors(renamed).keys() == ARRAYS.keys()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "optimizer": windows({"m": np.ones(2, np.float32)}, first=9), "epoch": 3},
        lambda state: {"model": state, "model_size": 3},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"module": state},
        lambda state: {"net": state},
        lambda state: {"params": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {**state, "note": "text"},
    ],
)
def test_containers_are_unwrapped(tmp_path, wrap):
    write_zip(tmp_path / "x.pth", wrap(windows(ARRAYS)))
    assert read_tensors(tmp_path / "x.pth").keys() == ARRAYS.keys()


def test_average_of_the_weights_is_preferred(tmp_path):
    better = windows({"w": np.ones(2, np.float32)}, first=9)
    write_zip(tmp_path / "x.pth", {"state_dict": windows(ARRAYS), "state_dict_ema": better})
    assert list(read_tensors(tmp_path / "x.pth")) == ["w"]


def test_sixteen_bit_floats_of_safetensors(tmp_path):
    values = np.array([1.5, -2.0, 0.25], np.float32)
    data = {"half": ("F16", values.astype("<f2").tobytes())}
    data["brain"] = ("BF16", (values.view(np.uint32) >> 16).astype("<u2").tobytes())
    header = {
        n: {"dtype": t, "shape": [3], "data_offsets": [6 * i, 6 * i + 6]} for i, (n, (t, _)) in enumerate(data.items())
    }
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + b"".join(part for _, part in data.values())
    (tmp_path / "x.safetensors").write_bytes(content)
    for found in read_tensors(tmp_path / "x.safetensors").values():
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values)


def _pickled_npz(path):
    np.savez(path.open("wb"), w=np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize(
    "name, make, message",
    [
        ("x.pth", lambda path: None, "not found"),
        ("x.pth", lambda path: path.mkdir(), "folder"),
        ("x.pth", lambda path: path.touch(), r"empty \(0 bytes\)"),
        ("x.pth", lambda path: path.write_text("<!DOCTYPE html><html>"), "web page"),
        ("x.pth", lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        ("x.pth", lambda path: path.write_bytes(b"\x1f\x8b" + bytes(30)), "gzip"),
        ("x.pth", lambda path: path.write_bytes(bytes(257) + b"ustar" + bytes(300)), "tar archive"),
        ("x.pth", lambda path: path.write_text("weights"), "no file of torch.save"),
        ("x.h5", lambda path: path.write_bytes(b"\x89HDF\r\n"), "Keras"),
        ("x.ckpt", lambda path: path.write_text("weights"), "not a readable MindSpore checkpoint"),
        ("x.pth", lambda path: write_zip(path, {"note": 1}), "no tensors found"),
        ("x.pth", lambda path: write_zip(path, [1, 2]), "no tensors found"),
        ("x.npz", _pickled_npz, "pickled Python objects"),
        ("x.npz", lambda path: (_npz(path), path.write_bytes(path.read_bytes()[:-30])), "truncated"),
        ("x.safetensors", lambda path: (_safetensors(path), path.write_bytes(path.read_bytes()[:-3])), "truncated"),
    ],
)
def test_wrong_files(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(UserError, match=message):
        read_tensors(tmp_path / name)
