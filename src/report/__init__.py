"""Pictures and charts of inputs and results: class maps, contact sheets, curves, matrices.

They are drawn from arrays and know nothing of networks; training, inference, explain and the tools import them.
"""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # no screen is needed; a notebook has set its own
