"""Jobs of several workers: ``python -m src.launch`` starts MindSpore's msrun and watches it.

Nothing imports it: it starts train.py in processes of their own and never MindSpore in its own.
"""
