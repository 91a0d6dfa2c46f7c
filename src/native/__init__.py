"""Native kernels for the CPU: convolutions and what surrounds them, compiled on the machine that uses them.

`source` holds the kernels in C++. `build` compiles them once per machine, `library` loads them, `start` does both and
tests them, and the other files offer them as cells. Which layer uses them src/models/layers/backend.py alone decides.
"""
