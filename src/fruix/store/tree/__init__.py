"""File trees: walking, dumping, restoring, copying and deleting them, whoever made them.

Rules: by directory descriptors and single names, never following a symlink; iterative, with bounded
depth and a bounded number of descriptors; contents are streamed; bytes for names. Nothing here
knows about databases or store paths.
"""
