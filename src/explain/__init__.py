"""Pictures of what happens inside a decoder.

A decoder that can be explained names its inner maps in ``EXPLAINS`` and returns them from ``explain(features)``; this
package has the function that draws them.
"""

from src.explain import cpt, csnet, ecenet

# decoder: draw(arrays by name, image, class names, colors, folder, stem, pixel) -> paths written
DRAWERS = {"ecenet": ecenet.draw, "cpt": cpt.draw, "csnet": csnet.draw}
