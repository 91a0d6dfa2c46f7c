"""From MindSpore's MINDIR to ONNX.

MindSpore's own ONNX exporter knows too few operators for these networks. A MINDIR holds the compiled graph with all
shapes, so this package reads it (``mindir``), writes one or a few ONNX nodes for each of its operators (``operators``),
removes what is left over (``simplify``) and, where asked, frees the batch size (``batch``).
"""
