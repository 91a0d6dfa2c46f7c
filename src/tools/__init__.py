"""Command-line tools: ``python -m src.tools.NAME --help``."""
