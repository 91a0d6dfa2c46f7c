"""Segment images, videos and the pictures of a camera.

One file each for what to segment, for images and for videos. Nothing imports them but the program itself.
"""
