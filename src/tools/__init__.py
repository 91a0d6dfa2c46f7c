"""Command-line tools: ``python -m src.tools.NAME --help``.

A tool may import everything; nothing imports a tool.
"""
