"""Pictures of what happens inside a decoder, one file per decoder.

A decoder that can be explained names its inner maps in ``EXPLAINS`` and returns them from ``explain(features)``; this
package has the function that draws them. It draws arrays and imports nothing but ``report``; the tools import it.
"""

from src.explain import cpt, csnet, ecenet

# decoder: draw(arrays by name, `Subject`) -> paths written
DRAWERS = {"ecenet": ecenet.draw, "cpt": cpt.draw, "csnet": csnet.draw}
