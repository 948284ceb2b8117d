"""From derivations to valid outputs.

What lives here: the goals of a request (`goals`), the global scheduler (`scheduler`), one build's life (`life`, with its
workspace, sandbox specification, supervision, outputs, log and record in a file each), and the built-in fetcher (`fetch/`).

Rules: nothing here speaks a wire protocol or opens a socket; progress leaves as `model.events` only; outputs are taken
from the dead (see `outputs`); whatever fails, nothing is half registered and no directory, lock or process is left.
"""
