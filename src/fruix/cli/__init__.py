"""The command line: each command in a file of its own, found through the table in `commands`.

Rules: commands parse arguments, call the layers below and print; they hold no logic of their own.
Modules are imported when their command is used, so that `fruix --version` costs an interpreter
start and little more. What a command prints for programs goes to standard output, everything else
to standard error.
"""
