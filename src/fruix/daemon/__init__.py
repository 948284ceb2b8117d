"""The daemon: sockets, sessions, peers and trust, settings, start and end.

What lives here: the daemon's life (`main`, `serve`), the same for one client in a child process
(`embedded`) and without root (`rootless`), its end (`ending`), its settings (`settings`), its
socket and lock (`listening`), its log (`log_handler`, `client_log`, `status_signal`). Accepting clients
(`server`, `refusing`), who they are (`peers`), what they may have it hold (`budget`). One client's
socket (`connection`), session (`session`) and requests (`request_loop`), what operations do
(`handlers`), options and errors by dialect (`client_options`, `error_messages`), and what sessions share
(`service`).

Rules: a thread per connection, one daemon process; who may do what is decided here and nowhere
else; an error that comes after a request was read is an answer, not the end of the session. Nothing
is imported here, since most users want one part only.
"""
