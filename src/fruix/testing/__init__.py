"""Trying Fruix out for real.

This is the self-test behind `fruix doctor --selftest`, and what it and the test suite stand on.

What lives here: a scratch store with a real daemon (`scratch_daemon`), derivations for it
(`derivations`), what a builder must and must not see (`expected_view`), the checks
(`selftest_checks`, `machines`, `kernel_checks`, `crashes`), what may not be left (`traces`) and the
report (`selftest`); one sandbox call by call (`trial`, `traced`).

Rules: standard library only, no test framework, so that it runs from a source tree on a machine
that has nothing but Python. The daemon is the real one, in a process of its own; nothing outside
the scratch directory is touched. Nothing but the command line and the tests imports this package.
"""
