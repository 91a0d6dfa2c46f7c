#!/usr/bin/env bash
# Lint, check types and test in the same environment as the quickstart, test files in two processes. Arguments go to
# pytest, for example: -m slow -n 0 (the slow ones need the memory for themselves)
source "$(dirname "$0")/environment.sh" requirements.txt requirements-test.txt requirements-explore.txt
ruff check .
ruff format --check .
mypy
python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
