"""Adding to the store from outside a build: texts, trees, NARs; where they are staged, and how they are hashed."""
