"""What is in a data set: counts, duplicates, class weights and samples as augmented.

It only measures; ``src.tools.inspect_data`` imports it, prints and draws.
"""
