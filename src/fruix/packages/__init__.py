"""Package definitions in Python, and how they become derivations.

What lives here: `package` (the records), `check` (what a field may hold, by its annotation;
`wording` for its messages), `place` (where a definition is written down), `variables` (those of a
build), `phases` (what a builder does, in order), `build_systems/` (how a package's arguments become
a builder script), `search_paths` (how builds find their inputs), `sources`, `local_files`,
`lower_sources` (where sources come from, and what they become), `lower` (packages → derivations in
a store), `roots/` (what packages are built in), `catalogue/` (the packages that come with Fruix, a
file each), `load` and `modules` (definitions from elsewhere), `package_graph` (what needs what),
`lint_definition` and `lint_built` (what is wrong with definitions and with what they gave).

Rules: definitions are immutable values; lowering talks to a store only through its interface and
gives the same derivation for the same definition, system and host view, always.
"""
