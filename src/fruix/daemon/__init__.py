"""The daemon: sockets, sessions, peers and trust, settings, start and end.

What lives here: the daemon's life (`main`), the same for one client without a socket (`embedded`) and without root (`rootless`), its settings (`settings`), its socket
and lock (`listening`), accepting clients (`server`), who they are (`peers`), one client's socket (`connection`) and session (`session`), what
operations do (`handlers`, with `receiving` and `building`), options and errors by dialect (`options`, `errors`), and what sessions share (`service`).

Rules: a thread per connection, one daemon process; who may do what is decided here and nowhere else; an error that comes after a
request was read is an answer, not the end of the session. Nothing is imported here, since most users want one part only.
"""
