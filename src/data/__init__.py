"""Data: raw folders -> MindRecord (labels mapped and checked once) -> transforms -> batches."""
