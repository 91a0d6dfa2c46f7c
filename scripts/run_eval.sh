#!/usr/bin/env bash
# Score a .ckpt or .mindir. Usage: bash scripts/run_eval.sh CONFIG CHECKPOINT [eval.py arguments]
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: bash scripts/run_eval.sh CONFIG CHECKPOINT [eval.py arguments]" >&2
    exit 2
fi
config=$1 checkpoint=$2
shift 2
source "$(dirname "$0")/python.sh"
set -x
python eval.py --config "$config" --checkpoint "$checkpoint" "$@"
