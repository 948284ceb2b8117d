"""Builders that are part of the daemon and need no network: profiles (`builtin:buildenv`) and channels (`builtin:unpack-channel`).

They run as build users in a sandbox like any builder, but are functions of ours: `profile.main` and `channel.main`, imported before the
sandbox is sealed. What they read of the derivation is in their own files.
"""
