"""Pretrained weights of other programs: reading their files, their parameter names, their normalization."""
