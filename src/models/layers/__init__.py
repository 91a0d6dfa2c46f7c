"""Layers and blocks that several networks share, and the choice between their two forms.

Backbones, decoders and losses build on them; they import nothing of the project but the ground floor.
"""
