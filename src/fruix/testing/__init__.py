"""Trying Fruix out for real: the self-test behind `fruix doctor --selftest`, and what it and the test suite stand on.

What lives here: a scratch store with a real daemon (`scratch`), derivations for it (`small`), what a builder must and must not see
(`expected`), the checks (`checks`, `crashes`) and their report (`selftest`).

Rules: standard library only, no test framework, so that it runs from a source tree on a machine that has nothing but Python.
The daemon is the real one, in a process of its own; nothing outside the scratch directory is touched. Nothing but the command line
imports this package.
"""
