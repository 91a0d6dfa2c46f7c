"""Read the tensors of a PyTorch file without PyTorch and without running anything in it.

A file of ``torch.save`` is a pickle plus raw storages, in a zip archive (PyTorch 1.6 and later) or one after the
other in a stream (before). A pickle names functions that the reader calls, so loading one can run any program. Here
the pickle may name only what rebuilds a tensor, and even those names lead to stand-ins of our own. Every other name is
refused.

The stand-ins carry no state and no instance dictionary, so that the pickle cannot change them; objects that the
pickle may hold beside the tensors (numbers of NumPy, devices) become empty placeholders.
"""

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from src.errors import UserError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_PREFIX = b"PK\x03\x04"
LEGACY_PREFIX = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")
_LEGACY_PROTOCOL = 1001
_LARGEST = 2**31  # of one dimension

# Storage class: type of its elements in the file. Half and bfloat16 are widened to float32 when read.
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}

# Names of things other than tensors that common checkpoints hold in their notes.
_PLACEHOLDERS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
    ("torch", "device"),
    ("torch", "Size"),
    ("__builtin__", "set"),
    ("builtins", "set"),
}


class Storage(NamedTuple):
    """Raw elements in the file, not read yet."""

    key: str
    dtype: str  # a value of STORAGES
    size: int  # elements


class LazyTensor(NamedTuple):
    """A strided window into a storage, in elements; read by the function that `open_torch` returns."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Forbidden(Exception):
    """The pickle names something that does not rebuild tensors."""


class _Malformed(Exception):
    """The file contradicts itself; the text says how."""


class _State(dict):
    """Stands for OrderedDict; drops the attributes that PyTorch attaches to it."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


class _Placeholder:
    """Stands for a value that is not a tensor; keeps nothing."""

    __slots__ = ()

    def __call__(self, *args):
        return _Placeholder()

    def __setstate__(self, state):
        pass


class _NewState:
    __slots__ = ()

    def __call__(self, *args):
        return _State(*args)


class _RebuildTensor:
    """``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`` and v1."""

    __slots__ = ()

    def __call__(self, storage, offset, shape, stride, *rest):
        return _checked(storage, offset, shape, stride)


class _RebuildParameter:
    """``torch._utils._rebuild_parameter(tensor, requires_grad, hooks)`` and its variant with a state."""

    __slots__ = ()

    def __call__(self, tensor, *rest):
        return tensor


class _StorageType:
    """Stands for ``torch.FloatStorage`` and the like."""

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str):
        object.__setattr__(self, "name", name)

    def __setattr__(self, name, value):
        raise AttributeError(name)


_GLOBALS = {
    ("collections", "OrderedDict"): _NewState(),
    ("torch._utils", "_rebuild_tensor"): _RebuildTensor(),
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
    ("torch._utils", "_rebuild_parameter_with_state"): _RebuildParameter(),
    **{("torch", name): _StorageType(name) for name in STORAGES},
    **{name: _Placeholder() for name in _PLACEHOLDERS},
}


def _checked(storage: Any, offset: Any, shape: Any, stride: Any) -> LazyTensor:
    """Make a tensor whose window lies inside its storage, or raise."""
    numbers = [offset, *shape, *stride]
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if not isinstance(storage, Storage) or not whole or len(shape) != len(stride):
        raise _Malformed("a tensor's description is not valid")
    count = math.prod(shape)
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    # A window larger than its storage repeats elements; from a few bytes it could fill the memory.
    if max(shape, default=0) > _LARGEST or (count and (last >= storage.size or count > storage.size)):
        raise _Malformed(f"a tensor of shape {tuple(shape)} does not fit its storage of {storage.size} elements")
    stride = tuple(step if size > 1 else 0 for size, step in zip(shape, stride, strict=True))
    return LazyTensor(storage, offset, tuple(shape), stride)


