"""``python -m src.tools.benchmark``: measurements, one kind a file, behind one command line.

Nothing but tests imports it.
"""
