"""NAR, the archive format of both peers: one canonical byte string per tree.

    nar   = "nix-archive-1" node
    node  = "(" "type" body ")"
    body  = "regular" [ "executable" "" ] "contents" size bytes padding
          | "symlink" "target" str
          | "directory" *( "entry" "(" "name" str "node" node ")" )

Every quoted word and `str` is a little-endian 64-bit length, the bytes, and zero bytes up to a
multiple of 8. `write` gives the pieces to put together, `read` takes a stream apart into `stream_events`;
neither touches a file.
"""
