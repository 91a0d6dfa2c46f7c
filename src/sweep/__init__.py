"""Sweeps: variants of an experiment times seeds, run one after the other and compared in one table.

Only ``src.tools.sweep`` imports this room. It starts trainings as commands, so it needs no MindSpore itself.
"""
