"""Worker operations: which function answers which (`table`), those that build, and those that receive uploads."""
