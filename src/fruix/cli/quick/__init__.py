"""Commands that are answered before anything big is loaded: `ps`, and `log` of a derivation.

`build` of derivations only begins here: see its module. Of the others each is a module with
`answer(words, environment)`: the exit status, or None where something is not as usual: options, errors,
odd characters, no daemon. Then nothing has been written, and the whole command does it all, so that its
words for what went wrong stand in one place.

Rules: no `typing`, `enum`, `re`, `argparse`, `json` or `socket`, which take as long to load as an
interpreter to start; what is shared with the whole command is in modules that import next to nothing.
"""
