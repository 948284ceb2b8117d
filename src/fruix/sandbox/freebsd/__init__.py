"""The FreeBSD back end: a fresh thin jail per build. Platform code only; decisions come in the specification.

`abi` has the numbers and layouts (pure), `kernel` the interface of the system calls, `libc` the
calls themselves; all else is logic on top of that interface: `supervisor` (the process that makes,
watches and undoes one sandbox), `child` (the steps from a fork to a builder), `mounts`, `devices`,
`jail`, `rctl`, `reaper`.

Mounts and jails are global here, not a process's own. So each sandbox has a supervisor that undoes
them before anybody looks at outputs, the spawner does it if the supervisor died, and the next start
if all of them did; what is to be undone is found by the build directory's path alone.
"""
