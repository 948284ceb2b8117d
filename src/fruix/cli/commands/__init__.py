"""The table of commands. Each has a module of its own, which offers `configure(parser)` and `run(arguments) -> int`."""

from __future__ import annotations

# name: (module, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("fruix.cli.build", "build packages or derivations"),
    "daemon": ("fruix.cli.daemon", "run the build daemon"),
    "doctor": ("fruix.cli.doctor", "say what this machine can isolate, and what it lacks"),
    "edit": ("fruix.cli.edit", "open a package's definition in the editor"),
    "enter": ("fruix.cli.enter", "a shell in the sandbox of a derivation"),
    "graph": ("fruix.cli.graph", "draw what depends on what"),
    "hash": ("fruix.cli.hash", "print the hash that a definition wants of a file or directory"),
    "help": ("fruix.cli.commands.help", "describe a command"),
    "lint": ("fruix.cli.lint", "check package definitions"),
    "log": ("fruix.cli.log", "print the log of a build"),
    "packages": ("fruix.cli.packages", "list the packages of the catalogue"),
    "prefetch": ("fruix.cli.prefetch", "fetch a source, and print what a definition says of it"),
    "ps": ("fruix.cli.ps", "list the builds that run or wait, of all clients"),
    "run": ("fruix.cli.run", "run a program that finds the store at its place"),
    "search": ("fruix.cli.commands.search", "find packages by what they are for"),
    "shell": ("fruix.cli.run", "start a shell that finds the store at its place"),
    "show": ("fruix.cli.show", "describe a package or a derivation"),
    "size": ("fruix.cli.size", "say what packages take on disk with all that they need"),
    "store": ("fruix.cli.store", "add to, read and query the store"),
    "why-rebuild": ("fruix.cli.why_rebuild", "say what differs between two derivations of a package"),
    "why": ("fruix.cli.why", "say by which way one package needs another"),
}
