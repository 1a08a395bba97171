#define _GNU_SOURCE
#include "CLinux.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

int clinux_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}

ssize_t clinux_pread_nowait(int fd, void *buffer, size_t length, off_t offset) {
    struct iovec vector = {buffer, length};
    return preadv2(fd, &vector, 1, offset, RWF_NOWAIT);
}

int clinux_punch_hole(int fd, off_t offset, off_t length) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_zero_range(int fd, off_t offset, off_t length) {
    return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_reserve(int fd, off_t offset, off_t length) {
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_clone_range(int from, off_t from_offset, off_t length, int to, off_t to_offset) {
    struct file_clone_range range = {
        .src_fd = from, .src_offset = from_offset, .src_length = length, .dest_offset = to_offset};
    return ioctl(to, FICLONERANGE, &range);
}

ssize_t clinux_copy_range(int from, off_t from_offset, int to, off_t to_offset, size_t length) {
    loff_t source = from_offset, target = to_offset;
    return copy_file_range(from, &source, to, &target, length, 0);
}

int clinux_syncfs(int fd) { return syncfs(fd); }

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clinux_boottime_ns(void) { return nanoseconds(CLOCK_BOOTTIME); }

uint64_t clinux_realtime_ns(void) { return nanoseconds(CLOCK_REALTIME); }

uint64_t clinux_file_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

uint64_t clinux_raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return clinux_file_limit();
}

void clinux_expand_file_table(int files) {
    uint64_t limit = clinux_file_limit();
    int any = open("/", O_PATH | O_CLOEXEC);
    if (any < 0) return;
    int last = fcntl(any, F_DUPFD_CLOEXEC, limit < (uint64_t)files ? (int)limit - 1 : files - 1);
    if (last >= 0) close(last);
    close(any);
}

void clinux_close_on_exec(int first) {
    if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
    // Before Linux 5.11.
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    for (int fd = first; (rlim_t)fd < limit.rlim_cur; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int clinux_errno(void) { return errno; }

int clinux_flock(int fd, int operation) { return flock(fd, operation); }

int64_t clinux_file_system_type(int fd) {
    struct statfs status;
    return fstatfs(fd, &status) == 0 ? (int64_t)status.f_type : -1;
}

int clinux_o_direct(void) { return O_DIRECT; }

int clinux_fork(void) { return fork(); }

int clinux_wait(int child) {
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

const void *clinux_find(const void *bytes, size_t length, const void *needle, size_t needle_length) {
    return memmem(bytes, length, needle, needle_length);
}

void clinux_syslog(const char *program, int priority, const char *text) {
    openlog(program, LOG_PID, LOG_DAEMON);
    syslog(priority, "%s", text);
}

int clinux_memory_file(const char *name, off_t size) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (ftruncate(fd, size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int clinux_is_memory_file(int fd, off_t size) {
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, &status) == 0 && status.st_size == size;
}

int clinux_o_path(void) { return O_PATH; }

uint64_t clinux_shared_load(const uint64_t *place) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(place, __ATOMIC_SEQ_CST);
}

void clinux_shared_store(uint64_t *place, uint64_t value) {
    __atomic_store_n(place, value, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

_Static_assert(sizeof(pthread_mutex_t) <= clinux_life_size, "a mutex needs more room");
// The word that the kernel marks, see robust futexes in the kernel's documentation.
_Static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0, "the mutex's futex is not its first word");

int clinux_life_begin(void *place) {
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error != 0) return error;
    error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0) error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (error == 0) error = pthread_mutex_init(place, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return error == 0 ? pthread_mutex_lock(place) : error;
}

int clinux_life_lasts(const void *place) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint32_t word = __atomic_load_n((const uint32_t *)place, __ATOMIC_SEQ_CST);
    return (word & FUTEX_TID_MASK) != 0 && (word & FUTEX_OWNER_DIED) == 0;
}
