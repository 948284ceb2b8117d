/* Every change that a process makes to files below a directory: recorded, or made to fail.
 *
 * Preloaded; does nothing before `fault_begin`. Each change is one call with a number, counted from 1; the calls of all
 * threads stand in one order. Nothing is really brought to disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, RENAME, EXCHANGE, LINK, UNLINK, MKDIR, RMDIR, SYMLINK, MODE, SYNC, SYNC_ALL, NOTE };

struct record {
    uint32_t what, mode;
    uint64_t inode, offset, first, second, size; /* lengths of two paths and of the data that follow */
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static size_t root_size;
static int log_fd = -1, fail_with, fail_on;
static uint64_t at, count;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        _exit(98);
    return found;
}

/* Watch what lies below `directory`.
 * log: descriptor that successful changes are written to (struct record, then paths and data), or -1.
 * number: of the change before which something happens, or 0.
 * what: 0 is SIGKILL, else the error with which the call fails.
 * lasting: so do all later ones that need the disk.
 */
void fault_begin(const char *directory, int log, uint64_t number, int what, int lasting)
{
    root_size = strlen(directory);
    log_fd = log, at = number, fail_with = what, fail_on = lasting, count = 0;
    root = strdup(directory);
}

/* Look away; gives the number of changes. */
uint64_t fault_end(void)
{
    root = NULL;
    return count;
}

static int below(const char *path)
{
    return root && strncmp(path, root, root_size) == 0 && (path[root_size] == '/' || path[root_size] == 0);
}

static const char *of_descriptor(int descriptor, char *buffer, size_t size)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, buffer, size - 1);
    buffer[length < 0 ? 0 : length] = 0;
    return buffer;
}

static const char *absolute(int directory, const char *path, char *buffer, size_t size)
{
    char above[4096];
    if (path[0] == '/')
        snprintf(buffer, size, "%s", path);
    else {
        if (directory == AT_FDCWD) {
            if (getcwd(above, sizeof above) == NULL)
                above[0] = 0;
        } else
            of_descriptor(directory, above, sizeof above);
        snprintf(buffer, size, "%s/%s", above, path);
    }
    return buffer;
}

static void put(const void *data, size_t size)
{
    for (const char *from = data; size > 0;) {
        ssize_t done = REAL(write)(log_fd, from, size);
        if (done <= 0)
            _exit(96);
        from += done, size -= done;
    }
}

static void record(struct record head, const char *first, const char *second, const void *data)
{
    if (log_fd < 0)
        return;
    int saved = errno;
    head.first = first ? strlen(first) : 0;
    head.second = second ? strlen(second) : 0;
    put(&head, sizeof head);
    put(first, head.first);
    put(second, head.second);
    put(data, head.size);
    errno = saved;
}

