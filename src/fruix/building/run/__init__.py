"""One build, from its locks to its outcome.

Executing the builder, watching it, keeping to limits, and telling how it ended.
"""
