"""Looking through a whole store, and what can be mended in place.

`objects` looks at one valid path, `parallel` at many, `links` at what deduplication keeps, `strays`
at what else lies in the store directory; `metadata` knows modes, owners and times, and mends them.
`stored` is the part of `LocalStore`.
"""