/* The next change is about to be made; whether it shall fail. Called with the turn taken. */
static int fails(int needs_disk)
{
    uint64_t number = ++count;
    if (at == 0 || number < at || (number > at && !(fail_on && needs_disk)))
        return 0;
    if (fail_with == 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = fail_with;
    return 1;
}

static uint64_t inode_of(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

static uint64_t inode_at(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

#define TAKE pthread_mutex_lock(&turn)
#define GIVE pthread_mutex_unlock(&turn)

/* A change that is one call: counted, maybe failing, recorded when it has worked. */
#define CHANGE(needs_disk, call, recording)      \
    do {                                         \
        TAKE;                                    \
        __typeof__(call) done_ = -1;             \
        if (!fails(needs_disk)) {                \
            done_ = call;                        \
            if (done_ != -1) { recording; }      \
        }                                        \
        GIVE;                                    \
        return done_;                            \
    } while (0)

static int opened(int directory, const char *path, int flags, mode_t mode)
{
    char full[8192];
    absolute(directory, path, full, sizeof full);
    int made = (flags & O_CREAT) && below(full) && access(full, F_OK) != 0 && inode_at(full) == 0;
    int cut = !made && (flags & O_TRUNC) && below(full);
    if (!made && !cut)
        return REAL(openat64)(directory, path, flags, mode);
    TAKE;
    int descriptor = -1;
    if (!fails(1)) {
        descriptor = REAL(openat64)(directory, path, flags, mode);
        if (descriptor >= 0) {
            struct stat status;
            fstat(descriptor, &status);
            record((struct record){.what = made ? CREATE : TRUNCATE, .inode = status.st_ino, .mode = status.st_mode & 07777}, full, NULL, NULL);
        }
    }
    GIVE;
    return descriptor;
}

#define OPEN(name, base, ...)                                                     \
    int name(__VA_ARGS__, int flags, ...)                                         \
    {                                                                             \
        va_list rest;                                                             \
        va_start(rest, flags);                                                    \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                             \
        return opened(base, path, flags, mode);                                   \
    }
OPEN(open, AT_FDCWD, const char *path)
OPEN(open64, AT_FDCWD, const char *path)
OPEN(openat, directory, int directory, const char *path)
OPEN(openat64, directory, int directory, const char *path)

static int watched(int descriptor)
{
    char name[4096];
    struct stat status;
    if (root == NULL || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    return below(of_descriptor(descriptor, name, sizeof name));
}

static ssize_t written(int descriptor, const void *data, size_t size, off_t offset, int positioned)
{
    if (!watched(descriptor))
        return positioned ? REAL(pwrite64)(descriptor, data, size, offset) : REAL(write)(descriptor, data, size);
    TAKE;
    ssize_t done = -1;
    if (!fails(1)) {
        if (!positioned) {
            struct stat status;
            fstat(descriptor, &status);
            offset = fcntl(descriptor, F_GETFL) & O_APPEND ? status.st_size : lseek(descriptor, 0, SEEK_CUR);
        }
        done = positioned ? REAL(pwrite64)(descriptor, data, size, offset) : REAL(write)(descriptor, data, size);
        if (done > 0)
            record((struct record){.what = WRITE, .inode = inode_of(descriptor), .offset = offset, .size = done}, NULL, NULL, data);
    }
    GIVE;
    return done;
}

ssize_t write(int descriptor, const void *data, size_t size) { return written(descriptor, data, size, 0, 0); }
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) { return written(descriptor, data, size, offset, 1); }
ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t offset) { return written(descriptor, data, size, offset, 1); }

/* Piece by piece, as far as it goes. */
ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    ssize_t total = 0;
    if (!watched(descriptor))
        return REAL(writev)(descriptor, pieces, count);
    for (int each = 0; each < count; each++) {
        ssize_t done = written(descriptor, pieces[each].iov_base, pieces[each].iov_len, 0, 0);
        if (done < 0)
            return total ? total : done;
        total += done;
        if ((size_t)done < pieces[each].iov_len)
            break;
    }
    return total;
}

/* Copies in the kernel don't exist below the root: whoever asks falls back to writes, which are recorded. */
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
    if (!watched(to))
        return REAL(copy_file_range)(from, from_at, to, to_at, size, flags);
    errno = EXDEV;
    return -1;
}

int ioctl(int descriptor, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request != FICLONE || !watched(descriptor))
        return REAL(ioctl)(descriptor, request, argument);
    errno = EOPNOTSUPP;
    return -1;
}

int ftruncate64(int descriptor, off64_t size)
{
    if (!watched(descriptor))
        return REAL(ftruncate64)(descriptor, size);
    CHANGE(1, REAL(ftruncate64)(descriptor, size),
           record((struct record){.what = TRUNCATE, .inode = inode_of(descriptor), .offset = size}, NULL, NULL, NULL));
}
int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

