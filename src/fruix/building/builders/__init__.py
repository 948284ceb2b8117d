"""What runs in a build's sandbox: the derivation's own program, the fetcher, or another builtin.

`prepare` makes a `PreparedBuilder` (`interface`) of a derivation: all that is known of a build
before it begins; `sandbox_spec` makes the specification of its sandbox. Of a program's own (`own`):
`environment`, `references_graph`, `platforms`. The fetcher (`fetch`, `fetchurl`): `mirrors` turns
URLs into a list of plain ones, in the daemon; `local_sources` looks among already downloaded files
first; `download` runs in a sandbox of its own, unprivileged and without the store, and is the only
code of a build that ever has both our code and the network; the daemon checks the contents again
before anything is registered. The other builtins (`builtin`): `buildenv` and `unpack_channel`,
functions that are imported before the sandbox is sealed.
"""
