"""The built-in fetcher: `builtin:fetchurl` and what it stands on.

`urls` turns a derivation's URLs, mirror schemes included, into a list of plain ones (in the daemon); `local` looks for the file among
already downloaded ones first; `download` runs in a sandbox of its own, unprivileged and without the store, and is the only code
of a build that ever has both our code and the network. The daemon checks the contents again before anything is registered.
"""
