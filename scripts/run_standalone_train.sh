#!/usr/bin/env bash
# Train on one device. Usage: bash scripts/run_standalone_train.sh CONFIG [train.py arguments]
set -euo pipefail
if [ $# -lt 1 ]; then
    echo "usage: bash scripts/run_standalone_train.sh CONFIG [train.py arguments]" >&2
    exit 2
fi
config=$1
shift
exec bash "$(dirname "$0")/run_distribute_train.sh" "$config" 1 "$@"
