"""Files of torch.save, read without PyTorch: what real ones hold, and what a hostile one tries."""

import builtins
import contextlib
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.weights.reading import read_tensors
from src.weights.torch_file import open_torch
from tests.weights.torch_writer import Call, Raw, Window, windows, write_legacy, write_zip

GOLDEN = Path(__file__).parents[1] / "golden" / "torch_files"
WRITERS = [write_zip, write_legacy]


def expected():
    """The tensors of tests/golden/make_torch_files.py."""
    base = np.arange(24, dtype=np.float32).reshape(4, 6) / 8 - 1
    whole = np.arange(60, dtype=np.float32)
    return {
        "float": base,
        "half": base,
        "bfloat16": base,
        "double": base.astype(np.float64) / 3,
        "long": np.arange(5) - 2,
        "int": np.arange(5, dtype=np.int32) * 7,
        "short": np.arange(5, dtype=np.int16) - 300,
        "char": np.arange(5, dtype=np.int8) - 100,
        "byte": np.arange(250, 255, dtype=np.uint8),
        "bool": np.arange(5) % 2 == 0,
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 3), np.float32),
        "transposed": base.T,
        "strided": whole.reshape(3, 4, 5)[1:, ::2, 1::3],
        "expanded": base[:1, :1],
        "parameter": base[:2] * 2,
        "shared.a": whole[10:20],
        "shared.b": whole[15:25].reshape(2, 5),
    }


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_files_that_pytorch_wrote(name):
    found = read_tensors(GOLDEN / name)
    wanted = expected()
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert found[key].dtype == values.dtype, key
        np.testing.assert_array_equal(found[key], values, err_msg=key)


def test_state_dictionary_with_attributes_and_notes_beside_it():
    found = read_tensors(GOLDEN / "batch_norm.pth")
    assert list(found) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    np.testing.assert_array_equal(found["running_var"], np.ones(3))


def test_whole_pickled_module_is_refused_by_name():
    with pytest.raises(UserError, match=r"torch\.nn\.modules\.batchnorm\.BatchNorm2d.*state_dict"):
        read_tensors(GOLDEN / "whole_module.pth")


@pytest.mark.parametrize("write", WRITERS)
def test_writer_of_the_tests_agrees_with_the_reader(tmp_path, write):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4) - 1}
    found = read_tensors(write(tmp_path / "x.pth", windows(arrays)))
    for key in arrays:
        np.testing.assert_array_equal(found[key], arrays[key])


def test_numbers_of_numpy_beside_the_tensors_are_harmless(tmp_path):
    notes = {"lr": np.float64(0.1), "array": np.arange(3), "classes": {"road", "sky"}}
    tree = {"meta": notes, "state_dict": windows({"w": np.ones(3, np.float32)})}
    assert list(read_tensors(write_zip(tmp_path / "x.pth", tree))) == ["w"]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "module, name, argument",
    [("os", "system", "touch {}"), ("builtins", "eval", "open('{}', 'w')"), ("builtins", "getattr", "{}")],
)
def test_hostile_pickle_is_refused_and_not_executed(tmp_path, write, module, name, argument):
    target = tmp_path / "executed"
    tree = {"state_dict": windows({"w": np.ones(3, np.float32)}), "x": Call(module, name, argument.format(target))}
    path = write(tmp_path / "x.pth", tree)
    with pytest.raises(UserError, match=rf"'(posix|nt|builtins|__builtin__|os)\.{name}'.*not loaded for safety"):
        read_tensors(path)
    assert not target.exists()


