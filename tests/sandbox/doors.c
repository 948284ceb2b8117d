/* One attempt per argument; prints the attempt's name and "ok", or the name of the errno it ended with. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <unistd.h>

static long tcp(const char *address, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM, 0), once = 1;
    setsockopt(s, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof once); /* where nobody answers, don't ask for minutes */
    return s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to);
}

/* ADDRESS,PORT, of either family. */
static long connect_to(char *where) {
    char *comma = strchr(where, ',');
    *comma = 0;
    if (!strchr(where, ':')) return tcp(where, atoi(comma + 1));
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(comma + 1))};
    inet_pton(AF_INET6, where, &to.sin6_addr);
    int s = socket(AF_INET6, SOCK_STREAM, 0), once = 1;
    setsockopt(s, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof once);
    return connect(s, (struct sockaddr *)&to, sizeof to);
}

static long abstract_socket(const char *name) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path + 1, name, strlen(name));
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(s, (struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

#ifdef __x86_64__
static long int80(long nr, long a, long b) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b) : "memory", "r8", "r9", "r10", "r11");
    if (result < 0) { errno = -result; return -1; }
    return result;
}
static char low[] __attribute__((aligned(16))) = "f";

/* socketcall, whose arguments lie in memory that 32 bits can address; the ends of a pair come to words[4] and words[5]. Family -1: the
   arguments are nowhere; -2: a UNIX pair would have to be put where nothing is. */
static int *words;
static long int80_socketcall(long call, int family, int type, int protocol) {
    words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    words[0] = family == -2 ? AF_UNIX : family;
    words[1] = type;
    words[2] = protocol;
    words[3] = family == -2 ? 16 : (int)(long)(words + 4);
    return int80(102, call, family == -1 ? 16 : (long)words);
}

/* A pair by socketcall carries bytes. */
static long int80_talk(void) {
    char got = 0;
    if (int80_socketcall(8, AF_UNIX, SOCK_STREAM, 0) < 0) return -1;
    if (write(words[4], "x", 1) != 1 || read(words[5], &got, 1) != 1) return -1;
    if (got != 'x') errno = EPROTO;
    return got == 'x' ? 0 : -1;
}

static long int80_connect(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    long s = int80_socketcall(1, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    return s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to);
}

