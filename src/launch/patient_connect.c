/* LD_PRELOAD: a TCP connection that is begun without waiting gets ten seconds to stand before the caller goes on.
   The answer stays "in progress": whoever asks next finds the connection ready, as on a fast network. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int connect(int file, const struct sockaddr *address, socklen_t length) {
    int status = syscall(SYS_connect, file, address, length);
    if (status < 0 && errno == EINPROGRESS && (address->sa_family == AF_INET || address->sa_family == AF_INET6)) {
        struct pollfd begun = {.fd = file, .events = POLLOUT};
        poll(&begun, 1, 10000);
        errno = EINPROGRESS;
    }
    return status;
}
