# Sourced by the run_*.sh scripts: goes to the project's folder and sees to it that `python` has MindSpore:
# the active environment if it has it (as on an Ascend or GPU machine), else the .venv that quickstart.sh makes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
has_mindspore() { "$1" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("mindspore") is None)' 2>/dev/null; }
if ! { command -v python >/dev/null && has_mindspore python; }; then
    if [ ! -x .venv/bin/python ]; then
        echo "error: no MindSpore in this environment and no .venv; run: bash scripts/quickstart.sh" >&2
        exit 2
    fi
    export PATH="$PWD/.venv/bin:$PATH"
fi
