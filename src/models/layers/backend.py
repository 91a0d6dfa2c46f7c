"""The one place that decides in which form a layer is computed.

A layer has up to three forms, equal up to rounding:

- ``standard``: MindSpore's operator. Ascend and GPU always use it.
- ``products``: made of standard operators too, mostly matrix products, and faster on the CPU. Exported graphs hold it.
- ``native``: a kernel of src/native, compiled on this machine: fp32, on the CPU, for shapes known when compiling.

The fastest form that can be used is used. The environment variable in `VARIABLE`, or `at_most`, sets a limit; with
``standard`` the operators of Ascend and GPU can be compared with the others. docs/performance.md has measurements.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
from mindspore import ops
from mindspore.ops import functional as F

from src.errors import UserError
from src.native import library

VARIABLE = "SEGMENTATION_LAYERS"
FORMS = ("standard", "products", "native")


def limit_from_environment() -> str:
    """The fastest form that the environment allows.

    Raises:
        UserError: the variable names no form.
    """
    form = os.environ.get(VARIABLE, FORMS[-1])
    if form not in FORMS:
        raise UserError(f"{VARIABLE}: {form} is not a form of layers; use one of {', '.join(FORMS)}")
    return form


_limit = limit_from_environment()


@contextmanager
def at_most(form: str) -> Iterator[None]:
    """Compile what is compiled meanwhile with no faster form than ``form``."""
    global _limit
    before, _limit = _limit, min(form, _limit, key=FORMS.index)
    try:
        yield
    finally:
        _limit = before


def is_static(x):
    """Whether the shape of ``x`` is known while the graph is compiled."""
    return not F.is_sequence_value_unknown(ops.shape(x))


@ms.constexpr
def products_are_faster():
    """Whether the form made of matrix products is to be used where there is no native one."""
    return ms.get_context("device_target") == "CPU" and _limit != "standard"


def products(x):
    """Whether the form made of matrix products is to be used on ``x``."""
    return is_static(x) and products_are_faster()


def has_native():
    """Whether a layer that is made now may be compiled with native kernels."""
    return library.loaded() and _limit == "native" and ms.get_context("device_target") == "CPU"


@ms.constexpr
def _native_now():
    return has_native()


def native(x):
    """Whether the native kernel is to be used on ``x``, in a layer that was made where `has_native` held."""
    return is_static(x) and x.dtype == ms.float32 and _native_now()