int posix_fallocate64(int descriptor, off64_t offset, off64_t size)
{
    TAKE;
    int failed = watched(descriptor) && fails(1) ? errno : 0;
    GIVE;
    return failed ? failed : REAL(posix_fallocate64)(descriptor, offset, size);
}
int posix_fallocate(int descriptor, off_t offset, off_t size) { return posix_fallocate64(descriptor, offset, size); }

static int renamed(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    char old[8192], new[8192];
    absolute(from_at, from, old, sizeof old);
    absolute(to_at, to, new, sizeof new);
    if (!below(old) && !below(new))
        return REAL(renameat2)(from_at, from, to_at, to, flags);
    CHANGE(1, REAL(renameat2)(from_at, from, to_at, to, flags),
           record((struct record){.what = flags & RENAME_EXCHANGE ? EXCHANGE : RENAME}, old, new, NULL));
}
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) { return renamed(from_at, from, to_at, to, flags); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return renamed(from_at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    char old[8192], new[8192];
    absolute(from_at, from, old, sizeof old);
    absolute(to_at, to, new, sizeof new);
    if (!below(new))
        return REAL(linkat)(from_at, from, to_at, to, flags);
    CHANGE(1, REAL(linkat)(from_at, from, to_at, to, flags), record((struct record){.what = LINK, .inode = inode_at(new)}, old, new, NULL));
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char *path, int flags)
{
    char full[8192];
    if (!below(absolute(directory, path, full, sizeof full)))
        return REAL(unlinkat)(directory, path, flags);
    CHANGE(0, REAL(unlinkat)(directory, path, flags),
           record((struct record){.what = flags & AT_REMOVEDIR ? RMDIR : UNLINK}, full, NULL, NULL));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t mode)
{
    char full[8192];
    if (!below(absolute(directory, path, full, sizeof full)))
        return REAL(mkdirat)(directory, path, mode);
    CHANGE(1, REAL(mkdirat)(directory, path, mode),
           record((struct record){.what = MKDIR, .inode = inode_at(full), .mode = mode}, full, NULL, NULL));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int symlinkat(const char *target, int directory, const char *path)
{
    char full[8192];
    if (!below(absolute(directory, path, full, sizeof full)))
        return REAL(symlinkat)(target, directory, path);
    CHANGE(1, REAL(symlinkat)(target, directory, path), record((struct record){.what = SYMLINK, .inode = inode_at(full)}, full, target, NULL));
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int fchmod(int descriptor, mode_t mode)
{
    char name[4096];
    if (!below(of_descriptor(descriptor, name, sizeof name)))
        return REAL(fchmod)(descriptor, mode);
    CHANGE(0, REAL(fchmod)(descriptor, mode), record((struct record){.what = MODE, .inode = inode_of(descriptor), .mode = mode}, NULL, NULL, NULL));
}

int fchmodat(int directory, const char *path, mode_t mode, int flags)
{
    char full[8192];
    if (!below(absolute(directory, path, full, sizeof full)))
        return REAL(fchmodat)(directory, path, mode, flags);
    CHANGE(0, REAL(fchmodat)(directory, path, mode, flags), record((struct record){.what = MODE, .inode = inode_at(full), .mode = mode}, NULL, NULL, NULL));
}
int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }

/* Nothing is really brought to disk: what would be there is made up from the record. */
static int synced(int descriptor, int what)
{
    char name[4096];
    if (!below(of_descriptor(descriptor, name, sizeof name)))
        return 0;
    CHANGE(1, 0, record((struct record){.what = what, .inode = inode_of(descriptor)}, name, NULL, NULL));
}
int fsync(int descriptor) { return synced(descriptor, SYNC); }
int fdatasync(int descriptor) { return synced(descriptor, SYNC); }
int syncfs(int descriptor) { return synced(descriptor, SYNC_ALL); }

/* Called by the program under test: words that stand in the record between two changes. */
void fault_note(const char *text)
{
    TAKE;
    record((struct record){.what = NOTE}, text, NULL, NULL);
    GIVE;
}
