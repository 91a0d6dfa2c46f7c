# Sourced by the other scripts: makes .venv once, installs what it is asked for, and activates it.
# Usage: source scripts/environment.sh REQUIREMENTS_FILE...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local candidate candidates=(python3.11 python3.10 python3)
    if [ -n "${PYTHON:-}" ]; then
        candidates=("$PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.10 or 3.11 (looked for: ${candidates[*]}); install it or name it:" \
        "PYTHON=/path/to/python3.11 bash $0" >&2
    return 2
}

install() {
    local stamp=".venv/.installed-$(cat "$@" | sha256sum | cut -c1-16)"
    if [ ! -x .venv/bin/python ]; then
        local python
        python=$(find_python) || exit 2
        echo "making .venv with $python"
        "$python" -m venv .venv
    fi
    if [ ! -e "$stamp" ]; then
        echo "installing $* into .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "${@/#/--requirement=}"
        touch "$stamp"
    fi
}

: "${1:?usage: source scripts/environment.sh REQUIREMENTS_FILE...}"
install "$@"
export PATH="$PWD/.venv/bin:$PATH"
