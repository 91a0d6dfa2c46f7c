"""The training loop and all it needs: step, optimizer, schedule, precision, run folder, console.

train.py and the tools import it; it knows no method by name, and nothing that is not training imports it.
"""
