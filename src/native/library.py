"""The loaded kernels."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from mindspore import ops

from src.native import build

_path: str | None = None  # of the kernels, once they are loaded


def load(folder: Path, threads: int) -> None:
    """Load the kernels in ``folder``, which stay loaded as long as the process lives.

    Args:
        threads: of a kernel, at least 1; only the first call counts.

    Raises:
        OSError: they are no library.
        build.BuildError: they do not suit MindSpore's oneDNN.
    """
    global _path
    kernels = folder / build.KERNELS
    if ctypes.CDLL(str(kernels)).initialize(str(folder / build.ONEDNN).encode(), threads):
        raise build.BuildError("MindSpore's oneDNN lacks a function that is needed")
    os.environ["MS_CUSTOM_AOT_WHITE_LIST"] = str(folder)  # else MindSpore warns about each kernel
    _path = str(kernels)


def withdraw() -> None:
    """Let no layer use the kernels any more."""
    global _path
    _path = None


def loaded() -> bool:
    """Whether the kernels can be used."""
    return _path is not None


def path() -> str | None:
    """File of the kernels, or None where they cannot be used."""
    return _path


def operator(name: str, shapes: Callable, types: Callable, key: tuple = ()) -> ops.Custom:
    """The kernel of this name as an operator of MindSpore.

    Args:
        shapes: shapes of the inputs -> shape of the output, or a tuple of shapes.
        types: types of the inputs -> type of the output, or a tuple of types.
        key: what ``shapes`` depends on beside the shapes of the inputs; MindSpore keeps its results by name, inputs and
            attributes.
    """
    custom = ops.Custom(f"{_path}:{name}", shapes, types, "aot")
    custom.add_prim_attr("key", str(key))
    return custom
