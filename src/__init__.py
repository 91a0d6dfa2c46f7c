"""Class-centric semantic segmentation for MindSpore: ECENet, CPT and C-S Net.

Importing any part of the package first sets two environment variables, because MindSpore and its libraries read them
only once. A value that the user has set is kept. Import it before MindSpore runs anything.
"""

import os

from src.onednn import limit_instruction_set

limit_instruction_set()
os.environ.setdefault("GLOG_v", "4")  # MindSpore's log speaks to its own developers; its exceptions say the same
