"""The project's networks, losses and training step in plain PyTorch, to measure against. Nothing in ``src`` imports it.

The graphs, and the names of modules and parameters, are those of ``src``, whose files say where each comes from. The
code is what a PyTorch user would write: standard operators, automatic gradients.
"""
