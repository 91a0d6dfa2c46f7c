"""Which operators of a graph a target lacks: `graph` reads them, `declarations` knows what a target has.

A tool; nothing imports it but its tests. The tables of kernels are written by tests/golden/make_kernel_names.py.
"""
