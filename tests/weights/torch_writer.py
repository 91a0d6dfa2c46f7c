"""Write files like torch.save does, without PyTorch, for the tests; also files that it would never write.

The pickles name PyTorch's classes; for the time of pickling, modules of these names stand in for it.
"""

import io
import pickle
import struct
import sys
import types
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from src.weights.torch_file import LEGACY_MAGIC

STORAGE_OF = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}


class Raw:
    """A storage: its key, elements as a flat array, and the name of its class."""

    def __init__(self, key, elements, kind=None):
        self.key, self.elements, self.kind = key, elements, kind or STORAGE_OF[elements.dtype.name]
        self.view = None


class Window:
    """A tensor over a storage; pickled as a call of torch._utils._rebuild_tensor_v2."""

    def __init__(self, raw, shape, stride=None, offset=0):
        self.raw, self.shape, self.offset = raw, shape, offset
        self.stride = stride if stride is not None else contiguous(shape)


def contiguous(shape):
    """Strides of a contiguous tensor, in elements."""
    return tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))


def windows(arrays, first=0):
    """One storage and one tensor per array; the storages are numbered from ``first``."""
    return {
        name: Window(Raw(str(first + i), np.ascontiguousarray(array).reshape(-1)), array.shape)
        for i, (name, array) in enumerate(arrays.items())
    }


class Call:
    """Pickled as a call of ``module.name`` with ``arguments``, whatever that is."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


@contextmanager
def _pretend(names):
    """Let pickle find ``module.name`` of modules that are not installed while it writes."""
    made = {module: types.ModuleType(module) for module, _ in names if module not in sys.modules}
    for module, name in names:
        if module in made:
            setattr(made[module], name, _global(module, name))
    sys.modules.update(made)
    try:
        yield
    finally:
        for module in made:
            del sys.modules[module]


def _global(module, name):
    function = types.FunctionType((lambda *arguments: None).__code__, {}, name)
    function.__module__, function.__qualname__ = module, name
    return function


class _Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.legacy, self.raws = legacy, {}

    def persistent_id(self, item):
        if not isinstance(item, Raw):
            return None
        self.raws[item.key] = item
        kind = getattr(sys.modules["torch"], item.kind)
        key = ("storage", kind, item.key, "cpu", item.elements.size)
        return (*key, item.view) if self.legacy else key

    def reducer_override(self, item):
        if isinstance(item, Window):
            rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
            return rebuild, (item.raw, item.offset, tuple(item.shape), tuple(item.stride), False, {})
        if isinstance(item, Call):
            return getattr(sys.modules[item.module], item.name), item.arguments
        return NotImplemented


def _pickled(tree, legacy, calls):
    names = [("torch", kind) for kind in (*STORAGE_OF.values(), "BFloat16Storage", "QInt8Storage")]
    names += [("torch._utils", "_rebuild_tensor_v2"), *calls]
    file = io.BytesIO()
    with _pretend(names):
        pickler = _Pickler(file, legacy)
        pickler.dump(tree)
    return file.getvalue(), pickler.raws


def write_zip(path: Path, tree, calls=(), compression=zipfile.ZIP_STORED, pickled=None, cut=0):
    """Write the zip format; ``pickled`` replaces the pickle, ``cut`` bytes are left off every storage."""
    data, raws = _pickled(tree, False, calls)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled or data)
        archive.writestr("archive/byteorder", "little")
        for raw in raws.values():
            content = raw.elements.tobytes()
            archive.writestr(f"archive/data/{raw.key}", content[: len(content) - cut])
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path: Path, tree, calls=(), sizes=None):
    """Write the stream format; ``sizes`` replaces the number of elements before each storage."""
    data, raws = _pickled(tree, True, calls)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with path.open("wb") as file:
        for item in (LEGACY_MAGIC, 1001, system):
            pickle.dump(item, file, protocol=2)
        file.write(data)
        pickle.dump(sorted(raws), file, protocol=2)
        for key in sorted(raws):
            elements = raws[key].elements
            file.write(struct.pack("<q", elements.size if sizes is None else sizes))
            file.write(elements.tobytes())
    return path
