"""Pictures of what happens inside a decoder, one file per decoder.

A decoder that can be explained names its inner maps in ``EXPLAINS`` and returns them from ``explain(features)``; the
function that draws them stands here. They draw arrays and import nothing but ``report``; the tools import them.
"""

from src.explain import cpt, csnet, ecenet

# decoder: draw(arrays by name, `Subject`) -> paths written
DRAWERS = {"ecenet": ecenet.draw, "cpt": cpt.draw, "csnet": csnet.draw}