class _TensorUnpickler(pickle.Unpickler):
    """Knows `_GLOBALS` and nothing else."""

    def __init__(self, file: BinaryIO):
        # Files written under Python 2 hold byte strings; PyTorch reads them as UTF-8 too.
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, Storage] = {}
        self.views: dict[str, tuple[str, int]] = {}  # storage that is part of another: (its key, first element)

    def find_class(self, module, name):
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise _Forbidden(f"{module}.{name}") from None

    def persistent_load(self, pid):
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise _Forbidden(f"persistent object '{pid[0] if isinstance(pid, tuple) and pid else pid}'")
        _, kind, key, _, size = pid[:5]
        if not isinstance(kind, _StorageType) or not isinstance(key, str) or type(size) is not int or size < 0:
            raise _Malformed("a storage's description is not valid")
        view = pid[5] if len(pid) == 6 else None
        root = Storage(key, STORAGES[kind.name], size)
        if self.storages.setdefault(key, root) != root:
            raise _Malformed(f"storage {key} is described in two ways")
        if view is None:
            return root
        view_key, first, view_size = view
        if not isinstance(view_key, str) or type(first) is not int or type(view_size) is not int:
            raise _Malformed("a storage's description is not valid")
        if not 0 <= first <= first + view_size <= size:
            raise _Malformed(f"storage {view_key} lies outside storage {key}")
        self.views[view_key] = (key, first)
        return Storage(view_key, root.dtype, view_size)


def _unpickle(file: BinaryIO) -> tuple[Any, _TensorUnpickler]:
    """Read one pickle and leave the file behind it."""
    start = file.tell()
    # The unpickler makes room for a memo of any number that the pickle names; honest ones are counted up from 0.
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument is not None and argument > count:
            raise _Malformed(f"the pickle gives its step {count} the number {argument}")
    file.seek(start)
    unpickler = _TensorUnpickler(file)
    return unpickler.load(), unpickler


def open_torch(path: Path) -> tuple[Any, Callable[[LazyTensor], np.ndarray]]:
    """Read the pickle of a PyTorch file, the tensors in it unread.

    Returns:
        The pickled object (dictionaries, lists, numbers, texts, `LazyTensor`, placeholders) and the function that
        reads one tensor as an array: half and bfloat16 as float32, the others in their own type. Arrays of one
        storage share memory and are read-only.

    Raises:
        UserError: the file is truncated, damaged, in an unsupported format, or names anything but tensors. The
            returned function raises it for a damaged storage.
    """
    try:
        with path.open("rb") as file:
            is_archive = file.read(len(ZIP_PREFIX)) == ZIP_PREFIX
        tree, read_storage = _open_zip(path) if is_archive else _open_legacy(path)
    except _Forbidden as error:
        raise UserError(
            f"{path}: holds '{error}', which is not a tensor and is not loaded for safety. If you trust the file, save "
            "its weights alone where PyTorch is installed: "
            "c = torch.load(FILE, weights_only=False); torch.save(c.get('state_dict', c), NEW)"
            " (for a whole pickled model: c.state_dict())"
        ) from None
    except _Malformed as error:
        raise UserError(f"{path}: {error}: the file is damaged; fetch it again") from None
    except Exception as error:  # a broken pickle raises whatever its bytes lead to
        raise _damaged(path, error) from None

    cache: dict[Storage, np.ndarray] = {}

    def read(tensor: LazyTensor) -> np.ndarray:
        storage = tensor.storage
        try:
            if storage not in cache:
                cache[storage] = read_storage(storage)
        except Exception as error:  # so does a broken archive
            raise _damaged(path, error) from None
        flat = cache[storage][tensor.offset :]
        if math.prod(tensor.shape) == 0:
            return np.zeros(tensor.shape, flat.dtype)
        strides = [step * flat.itemsize for step in tensor.stride]
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)

    return tree, read


