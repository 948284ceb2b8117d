"""Headers of the C library and of the kernel by name.

For hosts on which nobody knows what belongs to which package.

The names that glibc 2.36, musl 1.2 and Linux 6.1 install into /usr/include, and on Debian into the
directory of the machine below it.
"""

from __future__ import annotations

_C_DIRECTORIES = """
    arpa bits finclude fortify gnu net netash netatalk netax25 neteconet netinet netipx netiucv
    netpacket netrom netrose nfs protocols rpc scsi sys
"""
_C_FILES = """
    a.out aio aliases alloca alltypes ar argp argz assert byteswap complex cpio crypt ctype dirent
    dlfcn elf endian envz err errno error execinfo fcntl features features-time64 fenv float fmtmsg
    fnmatch fpu_control fstab fts ftw gconv getopt glob gnu-versions grp gshadow iconv ieee754
    ifaddrs inttypes iso646 langinfo lastlog libgen libintl limits link locale malloc math mcheck
    memory mntent monetary mqueue netdb nl_types nss obstack paths poll printf proc_service pthread
    pty pwd re_comp regex regexp resolv sched search semaphore setjmp sgtty shadow signal spawn stab
    stdalign stdarg stdbool stdc-predef stddef stdint stdio stdio_ext stdlib stdnoreturn string
    strings stropts syscall sysexits syslog tar termio termios tgmath thread_db threads time ttyent
    uchar ucontext ulimit unistd utime utmp utmpx values wait wchar wctype wordexp
"""
_KERNEL_DIRECTORIES = "asm asm-generic cxl drm fwctl linux misc mtd rdma regulator sound video xen"


def _patterns(directories: str, files: str = "") -> tuple[str, ...]:
    names = (*directories.split(), *(f"{name}.h" for name in files.split()))
    return tuple(f"{place}/{name}" for place in ("/usr/include", "/usr/include/*-linux-*") for name in names)


C_HEADERS = _patterns(_C_DIRECTORIES, _C_FILES)
KERNEL_HEADERS = _patterns(_KERNEL_DIRECTORIES)
