"""Numbers of the system calls that the filter has an answer for, on each ABI.

The numbers are those of the kernel's tables (`arch/*/tools/syscall.tbl`, `arch/x86/entry/syscalls`,
`scripts/syscall.tbl` of Linux 6.18); the tests compare them with the C library's headers where
those are installed.
"""

from __future__ import annotations

from collections.abc import Mapping

HIGHEST_AUDITED = 469  # file_setattr, Linux 6.17; look at each newer call before raising this

ABIS = ("x86_64", "i386", "aarch64", "arm")
"""The columns of the table.

`i386` and `arm` are what 32-bit programs use on the machines of the column before.
"""

_TABLE = """
    chmod                 90     15      -     15
    fchmod                91     94     52     94
    fchmodat             268    306     53    333
    fchmodat2            452    452    452    452
    creat                 85      8      -      8
    mknod                133     14      -     14
    mknodat              259    297     33    324
    open                   2      5      -      5
    openat               257    295     56    322
    openat2              437    437    437    437
    io_uring_setup       425    425    425    425
    io_uring_enter       426    426    426    426
    io_uring_register    427    427    427    427
    setxattr             188    226      5    226
    lsetxattr            189    227      6    227
    fsetxattr            190    228      7    228
    setxattrat           463    463    463    463
    getxattr             191    229      8    229
    lgetxattr            192    230      9    230
    fgetxattr            193    231     10    231
    getxattrat           464    464    464    464
    listxattr            194    232     11    232
    llistxattr           195    233     12    233
    flistxattr           196    234     13    234
    listxattrat          465    465    465    465
    file_setattr         469    469    469    469
    ioctl                 16     54     29     54
    socket                41    359    198    281
    socketpair            53    360    199    288
    socketcall             -    102      -      -
    add_key              248    286    217    309
    request_key          249    287    218    310
    keyctl               250    288    219    311
    bpf                  321    357    280    386
    userfaultfd          323    374    282    388
    perf_event_open      298    336    241    364
    memfd_secret         447    447    447      -
    lsm_get_self_attr    459    459    459    459
    lsm_set_self_attr    460    460    460    460
    lsm_list_modules     461    461    461    461
    syslog               103    103    116    103
    fanotify_init        300    338    262    367
    fanotify_mark        301    339    263    368
    quotactl             179    131     60    131
    quotactl_fd          443    443    443    443
    open_by_handle_at    304    342    265    371
    acct                 163     51     89     51
    swapon               167     87    224     87
    swapoff              168    115    225    115
    reboot               169     88    142     88
    kexec_load           246    283    104    347
    kexec_file_load      320      -    294    401
    init_module          175    128    105    128
    finit_module         313    350    273    379
    delete_module        176    129    106    129
    settimeofday         164     79    170     79
    clock_settime        227    264    112    262
    clock_settime64        -    404    404    404
    stime                  -     25      -      -
    vhangup              153    111     58    111
    iopl                 172    110      -      -
    ioperm               173    101      -      -
    lookup_dcookie       212    253     18    249
    nfsservctl           180    169     42    169
    uselib               134     86      -     86
    _sysctl              156    149      -    149
    sysfs                139    135      -    135
    bdflush                -    134      -    134
    create_module        174    127      -      -
    query_module         178    167      -      -
    get_kernel_syms      177    130      -      -
    vm86                   -    166      -      -
    vm86old                -    113      -      -
    modify_ldt           154    123      -      -
    pciconfig_iobase       -      -      -    271
    pciconfig_read         -      -      -    272
    pciconfig_write        -      -      -    273
    unshare              272    310     97    337
    clone                 56    120    220    120
    clone3               435    435    435    435
    setns                308    346    268    375
    mount                165     21     40     21
    umount                 -     22      -      -
    umount2              166     52     39     52
    pivot_root           155    217     41    218
    chroot               161     61     51     61
    open_tree            428    428    428    428
    open_tree_attr       467    467    467    467
    move_mount           429    429    429    429
    fsopen               430    430    430    430
    fsconfig             431    431    431    431
    fsmount              432    432    432    432
    fspick               433    433    433    433
    mount_setattr        442    442    442    442
    sethostname          170     74    161     74
    setdomainname        171    121    162    121
"""


def _read(table: str) -> Mapping[str, Mapping[str, int]]:
    """Name → ABI → number; a call that an ABI lacks is absent there."""
    rows = (line.split() for line in table.strip().splitlines())
    return {
        name: {abi: int(number) for abi, number in zip(ABIS, numbers, strict=True) if number != "-"}
        for name, *numbers in rows
    }


NUMBERS: Mapping[str, Mapping[str, int]] = _read(_TABLE)
"""Name of a call → ABI → its number."""
