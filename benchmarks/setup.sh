#!/usr/bin/env bash
# Make benchmarks/.venv, the environment of the PyTorch twins. PYTHON=/path/to/python3.11 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")"
"${PYTHON:-python3.11}" -m venv .venv
pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check)
# PyTorch comes from its own index, whose Linux build is the one without CUDA.
"${pip[@]}" --no-deps --extra-index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' requirements.txt)"
"${pip[@]}" --requirement requirements.txt
.venv/bin/python -c 'import torch; print("PyTorch", torch.__version__, "in benchmarks/.venv")'
