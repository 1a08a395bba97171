/* Preloaded into a sheep: its store's disk fails on demand. SHEEP_FAULTS names a file whose text says how, empty for not at all:
   "write" and "sync" make these calls fail with EIO, "read" those that read objects. Only files under SHEEP_FAULTS_BELOW are
   concerned. Real disks that fail so are rare, and kernels with device-mapper's error target are not everywhere. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int file, const char *what) {
    const char *control = getenv("SHEEP_FAULTS"), *below = getenv("SHEEP_FAULTS_BELOW");
    if (!control || !below) return 0;
    static int (*real_open)(const char *, int, ...);
    static ssize_t (*real_read)(int, void *, size_t);
    if (!real_open) real_open = dlsym(RTLD_NEXT, "open");
    if (!real_read) real_read = dlsym(RTLD_NEXT, "read");
    char text[64] = "", link[64], path[4096];
    int saved = errno, fd = real_open(control, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { errno = saved; return 0; }
    ssize_t count = real_read(fd, text, sizeof text - 1);
    close(fd);
    errno = saved;
    if (count <= 0 || !strstr(text, what)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    count = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (count <= 0) return 0;
    path[count] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return 0;
    return strcmp(what, "read") != 0 || strstr(path, "/objects/") != NULL;
}

#define FAIL_IF(file, what) do { if (fails(file, what)) { errno = EIO; return -1; } } while (0)
#define REAL(name, type) static __typeof__(type) real; if (!real) real = (__typeof__(type)) dlsym(RTLD_NEXT, name)

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    REAL("pwrite", ssize_t (*)(int, const void *, size_t, off_t));
    FAIL_IF(file, "write");
    return real(file, bytes, count, offset);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    REAL("pread", ssize_t (*)(int, void *, size_t, off_t));
    FAIL_IF(file, "read");
    return real(file, bytes, count, offset);
}

ssize_t preadv2(int file, const struct iovec *parts, int count, off_t offset, int flags) {
    REAL("preadv2", ssize_t (*)(int, const struct iovec *, int, off_t, int));
    FAIL_IF(file, "read");
    return real(file, parts, count, offset, flags);
}

int fsync(int file) {
    REAL("fsync", int (*)(int));
    FAIL_IF(file, "sync");
    return real(file);
}

int fdatasync(int file) {
    REAL("fdatasync", int (*)(int));
    FAIL_IF(file, "sync");
    return real(file);
}

int syncfs(int file) {
    REAL("syncfs", int (*)(int));
    FAIL_IF(file, "sync");
    return real(file);
}