# Written by hand: a global by name on the stack, protocol 4, and by the opcode INST; an extension code; a global
# hidden in an attribute of an allowed one; a change of an allowed function by BUILD.
HOSTILE = {
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "inst": b"(S'true'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'true'\no.",
    "extension": b"\x80\x02\x82\x01.",
    "dotted": b"\x80\x04\x8c\x0ctorch._utils\x8c$_rebuild_tensor_v2.__globals__.system\x93.",
    "copyreg": b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
    "build on function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}U\x08__call__NsU\x04codeNs\x86b.",
    "build on storage type": b"\x80\x02ctorch\nFloatStorage\nN}U\x04nameU\x0dDoubleStorages\x86b.",
    "new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "persistent module": b"\x80\x02(U\x06moduleU\x03abctQ.",
}


def test_memo_of_absurd_size_is_refused(tmp_path):
    """Forty bytes that would have the unpickler fill 64 GiB with zeros."""
    path = write_zip(tmp_path / "x.pth", {}, pickled=b"\x80\x02}r\xff\xff\xff\xff.")
    with pytest.raises(UserError, match="step 2 the number 4294967295"):
        read_tensors(path)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_opcodes_are_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(os, "system", lambda *arguments: pytest.fail("executed"))
    with pytest.raises(UserError):
        read_tensors(write_zip(tmp_path / "x.pth", {}, pickled=HOSTILE[kind]))
    # The stand-ins are the same for the next file.
    assert read_tensors(GOLDEN / "zip.pth").keys() == expected().keys()


def test_only_stand_ins_are_ever_handed_to_the_pickle():
    from src.weights.torch_file import _GLOBALS

    for name, value in _GLOBALS.items():
        assert type(value).__module__ == "src.weights.torch_file", name
        assert not hasattr(value, "__dict__"), name
        with pytest.raises(AttributeError):
            value.name = "x"
    assert not any(value is function for value in _GLOBALS.values() for function in vars(builtins).values())


def test_unknown_storage_is_refused_by_name(tmp_path):
    raw = Raw("0", np.zeros(4, np.float32), "QInt8Storage")
    with pytest.raises(UserError, match=r"torch\.QInt8Storage"):
        read_tensors(write_zip(tmp_path / "x.pth", {"w": Window(raw, (4,))}))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "shape, stride, offset",
    [
        ((5,), (1,), 0),
        ((2, 2), (1, 3), 0),
        ((4,), (1,), 1),
        ((4,), (-1,), 3),
        ((2,), (1,), -1),
        ((10**12,), (0,), 0),
        ((4,), (1, 1), 0),
        ((2**70, 0), (1, 1), 0),
        ((2.0,), (1,), 0),
    ],
)
def test_window_outside_its_storage_is_refused(tmp_path, write, shape, stride, offset):
    raw = Raw("0", np.zeros(4, np.float32))
    with pytest.raises(UserError, match="damaged|truncated"):
        read_tensors(write(tmp_path / "x.pth", {"w": Window(raw, shape, stride, offset)}))


@pytest.mark.parametrize("write", WRITERS)
def test_storage_described_in_two_ways_is_refused(tmp_path, write):
    tree = {
        "a": Window(Raw("0", np.zeros(4, np.float32)), (4,)),
        "b": Window(Raw("0", np.zeros(4)), (4,)),
    }
    with pytest.raises(UserError, match="two ways"):
        read_tensors(write(tmp_path / "x.pth", tree))


def test_storage_of_another_size_than_its_record_is_refused(tmp_path):
    tree = windows({"w": np.ones(8, np.float32)})
    with pytest.raises(UserError, match="storage 0 has 31 bytes, expected 32"):
        read_tensors(write_zip(tmp_path / "x.pth", tree, cut=1))
    with pytest.raises(UserError, match="storage 0 has 1000000000000 elements, expected 8"):
        read_tensors(write_legacy(tmp_path / "y.pth", tree, sizes=10**12))


def test_compressed_archive_is_refused(tmp_path):
    tree = windows({"w": np.zeros(1 << 20, np.float32)})
    with pytest.raises(UserError, match="compressed"):
        read_tensors(write_zip(tmp_path / "x.pth", tree, compression=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_every_truncation_is_an_error_of_the_user(tmp_path, name):
    data = (GOLDEN / name).read_bytes()
    path = tmp_path / name
    for length in range(0, len(data), 61):
        path.write_bytes(data[:length])
        with pytest.raises(UserError):
            read_tensors(path)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_flipped_bytes_never_crash(tmp_path, name):
    data = (GOLDEN / name).read_bytes()
    path = tmp_path / name
    random = np.random.default_rng(0)
    for place in random.integers(0, len(data), 300):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << random.integers(8))]) + data[place + 1 :])
        with contextlib.suppress(UserError):
            read_tensors(path)


def test_flipped_byte_in_a_storage_of_an_archive_is_noticed(tmp_path):
    path = write_zip(tmp_path / "x.pth", windows({"w": np.full(64, 1.5, np.float32)}))
    data = bytearray(path.read_bytes())
    data[data.index(np.full(64, 1.5, np.float32).tobytes()) + 7] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="CRC"):
        read_tensors(path)


def test_legacy_views_of_a_storage(tmp_path):
    """PyTorch before 0.4 pickled parts of a storage as storages of their own."""
    raw = Raw("0", np.arange(10, dtype=np.float32))
    raw.view = ("1", 4, 3)
    found = read_tensors(write_legacy(tmp_path / "x.pth", {"w": Window(raw, (3,))}))
    np.testing.assert_array_equal(found["w"], [4, 5, 6])


def test_pickle_of_something_else(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"w": np.ones(3)}))
    with pytest.raises(UserError, match="torch.save"):
        read_tensors(path)


def test_storages_are_read_only_when_asked_for(tmp_path):
    tree = {"optimizer": windows({"m": np.ones(4, np.float32)}), "n": 3}
    parsed, read = open_torch(write_zip(tmp_path / "x.pth", tree))
    assert read(parsed["optimizer"]["m"]).flags.writeable is False
