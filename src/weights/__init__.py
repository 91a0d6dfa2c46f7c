"""Pretrained weights from other programs: their files, their parameter names, their normalization."""
