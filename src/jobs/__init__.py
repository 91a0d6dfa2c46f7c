"""Whole jobs from a config: a training, an evaluation, and a trial of a training that leaves nothing behind.

``train.py`` and ``src.api`` call them; they build the rooms' pieces and know no method by name.
"""
