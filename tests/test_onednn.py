"""Whatever is imported first, nobody gets oneDNN's slow kernels without being told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPERATOR = "mindspore.ops.conv2d(mindspore.ops.ones((1, 8, 9, 9)), mindspore.ops.ones((8, 8, 3, 3))).asnumpy()"
AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else False


def run(*lines, **environment):
    """Run ``lines`` in a fresh Python; return what it writes to standard error."""
    kept = {key: value for key, value in os.environ.items() if key != "ONEDNN_MAX_CPU_ISA"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**kept, **environment}, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    return done.stderr


@pytest.mark.skipif(not AVX512, reason="this processor has no AVX-512")
def test_operator_before_the_package_is_warned_about():
    warning = run("import mindspore", OPERATOR, "import src")
    assert "RuntimeWarning: MindSpore ran an operator before src was imported" in warning
    assert "import src first" in warning


@pytest.mark.parametrize(
    ("lines", "environment"),
    [
        (("import mindspore", "import src", OPERATOR), {}),
        (("import src", "import mindspore", OPERATOR), {}),
        (("import mindspore", OPERATOR, "import src"), {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    ],
    ids=["mindspore imported but not used", "src first", "the user's own limit"],
)
def test_early_enough_is_quiet_and_limited(lines, environment):
    limited = (
        "import src.onednn; assert not src.onednn._uses_avx512(); assert src.onednn.VARIABLE in src.onednn.os.environ"
    )
    assert "RuntimeWarning" not in run(*lines, limited, **environment)
