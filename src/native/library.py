"""Loading the native kernels and testing them on a small convolution."""

import ctypes
import logging
import os
from collections.abc import Callable
from functools import cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from src.native import build

log = logging.getLogger(__name__)

_path: str | None = None  # of the loaded kernels


def start(mode: str, threads: int) -> bool:
    """Load the kernels, compile them first if need be, and return whether they can be used.

    Without a compiler, or when something fails, one line says so and MindSpore's own operators are used.

    Args:
        mode: ``auto``, ``on`` or ``off``.
        threads: number of threads for a kernel, at least 1; only the first call counts.

    Raises:
        build.BuildError: the mode is ``on`` and the kernels cannot be used.
    """
    global _path
    if mode == "off" or _path is not None:
        return mode != "off"
    try:
        folder = build.ensure(log.info)
        path = folder / build.KERNELS
        if ctypes.CDLL(str(path)).initialize(str(folder / build.ONEDNN).encode(), threads):
            raise build.BuildError("MindSpore's oneDNN lacks a function that is needed")
        os.environ["MS_CUSTOM_AOT_WHITE_LIST"] = str(folder)  # else MindSpore warns about each kernel
        _path = str(path)
        _test()
    except (build.BuildError, OSError) as error:
        _path = None
        if mode == "on":
            raise build.BuildError(str(error)) from None
        log.warning("native kernels: not used, MindSpore's own operators are: %s", error)
    return _path is not None


def loaded() -> bool:
    """Whether the kernels can be used."""
    return _path is not None


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


@cache
def _test() -> None:
    """Compare a small convolution with MindSpore's own."""
    from src.native.convolution import Convolution

    random = np.random.default_rng(0)
    x = Tensor(random.standard_normal((1, 16, 24, 24)).astype(np.float32))
    weight = Tensor(random.standard_normal((16, 16, 3, 3)).astype(np.float32))
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        expected = ops.Conv2D(16, 3, pad_mode="pad", pad=1)(x, weight).asnumpy()
        found = Convolution((3, 3), 1, 1, 1, 1)(x, weight).asnumpy()
    except RuntimeError as error:
        raise build.BuildError(f"MindSpore cannot call them: {str(error).splitlines()[0]}") from None
    finally:
        ms.set_context(mode=mode)
    if not np.allclose(found, expected, atol=1e-3):
        raise build.BuildError("they compute a convolution wrongly")
