"""Pure values and their text and byte forms.

Rules: nothing here touches a file, a socket, a clock or `os`; values are frozen; `parse` and its
inverse stand side by side and are round-trip tested; every parser is iterative and bounded.
"""
