"""Taking what a builder made into the store.

Canonical metadata, references, staging until it is registered.
"""
