"""From derivations to valid outputs.

What lives here: the goals of a request (`goals`) and how it is met (`realise`, `repairing`), the global scheduler (`scheduler`, `turns`), one
build's life (`life`, with its workspace, environment, sandbox specification, supervision, outputs, log and record in a file each), what it is
for (`purposes`: build, check, repair), what is kept of failed ones (`keep`, `kept`), looking at builds (`looking`, `history`) and into them
(`entering`), what crashes left (`recovery`), the built-in fetcher (`fetch/`) and the other built-in builders (`builtins/`). `Builder` (`builder`)
is the door to all of it.

Rules: nothing here speaks a wire protocol or opens a socket; progress leaves as `model.events` only; outputs are taken
from the dead (see `outputs`); whatever fails, nothing is half registered and no directory, lock or process is left.
"""
