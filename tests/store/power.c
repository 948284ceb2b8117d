/* Every wish of a process to have something on disk, told to whoever records it before it is granted (and then not carried out).
 * Preloaded; POWER_FD is a connected socket that takes a line and answers with one byte. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int tell(const char *what, int descriptor)
{
    char link[64], name[4096], line[4200], answer;
    const char *socket = getenv("POWER_FD");
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (socket == NULL || length < 0)
        return 0;
    name[length] = 0;
    int size = snprintf(line, sizeof line, "%s %s", what, name);
    pthread_mutex_lock(&turn);
    int failed = write(atoi(socket), line, size) != size || read(atoi(socket), &answer, 1) != 1;
    pthread_mutex_unlock(&turn);
    if (failed)
        _exit(99);
    return 0;
}

int fsync(int descriptor) { return tell("file", descriptor); }
int fdatasync(int descriptor) { return tell("file", descriptor); }
int syncfs(int descriptor) { return tell("all", descriptor); }
