/* Tries to get out of a sandbox, in POSIX C with the two systems' own calls. Prints one line per door: its name, and "ok" or the
   number and text of the errno it ended with. Arguments: a read-only file, a path outside, a process outside, a TCP port and a
   Unix socket outside, and the kind of isolation (doors of namespaces are tried only there). */
#include <sys/param.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <netinet/in.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void door(const char *name, long result) {
    if (result >= 0)
        printf("%s ok\n", name);
    else
        printf("%s %d %s\n", name, errno, strerror(errno));
    fflush(stdout);
}

static int tcp(int port) {
    struct sockaddr_in to;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((unsigned short)port);
    to.sin_addr.s_addr = htonl(0x7f000001);
    return s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to);
}

static int far_away(void) {
    struct sockaddr_in to;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons(80);
    to.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, for documentation */
    return s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to);
}

static int own_loopback(void) {
    struct sockaddr_in to;
    socklen_t size = sizeof to;
    int listener = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(0x7f000001);
    if (listener < 0 || s < 0) return -1;
    if (bind(listener, (struct sockaddr *)&to, sizeof to) < 0 || listen(listener, 1) < 0) return -1;
    if (getsockname(listener, (struct sockaddr *)&to, &size) < 0) return -1;
    return connect(s, (struct sockaddr *)&to, sizeof to);
}

static int unix_socket(const char *path) {
    struct sockaddr_un to;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sun_family = AF_UNIX;
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    return s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to);
}

static int mount_something(void) {
#ifdef __FreeBSD__
    char type[] = "fstype", tmpfs[] = "tmpfs", where[] = "fspath", here[] = "/tmp";
    struct iovec pairs[4] = {{type, sizeof type}, {tmpfs, sizeof tmpfs}, {where, sizeof where}, {here, sizeof here}};
    return nmount(pairs, 4, 0);
#else
    return mount("none", "/tmp", "tmpfs", 0, "");
#endif
}

static int set_host_name(void) { return sethostname("gone", 4); }

/* Above the root by a directory opened before a chroot of our own: needs the right to chroot. */
static int climb(void) {
    int root = open("/", O_RDONLY);
    if (root < 0 || mkdir("/tmp/cell", 0755) < 0 || chroot("/tmp/cell") < 0) return -1;
    return fchdir(root);
}

static int left_open(void) {
    int fd;
    for (fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            printf("left-open-descriptor %d\n", fd);
            return 0;
        }
    errno = EBADF;
    return -1;
}

#ifdef __linux__
/* Numbers that older headers lack; families and protocols are written as numbers, as kernel and headers may know neither. */
enum { IO_URING_SETUP = 425, OPEN_TREE = 428, FSOPEN = 430, FILE_SETATTR = 469 };

static long inode_flags(void) {
    long flags = 0x40; /* no dump */
    return ioctl(open("/tmp/flags", O_CREAT | O_RDWR, 0644), FS_IOC_SETFLAGS, &flags);
}

/* A call as a 32-bit program makes it: family, type and protocol lie in memory, where no filter can read them. */
static long old_socket(int call, unsigned family) {
#ifdef __x86_64__
    unsigned *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    long result;
    words[0] = family;
    words[1] = SOCK_STREAM;
    words[3] = (unsigned)(unsigned long)(words + 4); /* for the two ends of a pair */
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(102L), "b"((long)call), "c"(words) : "memory");
    if (result >= 0) return result;
    errno = (int)-result;
#else
    (void)call, (void)family;
    errno = ENOSYS;
#endif
    return -1;
}

static void doors_of_namespaces(void) {
    char key = 'x';
    int ends[2];
    door("crypto-socket", socket(38, SOCK_SEQPACKET, 0));
    door("machine-socket", socket(40, SOCK_STREAM, 0));
    door("frame-socket", socket(17, SOCK_RAW, 0));
    door("machine-socket-pair", socketpair(40, SOCK_STREAM, 0, ends));
    door("old-socket", old_socket(1, 40));
    door("old-socket-pair", old_socket(8, 40));
    door("device-events", socket(16, SOCK_RAW, 15));
    door("other-protocol", socket(AF_INET, SOCK_SEQPACKET, 132));
    door("keys", syscall(SYS_keyctl, 0, -4, 1));
    door("kernel-log", syscall(SYS_syslog, 10, NULL, 0));
    door("ring", syscall(IO_URING_SETUP, 4, NULL));
    door("counters", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    door("watch-all-files", syscall(SYS_fanotify_init, 0, O_RDONLY));
    door("file-by-handle", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY));
    door("quota", syscall(SYS_quotactl, 0, NULL, 0, NULL));
    door("type-for-terminal", ioctl(0, TIOCSTI, &key));
    door("line-discipline", ioctl(0, TIOCSETD, &ends));
    door("inode-flags", inode_flags());
    door("inode-flags-by-call", syscall(FILE_SETATTR, AT_FDCWD, "/tmp/flags", NULL, 0, 0));
    door("set-id", chmod("/tmp/flags", 04755));
    door("new-namespace", syscall(SYS_unshare, 0x50000000));
    door("join-namespace", syscall(SYS_setns, open("/proc/self/ns/net", O_RDONLY), 0));
    door("tree-of-mounts", syscall(OPEN_TREE, AT_FDCWD, "/", 1));
    door("new-file-system", syscall(FSOPEN, "tmpfs", 0));
}
#endif

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    door("descriptors", left_open());
    door("write-read-only", open(argv[1], O_WRONLY));
    door("link-read-only", link(argv[1], "/tmp/link"));
    door("outside-path", open(argv[2], O_RDONLY));
    door("parent-of-root", open("/../../../../etc/ssh", O_RDONLY));
    door("signal-outside", kill((pid_t)atol(argv[3]), 0));
    door("host-loopback", tcp(atoi(argv[4])));
    door("network", far_away());
    door("own-loopback", own_loopback());
    door("host-unix-socket", unix_socket(argv[5]));
    door("raw-socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    door("become-root", setuid(0));
    door("become-group", setgid(0));
    door("device-node", mknod("/tmp/null", S_IFCHR | 0666, 0x103));
    door("mount", mount_something());
    door("host-name", set_host_name());
    door("chroot", climb());
    door("kernel-memory", open("/dev/mem", O_RDONLY));
    door("write-root", open("/new", O_CREAT | O_WRONLY, 0666));
    door("write-etc", open("/etc/passwd", O_WRONLY));
    door("accounting", acct(NULL));
#ifdef __linux__
    if (!strcmp(argv[6], "linux-namespaces")) doors_of_namespaces();
#endif
    return 0;
}
