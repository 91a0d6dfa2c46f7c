#!/usr/bin/env bash
# Segment images without labels. Usage: bash scripts/run_infer.sh CONFIG CHECKPOINT INPUT OUTPUT [predict arguments]
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: bash scripts/run_infer.sh CONFIG CHECKPOINT INPUT OUTPUT [predict arguments]" >&2
    exit 2
fi
config=$1 checkpoint=$2 input=$3 output=$4
shift 4
source "$(dirname "$0")/python.sh"
set -x
python -m src.tools.predict --config "$config" --checkpoint "$checkpoint" --input "$input" --output "$output" "$@"
