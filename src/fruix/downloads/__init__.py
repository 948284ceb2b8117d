"""HTTP as downloads in sandboxes speak it.

What lives here: what opens URLs (`opener`), what is said when that fails (`problems`), and how word
of it gets from the sandbox to the daemon (`undelivered`). Rules: only http and https, also after
redirects; certificates are checked; nothing that a server sends is believed, or held in memory
whole. Used by the fetcher of fixed outputs (`building.builders.download`) and by what asks binary
caches (`substitutes.fetcher`).
"""
