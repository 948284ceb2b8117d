"""Binary caches: what they offer of store paths, whose word on that is taken, and bringing it here.

What lives here: addresses of caches (`address`), what they answered lately (`answers`), the choice
among offers (`substituter`); and the code that runs in a sandbox and has the network (`fetcher`,
`compression`, `libzstd`). The files' formats are in `model` (`narinfo`, `cacheinfo`), signatures in
`signing`; what is substituted, and when, is decided in `building`.

Rules: a cache is asked and read by a build user in a sandbox without a store; the daemon takes what
it says for the words of anybody, until a signature or the path's own content address speaks for it,
and an archive for any archive, until its hash is the one that was vouched for. Nothing is imported
here, since the sandbox needs one part only.
"""
