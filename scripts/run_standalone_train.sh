#!/usr/bin/env bash
# Train on one device. Usage: bash scripts/run_standalone_train.sh CONFIG [train.py arguments]
set -euo pipefail
if [ $# -lt 1 ]; then
    echo "usage: bash scripts/run_standalone_train.sh CONFIG [train.py arguments]" >&2
    exit 2
fi
source "$(dirname "$0")/python.sh"
set -x
python train.py --config "$@"
