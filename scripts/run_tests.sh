#!/usr/bin/env bash
# Lint and test in the same environment as the quickstart. Arguments go to pytest, for example: -m slow
source "$(dirname "$0")/environment.sh" requirements-test.txt
ruff check .
ruff format --check .
python -m pytest "$@"
