"""Pretrained weights of other programs: reading their files, their parameter names, their normalization.

train.py and the tools import it; it knows the models' parameter names and nothing of training.
"""
