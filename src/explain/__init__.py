"""Pictures of what happens inside a decoder, one file per decoder.

A decoder that can be explained names its inner maps in ``EXPLAINS`` and returns them from ``explain(features)``; this
package has the function that draws them. It draws arrays and imports nothing but ``report`` and ``errors``; the
tools import it.
"""

from src.errors import UserError
from src.explain import cpt, csnet, ecenet

# decoder: draw(arrays by name, `Subject`) -> paths written
DRAWERS = {"ecenet": ecenet.draw, "cpt": cpt.draw, "csnet": csnet.draw}
PICTURES = {"ecenet": ecenet.PICTURES, "cpt": cpt.PICTURES, "csnet": csnet.PICTURES}  # names of what they draw


def check_decoder(decoder: str) -> None:
    """Refuse a decoder without pictures.

    Raises:
        UserError: it has none.
    """
    if decoder not in DRAWERS:
        raise UserError(f"--explain: decoder {decoder} has nothing to show; {', '.join(DRAWERS)} have")