/* The flags that were asked for, and not those of whoever made it. */
static long int80_cloexec(void) {
    long with = int80_socketcall(1, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    long without = int80_socketcall(1, AF_UNIX, SOCK_STREAM, 0);
    int good = fcntl(with, F_GETFD) == FD_CLOEXEC && fcntl(without, F_GETFD) == 0 &&
               (fcntl(with, F_GETFL) & O_NONBLOCK) && !(fcntl(without, F_GETFL) & O_NONBLOCK);
    if (!good) errno = EPROTO;
    return good ? 0 : -1;
}

static long int80_owner(void) {
    struct stat status;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (int80_socketcall(8, AF_UNIX, SOCK_STREAM, 0) < 0) return -1;
    if (fstat(words[4], &status) < 0) return -1;
    if (getsockopt(words[4], SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -1;
    errno = EPROTO;
    return status.st_uid == getuid() && peer.uid == getuid() && peer.gid == getgid() ? 0 : -1;
}
#endif

/* FAMILY,TYPE,PROTOCOL */
static long open_socket(const char *numbers, int pair) {
    int family, type, protocol, ends[2];
    sscanf(numbers, "%d,%d,%d", &family, &type, &protocol);
    return pair ? socketpair(family, type, protocol, ends) : socket(family, type, protocol);
}

static long trace_child(void) {
    pid_t child = fork();
    int status;
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return ptrace(PTRACE_CONT, child, NULL, NULL);
}

static long low_words[4];

static long attempt(const char *what, char **argv) {
    struct open_how how = {.flags = O_CREAT | O_WRONLY, .mode = 06755};
    char c = 'x';
    if (!strcmp(what, "chmod")) return syscall(SYS_fchmodat, AT_FDCWD, "f", 04755);
    if (!strcmp(what, "chmod-plain")) return syscall(SYS_fchmodat, AT_FDCWD, "f", 0755);
#ifdef SYS_chmod
    if (!strcmp(what, "chmod-old")) return syscall(SYS_chmod, "f", 02755);
    if (!strcmp(what, "creat")) return syscall(SYS_creat, "g1", 06755);
    if (!strcmp(what, "mknod-old")) return syscall(SYS_mknod, "g2", S_IFREG | 04755, 0);
#endif
    if (!strcmp(what, "fchmod")) return fchmod(open("f", O_RDONLY), 06755);
    if (!strcmp(what, "fchmodat2")) return syscall(452, AT_FDCWD, "f", 04755, 0);
    if (!strcmp(what, "open-create")) return syscall(SYS_openat, AT_FDCWD, "g3", O_CREAT | O_WRONLY, 06755);
    if (!strcmp(what, "open-garbage-mode")) return syscall(SYS_openat, AT_FDCWD, "f", O_RDONLY, 07777);
    if (!strcmp(what, "tmpfile")) return syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_WRONLY, 04755);
    if (!strcmp(what, "mknod")) return syscall(SYS_mknodat, AT_FDCWD, "g4", S_IFREG | 04755, 0);
    if (!strcmp(what, "device")) return mknod("g5", S_IFCHR | 0666, 0x103);
    if (!strcmp(what, "openat2")) return syscall(437, AT_FDCWD, "g6", &how, sizeof how);
    if (!strcmp(what, "io_uring")) return syscall(425, 4, NULL);
    if (!strcmp(what, "setxattr")) return setxattr("f", "user.x", "y", 1, 0);
    if (!strcmp(what, "keyctl")) return syscall(SYS_keyctl, 0, -4, 1);
    if (!strcmp(what, "add_key")) return syscall(SYS_add_key, "user", "x", "y", 1, -4);
    if (!strcmp(what, "userns")) return unshare(CLONE_NEWUSER);
    if (!strcmp(what, "clone3")) return syscall(435, NULL, 0);
    if (!strcmp(what, "new-call")) return syscall(470);
    if (!strcmp(what, "bpf")) return syscall(SYS_bpf, 0, NULL, 0);
    if (!strcmp(what, "mount")) return syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, NULL);
    if (!strcmp(what, "umount")) return syscall(SYS_umount2, "/proc", 0);
    if (!strcmp(what, "chroot")) return chroot("/");
    if (!strcmp(what, "sethostname")) return sethostname("x", 1);
    if (!strcmp(what, "setuid")) return setuid(0);
    if (!strcmp(what, "host-loopback")) return tcp("127.0.0.1", atoi(argv[0]));
    if (!strncmp(what, "tcp", 3)) return connect_to(argv[0]);
    if (!strcmp(what, "network")) return tcp("10.1.2.3", 80);
    if (!strncmp(what, "socket-", 7)) return open_socket(argv[0], 0);
    if (!strncmp(what, "pair-", 5)) return open_socket(argv[0], 1);
    if (!strncmp(what, "ioctl-", 6)) return ioctl(open("f", O_RDWR), strtoul(argv[0], NULL, 16), low_words);
    if (!strncmp(what, "call-", 5)) return syscall(strtol(argv[0], NULL, 10), 0, 0, 0, 0, 0, 0);
    if (!strcmp(what, "trace-child")) return trace_child();
    if (!strcmp(what, "personality")) return syscall(SYS_personality, 0xffffffff);
    if (!strcmp(what, "netns")) return unshare(CLONE_NEWNET);
    if (!strcmp(what, "setns")) return setns(open("/proc/self/ns/net", O_RDONLY), 0);
    if (!strcmp(what, "syslog")) return syscall(SYS_syslog, 10, NULL, 0);
    if (!strcmp(what, "fanotify")) return syscall(SYS_fanotify_init, 0, O_RDONLY);
    if (!strcmp(what, "by-handle")) return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY);
    if (!strcmp(what, "quotactl")) return syscall(SYS_quotactl, 0, NULL, 0, NULL);
    if (!strcmp(what, "raw-socket")) return socket(AF_INET, SOCK_RAW, 1);
    if (!strcmp(what, "abstract")) return abstract_socket(argv[0]);
    if (!strcmp(what, "kill")) return kill(atoi(argv[0]), 0);
    if (!strcmp(what, "ptrace")) return ptrace(PTRACE_ATTACH, atoi(argv[0]), NULL, NULL);
    if (!strcmp(what, "terminal")) return ioctl(1, TIOCSTI, &c);
    if (!strcmp(what, "open-write")) return open(argv[0], O_WRONLY);
    if (!strcmp(what, "open")) return open(argv[0], O_RDONLY);
    if (!strcmp(what, "link")) return link(argv[0], "g7");
#ifdef __x86_64__
    if (!strcmp(what, "int80-chmod")) return int80(15, (long)low, 04755);
    if (!strncmp(what, "int80-socket-", 13)) return int80_socketcall(1, atoi(argv[0]), SOCK_STREAM, 0);
    if (!strncmp(what, "int80-pair-", 11)) return int80_socketcall(8, atoi(argv[0]), SOCK_STREAM, 0);
    if (!strcmp(what, "int80-talk")) return int80_talk();
    if (!strcmp(what, "int80-connect")) return int80_connect(atoi(argv[0]));
    if (!strcmp(what, "int80-cloexec")) return int80_cloexec();
    if (!strcmp(what, "int80-owner")) return int80_owner();
    if (!strcmp(what, "int80-bind")) return int80_socketcall(2, -3, 0, 0); /* no such descriptor, but an allowed call */
    if (!strcmp(what, "modify-ldt")) return syscall(SYS_modify_ldt, 0, NULL, 0);
    if (!strcmp(what, "x32")) return syscall(0x40000000 + 39);
#endif
    fprintf(stderr, "unknown attempt %s\n", what);
    exit(2);
}

int main(int argc, char **argv) {
    close(open("f", O_CREAT | O_WRONLY, 0644));
    for (int i = 1; i < argc; i++) {
        char *name = strdup(argv[i]);
        char *argument = strchr(name, '=');
        char *rest[] = {argument ? argument + 1 : "", NULL};
        if (argument) *argument = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            errno = 0;
            long result = attempt(name, rest);
            printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) printf("%s signal %d\n", name, WTERMSIG(status));
    }
    return 0;
}
