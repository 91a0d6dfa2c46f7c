"""Running a trained network: runners of checkpoints and exported files, evaluation protocols, scores, export.

Training (for its evaluations) and the tools import it; it knows no method by name.
"""
