#!/usr/bin/env bash
# Train a config in several processes, on Ascend, GPU or CPU, through msrun.
# Usage: bash scripts/run_distribute_train.sh CONFIG NUM_WORKERS [launcher and train.py arguments]
# Several machines: the same command on each, with MASTER_ADDR, MASTER_PORT, NUM_NODES and NODE_RANK set; see
# docs/several_machines.md for these and for the launcher's --silence, --grace, --stall, --wait, --restarts, --backoff
# and --slow-network.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: bash scripts/run_distribute_train.sh CONFIG NUM_WORKERS [launcher and train.py arguments]" >&2
    exit 2
fi
config=$1 workers=$2
shift 2
source "$(dirname "$0")/python.sh"
exec python -m src.launch --workers "$workers" --config "$config" "$@"
