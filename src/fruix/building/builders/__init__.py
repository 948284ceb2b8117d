"""What runs in a build's sandbox: the derivation's own program, the fetcher, or another builtin.

`interface` is what a build asks of each kind. Of a program's own: `environment`, `references_graph`, `sandbox_spec`, `platforms`. The fetcher
(`fetchurl`): `mirrors` turns URLs into a list of plain ones, in the daemon; `local_sources` looks among already downloaded
files first; `download` runs in a sandbox of its own, unprivileged and without the store, and is the only code of a build
that ever has both our code and the network; the daemon checks the contents again before anything is registered. The
other builtins (`builtin`): `buildenv` and `unpack_channel`, functions that are imported before the sandbox is sealed.
"""
