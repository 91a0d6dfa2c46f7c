"""What MindSpore declares for each target: kernels, and the platforms in docstrings.

CPU and GPU: the kernels that the plug-in registers when it is loaded, and the operators it replaces by others, in
`kernels_cpu.txt` and `kernels_gpu.txt` (MindSpore `TABLES_OF`, wheel for x86-64). Ascend: files of the installed wheel,
which has no list of kernels: the operators that the graph engine is given, in its headers; the classes of aclnn kernels
in the plug-in; the registrations of AI CPU kernels, which are slow. An operator is taken to have the same name in all.
"""

import re
from functools import cache
from pathlib import Path

import mindspore as ms
from mindspore.ops import auto_generate, operations
from mindspore.ops.operations import _grad_ops, _inner_ops

from src.errors import UserError

TARGETS = ("Ascend", "GPU", "CPU")
TABLES_OF = "2.10.0"
AI_CPU = "AI CPU kernel"
# Neither CPU nor GPU registers a kernel for them: MindSpore computes them with others, which was seen on a CPU.
COMPOSED = {"SoftmaxBackward", "SplitWithSize"}
OWN = "Custom"  # a kernel that somebody compiled for one machine

_WHEEL = Path(ms.__path__[0])
_ADAPTERS = "include/mindspore/ccsrc/plugin/ascend/res_manager/op_adapter"
# The name of the class mindspore::kernel::[namespace::]OPERATORAscend, as compilers write it into a library.
_ACLNN_CLASS = rb"N9mindspore6kernel(?:\d+[a-z_0-9]+)?\d+([A-Z]\w*?)AscendE\0"
_AI_CPU = "ops/_op_impl/aicpu"
_MODULES = (operations, auto_generate, _grad_ops, _inner_ops)


@cache
def kernels(target: str) -> dict[str, str]:
    """Operator -> where the target's kernel is declared.

    Raises:
        UserError: the installed MindSpore lacks the files that declare the kernels for Ascend.
    """
    if target != "Ascend":
        table = Path(__file__).with_name(f"kernels_{target.lower()}.txt")
        registered = dict.fromkeys(table.read_text(encoding="utf-8").split(), f"kernels of the {target} plug-in")
        return {**dict.fromkeys(COMPOSED, "composed of others"), **registered}
    adapters = _names(_ADAPTERS, "**/*.h", rb'const char k\w+\[\] = "(\w+)"|DECLARE_OP_ADAPTER\((\w+)\)')
    aclnn = _names("lib/plugin", "libmindspore_ops_ascend.so", _ACLNN_CLASS)
    ai_cpu = _names(_AI_CPU, "*.py", rb'AiCPURegOp\("(\w+)"\)')
    return {
        **dict.fromkeys(ai_cpu, AI_CPU),
        **dict.fromkeys(adapters - {OWN}, "operator of the graph engine"),
        **dict.fromkeys(aclnn, "aclnn kernel"),
    }


def documented(name: str) -> set[str]:
    """The targets under "Supported Platforms" in the docstring of a primitive; empty without one."""
    for module in _MODULES if name != OWN else ():
        platforms = re.search(r"Supported Platforms:\s*(.+)", getattr(module, name, None).__doc__ or "")
        if platforms:
            return set(re.findall(r"``(\w+)``", platforms[1]))
    return set()


def _names(folder: str, pattern: str, expression: bytes) -> set[str]:
    """What the expression's groups match in the files of a folder of the wheel."""
    found = {
        group.decode()
        for file in (_WHEEL / folder).glob(pattern)
        for match in re.finditer(expression, file.read_bytes())
        for group in match.groups()
        if group
    }
    if not found:
        raise UserError(
            f"{_WHEEL / folder}: declares no operators; the declarations for Ascend are read from the wheel of "
            f"MindSpore {TABLES_OF}, this is {ms.__version__}"
        )
    return found
