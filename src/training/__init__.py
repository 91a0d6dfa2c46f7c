"""The training loop and all it needs: step, optimizer, schedule, precision, run folder, console.

train.py and the tools import it. It knows no method by name.
"""
