"""Data: raw folders -> MindRecord (labels are mapped and checked once) -> transforms -> batches."""
