"""Class-centric semantic segmentation for MindSpore: ECENet, CPT and C-S Net.

Importing any part of the package first sets two environment variables, because MindSpore and its libraries read them
only once. A value that the user has set is kept. Import it before MindSpore runs anything.
"""

import logging
import os
import sys

from src.onednn import limit_instruction_set

limit_instruction_set()
_chosen = "GLOG_v" in os.environ
os.environ.setdefault("GLOG_v", "4")  # MindSpore's log speaks to its own developers; its exceptions say the same
if not _chosen and "mindspore" in sys.modules:  # it has read the variable already; its logger still obeys
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").setLevel(logging.CRITICAL)