# ----------------------------------------------------------------------------------------------- zip format
def _open_zip(path: Path) -> tuple[Any, Callable[[Storage], np.ndarray]]:
    archive = zipfile.ZipFile(path)
    entries = {info.filename: info for info in archive.infolist()}
    names = [name for name in entries if name.rpartition("/")[2] == "data.pkl" and name.count("/") <= 1]
    if not names:
        raise _Malformed("a zip archive without data.pkl, so not written by torch.save")
    prefix = names[0].removesuffix("data.pkl")
    if prefix + "constants.pkl" in entries:
        raise _Forbidden("a TorchScript program")
    # torch.save never compresses. Without compression an archive cannot unfold to more than its own size.
    if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
        raise _Malformed("a compressed archive, so not written by torch.save")
    if sum(info.file_size for info in entries.values()) > path.stat().st_size:
        raise _Malformed("the archive's records are larger than the file")
    if prefix + "byteorder" in entries and archive.read(prefix + "byteorder").strip() != b"little":
        raise _Malformed("written on a big-endian machine")
    tree, unpickler = _unpickle(io.BytesIO(archive.read(names[0])))
    for storage in unpickler.storages.values():
        record = entries.get(f"{prefix}data/{storage.key}")
        if record is None:
            raise _Malformed(f"storage {storage.key} is missing")
        if record.file_size != _bytes(storage):
            raise _Malformed(f"storage {storage.key} has {record.file_size} bytes, expected {_bytes(storage)}")

    def read_storage(storage: Storage) -> np.ndarray:
        return _elements(archive.read(f"{prefix}data/{storage.key}"), storage)

    return tree, read_storage


# -------------------------------------------------------------------------------------------- legacy format
def _open_legacy(path: Path) -> tuple[Any, Callable[[Storage], np.ndarray]]:
    """Magic number, protocol, system, object and list of keys as pickles; then per key its size and elements."""
    end = path.stat().st_size
    places: dict[str, int] = {}
    with path.open("rb") as file:
        magic, protocol, system = (_unpickle(file)[0] for _ in range(3))
        if magic != LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
            raise _Malformed("not a file of torch.save")
        if not isinstance(system, dict) or not system.get("little_endian", True):
            raise _Malformed("written on a big-endian machine")
        tree, unpickler = _unpickle(file)
        for key in _unpickle(file)[0]:
            storage = unpickler.storages.get(key)
            if storage is None:
                raise _Malformed(f"storage {key} is not described")
            (size,) = struct.unpack("<q", file.read(8))
            if size != storage.size:
                raise _Malformed(f"storage {key} has {size} elements, expected {storage.size}")
            places[key] = file.tell()
            if places[key] + _bytes(storage) > end:
                raise _Malformed(f"ends inside storage {key} ({end} bytes)")
            file.seek(places[key] + _bytes(storage))

    def read_storage(storage: Storage) -> np.ndarray:
        key, first = unpickler.views.get(storage.key, (storage.key, 0))
        with path.open("rb") as file:
            file.seek(places[key] + first * _itemsize(storage))
            return _elements(file.read(_bytes(storage)), storage)

    if missing := unpickler.storages.keys() - places.keys():
        raise _Malformed(f"storage {min(missing)} is missing")
    return tree, read_storage


# ------------------------------------------------------------------------------------------------- elements
def _itemsize(storage: Storage) -> int:
    return 2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize


def _bytes(storage: Storage) -> int:
    return storage.size * _itemsize(storage)


def _elements(data: bytes, storage: Storage) -> np.ndarray:
    if len(data) != _bytes(storage):
        raise _Malformed(f"storage {storage.key} has {len(data)} bytes, expected {_bytes(storage)}")
    return widen(data, storage.dtype)


def widen(data: bytes, dtype: str) -> np.ndarray:
    """Elements of ``dtype`` (a NumPy type or ``bfloat16``) as an array [n]; 16-bit floats as float32."""
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    values = np.frombuffer(data, dtype)
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()
    return UserError(
        f"{path}: not a readable PyTorch file, or truncated ({path.stat().st_size} bytes; "
        f"{reason[0] if reason else type(error).__name__}); fetch it again"
    )
