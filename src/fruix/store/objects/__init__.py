"""Adding to the store from outside a build: texts, trees, NARs.

Where they are staged, and how they are hashed.
"""
