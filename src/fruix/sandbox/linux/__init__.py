"""The Linux back end: namespaces, mounts, ids, filters.

Platform code only; decisions come in the specification.

`child` holds the ordered steps by which a forked process becomes a builder; the other modules are
what the steps are made of.
"""
