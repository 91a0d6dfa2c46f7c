"""Class-centric semantic segmentation for MindSpore: ECENet, CPT and C-S Net.

Importing any part of the package first sets the two environment variables below, because MindSpore reads
them only once. A value that the user has set is kept.
"""

import os

# On processors with AVX-512 the bundled oneDNN 3.10.1 picks reference kernels: a 3x3 convolution takes over
# a hundred times as long. Limiting it to AVX2 cures that.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
os.environ.setdefault("GLOG_v", "4")  # MindSpore's log speaks to its own developers; its exceptions say the same
