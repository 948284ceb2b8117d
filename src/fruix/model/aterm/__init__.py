r"""The text form of derivations (ATerm), byte for byte.

    drv     = "Derive(" outputs "," inputs "," strs "," str "," str "," strs "," env ")"
            / "DrvWithVersion(" DQUOTE "xp-dyn-drv" DQUOTE "," outputs "," nodes "," … the same …
    outputs = list of "(" name "," path "," method+algorithm "," hash ")"
    inputs  = list of "(" path "," strs ")"
    nodes   = list of "(" path "," node ")"      node = strs / "(" strs "," list of "(" name "," node ")" ")"
    env     = list of "(" name "," value ")"
    str     = DQUOTE *( byte / "\" byte ) DQUOTE      n, r, t after a backslash stand for LF, CR, TAB

Rules: no white space, nothing after the end; outputs, inputs and variables in ascending byte order
without repetitions (a file in another order would hash differently once it is written again); no
NUL; at most `MAX_ITEMS` items in a list. Nothing recurses but nodes: outputs of derivations that are
outputs, at most `MAX_DEPTH` deep.
"""

from fruix.model.aterm.grammar import MAX_SIZE
from fruix.model.aterm.parsing import held, parse, peak
from fruix.model.aterm.printing import Printer, render

__all__ = ["MAX_SIZE", "Printer", "held", "parse", "peak", "render"]
