"""Getting the native kernels ready: compiled, loaded, and tested on a small convolution."""

import sys

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from src.native import build, library
from src.native.convolution import Convolution


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def start(mode: str, threads: int) -> None:
    """Make the kernels usable; compile them if this machine has not done so yet.

    Without a compiler, or when something fails, one line says so and MindSpore's own operators are used.

    Args:
        mode: ``auto``, ``on`` or ``off``.
        threads: of a kernel, at least 1.

    Raises:
        build.BuildError: the mode is ``on`` and the kernels cannot be used.
    """
    if mode == "off":
        library.withdraw()
        return
    if library.loaded():
        return
    try:
        library.load(build.ensure(_tell), threads)
        _compare_with_mindspore()
    except (build.BuildError, OSError) as error:
        library.withdraw()
        if mode == "on":
            raise build.BuildError(str(error)) from None
        _tell(f"native kernels: not used, MindSpore's own operators are: {error}")


def _compare_with_mindspore() -> None:
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
