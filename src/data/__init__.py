"""Data: raw folders to MindRecord (labels mapped and checked once), then transforms and batches.

Training, the launcher and the tools import it; it knows nothing of networks.
"""
