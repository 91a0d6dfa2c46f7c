"""A local page that shows what a trained model sees in images, and what happens inside its decoder.

`server` answers the browser and `explorer` computes the answers, one at a time; `folder` has the images, `inside` what
each decoder shows, ``page/`` the page itself. Only its tool imports it.
"""
