// The least processor time that a logical unit can cost whose store tgt asks over a socket: a server for tgt's store `sheepdog` that answers
// every read of data with one read of a file, and sleeps in between. What it takes to open the volume it lets a real sheep answer.
//
//   bare-store LISTEN-SOCKET SHEEP-SOCKET FILE     stays in the foreground; data cannot be written
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// A request's header and a reply's, 48 bytes each, of which only these fields count here.
struct request {
    uint8_t version, opcode;
    uint16_t flags;
    uint32_t epoch, id, length;
    uint64_t object, other_object;
    uint32_t reserved[2];
    uint64_t offset;
};
struct reply {
    uint8_t version, opcode;
    uint16_t flags;
    uint32_t epoch, id, length, result, reserved[7];
};

enum { read_object = 2, carries_data = 1, object_shift = 22, longest = 16 << 20, most_clients = 1024 };

static const char *sheep_socket;
static int file, sheep_of[most_clients];
static char *buffer;

static int fail(const char *what) { return perror(what), exit(1), -1; }

static struct sockaddr_un address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return address;
}

static int connected_to(const char *path) {
    struct sockaddr_un place = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&place, sizeof place) == 0 ? fd : fail(path);
}

static int listening_on(const char *path) {
    struct sockaddr_un place = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return bind(fd, (struct sockaddr *)&place, sizeof place) == 0 && listen(fd, 64) == 0 ? fd : fail(path);
}

// To receive nothing would wait for something.
static int receive_all(int fd, void *bytes, size_t length) {
    return length == 0 || recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}
static int send_all(int fd, const void *bytes, size_t length) { return send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length; }

static int answer_read(int client, const struct request *request) {
    struct reply reply = {.version = request->version, .opcode = request->opcode, .epoch = request->epoch, .id = request->id,
                          .length = request->length};
    memcpy(buffer, &reply, sizeof reply);
    off_t start = ((off_t)(request->object & UINT32_MAX) << object_shift) + (off_t)request->offset;
    return pread(file, buffer + sizeof reply, request->length, start) == (ssize_t)request->length
        && send_all(client, buffer, sizeof reply + request->length);
}

static int pass_on(int client, const struct request *request) {
    if (sheep_of[client] == 0) sheep_of[client] = connected_to(sheep_socket);
    int sheep = sheep_of[client], sends = request->flags & carries_data;
    if (!send_all(sheep, request, sizeof *request)) return 0;
    if (sends && !(receive_all(client, buffer, request->length) && send_all(sheep, buffer, request->length))) return 0;
    struct reply *reply = (struct reply *)buffer;
    if (!receive_all(sheep, reply, sizeof *reply)) return 0;
    size_t data = sends ? 0 : reply->length;
    return data <= longest && receive_all(sheep, buffer + sizeof *reply, data) && send_all(client, buffer, sizeof *reply + data);
}

static int serve(int client) {
    struct request request;
    if (!receive_all(client, &request, sizeof request) || request.length > longest) return 0;
    int is_data = request.object >> 63 == 0;
    return request.opcode == read_object && is_data ? answer_read(client, &request) : pass_on(client, &request);
}

static void end(int client) {
    close(client);
    if (sheep_of[client] != 0) close(sheep_of[client]);
    sheep_of[client] = 0;
}

int main(int count, char **words) {
    if (count != 4) return fprintf(stderr, "usage: bare-store LISTEN-SOCKET SHEEP-SOCKET FILE\n"), 64;
    sheep_socket = words[2];
    file = open(words[3], O_RDONLY);
    if (file < 0) fail(words[3]);
    buffer = malloc(longest + sizeof(struct reply));
    int listener = listening_on(words[1]), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, -1);
        for (int place = 0; place < ready; place++) {
            int fd = events[place].data.fd;
            if (fd != listener) {
                if (!serve(fd)) end(fd);
                continue;
            }
            int client = accept(listener, NULL, NULL);
            if (client < 0 || client >= most_clients) fail("accept");
            event.data.fd = client;
            epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
        }
    }
}
