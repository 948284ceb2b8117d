/* smuggle connect NAME FILE: pass a writable descriptor of FILE to the abstract socket NAME.
   smuggle listen PATH FILE: pass it to whoever connects to a socket at PATH.
   Prints "ok", or the name of the errno it ended with. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int pass(int to, int descriptor) {
    char room[CMSG_SPACE(sizeof descriptor)] = {0}, byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    return sendmsg(to, &message, 0);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int file = open(argv[3], O_RDWR), s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int result = -1;
    if (!strcmp(argv[1], "connect")) {
        strcpy(at.sun_path + 1, argv[2]);
        result = connect(s, (void *)&at, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argv[2]));
    } else {
        strcpy(at.sun_path, argv[2]);
        if (bind(s, (void *)&at, sizeof at) == 0 && listen(s, 1) == 0) result = s = accept(s, NULL, NULL);
    }
    if (result >= 0) result = pass(s, file);
    puts(result < 0 ? strerrorname_np(errno) : "ok");
    return 0;
}
