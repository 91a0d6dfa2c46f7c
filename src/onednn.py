"""The instruction set of oneDNN, the library behind MindSpore's convolutions on a CPU.

On processors with AVX-512 the version that MindSpore bundles (3.10.1) picks reference kernels: a 3x3 convolution takes
over a hundred times as long. Limiting it to AVX2 cures that. oneDNN reads the limit from the environment when its first
operator runs, and keeps it.
"""

import ctypes
import os
import sys
import warnings
from pathlib import Path

VARIABLE = "ONEDNN_MAX_CPU_ISA"
_AVX512 = 0x20  # bit of dnnl_cpu_isa_t that all AVX-512 sets have


def limit_instruction_set() -> None:
    """Limit oneDNN to AVX2 unless the user has set a limit; warn if MindSpore has run an operator without one."""
    if VARIABLE in os.environ:
        return
    os.environ[VARIABLE] = "AVX2"
    if "mindspore" in sys.modules and _uses_avx512():
        warnings.warn(
            "MindSpore ran an operator before src was imported, so oneDNN keeps its slow AVX-512 kernels: convolutions "
            f"take over a hundred times as long. Restart Python and import src first, or set {VARIABLE}=AVX2",
            RuntimeWarning,
            stacklevel=3,
        )


def _uses_avx512() -> bool:
    """Whether the oneDNN in this process computes with AVX-512; False where none is loaded."""
    for library in Path(sys.modules["mindspore"].__path__[0]).glob("lib/libdnnl.so*"):
        try:
            onednn = ctypes.CDLL(str(library), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
            return bool(onednn.dnnl_get_effective_cpu_isa() & _AVX512)
        except (OSError, AttributeError):  # not loaded yet, or built without the function
            continue
    return False
