#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include "CFuse3.h"
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <malloc.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// Newer than the headers of Debian 12; older kernels ignore it.
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

struct cfuse_session {
    struct fuse_session *fuse;
    struct cfuse_operations operations;
    struct cfuse_options options;
    void *context;
};

#define SESSION(request) ((cfuse_session *)fuse_req_userdata(request))
#define CALL(request, operation, ...) SESSION(request)->operations.operation(SESSION(request)->context, __VA_ARGS__)

// Operations

static void initialize(void *user, struct fuse_conn_info *connection) {
    cfuse_session *session = user;
    if (session->options.writeback && connection->capable & FUSE_CAP_WRITEBACK_CACHE)
        connection->want |= FUSE_CAP_WRITEBACK_CACHE;
    // Sizes change by the cluster's word, not by guesses from times.
    connection->want &= ~FUSE_CAP_AUTO_INVAL_DATA;
    // Else the kernel takes a file that is opened with O_TRUNC for empty, whatever the answer.
    connection->want &= ~FUSE_CAP_ATOMIC_O_TRUNC;
    connection->max_background = 64;
    connection->congestion_threshold = 48;
    connection->time_gran = 1;
}

static void lookup(fuse_req_t request, fuse_ino_t parent, const char *name) { CALL(request, lookup, request, parent, name); }

static void forget(fuse_req_t request, fuse_ino_t inode, uint64_t count) {
    CALL(request, forget, inode, count);
    fuse_reply_none(request);
}

static void get_attributes(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    (void)file;
    CALL(request, get_attributes, request, inode);
}

static void set_attributes(
    fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int which, struct fuse_file_info *file) {
    struct cfuse_changes changes = {
        .size = which & FUSE_SET_ATTR_SIZE,
        .permissions = which & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID),
        .through_handle = file != NULL,
        .new_size = (uint64_t)wanted->st_size};
    CALL(request, set_attributes, request, inode, changes);
}

static void open_file(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    CALL(request, open, request, inode, file->flags);
}

static void read_file(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *file) {
    CALL(request, read, request, inode, file->fh, size, (uint64_t)offset);
}

static void write_file(
    fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t size, off_t offset, struct fuse_file_info *file) {
    CALL(request, write, request, inode, file->fh, bytes, size, (uint64_t)offset, file->flags);
}

static void sync_file(fuse_req_t request, fuse_ino_t inode, int data_only, struct fuse_file_info *file) {
    (void)data_only;
    CALL(request, sync, request, inode, file->fh);
}

static void allocate(
    fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length, struct fuse_file_info *file) {
    (void)file;
    CALL(request, allocate, request, inode, mode, (uint64_t)offset, (uint64_t)length);
}

static void seek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence, struct fuse_file_info *file) {
    (void)file;
    CALL(request, seek, request, inode, (uint64_t)offset, whence);
}

static void release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    CALL(request, release, request, inode, file->fh);
}

static void open_directory(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    (void)file;
    CALL(request, open_directory, request, inode);
}

static void read_directory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *file) {
    (void)inode;
    CALL(request, read_directory, request, file->fh, size, (uint64_t)offset);
}

static void release_directory(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    (void)inode;
    CALL(request, release_directory, request, file->fh);
}

static void space(fuse_req_t request, fuse_ino_t inode) {
    (void)inode;
    CALL(request, space, request);
}

// The tree is the cluster's: nothing is made, removed or renamed here.

static void no_make_node(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device) {
    (void)parent, (void)name, (void)mode, (void)device;
    fuse_reply_err(request, EPERM);
}

static void no_make_directory(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode) {
    (void)parent, (void)name, (void)mode;
    fuse_reply_err(request, EPERM);
}

static void no_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *file) {
    (void)parent, (void)name, (void)mode, (void)file;
    fuse_reply_err(request, EPERM);
}

static void no_remove(fuse_req_t request, fuse_ino_t parent, const char *name) {
    (void)parent, (void)name;
    fuse_reply_err(request, EPERM);
}

static void no_rename(
    fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name, unsigned int flags) {
    (void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
    fuse_reply_err(request, EPERM);
}

static void no_link(fuse_req_t request, fuse_ino_t inode, fuse_ino_t parent, const char *name) {
    (void)inode, (void)parent, (void)name;
    fuse_reply_err(request, EPERM);
}

static void no_symbolic_link(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name) {
    (void)target, (void)parent, (void)name;
    fuse_reply_err(request, EPERM);
}

static const struct fuse_lowlevel_ops operations_of_libfuse = {
    .init = initialize,
    .lookup = lookup,
    .forget = forget,
    .getattr = get_attributes,
    .setattr = set_attributes,
    .open = open_file,
    .read = read_file,
    .write = write_file,
    .fsync = sync_file,
    .fallocate = allocate,
    .lseek = seek,
    .release = release,
    .opendir = open_directory,
    .readdir = read_directory,
    .releasedir = release_directory,
    .statfs = space,
    .mknod = no_make_node,
    .mkdir = no_make_directory,
    .create = no_create,
    .unlink = no_remove,
    .rmdir = no_remove,
    .rename = no_rename,
    .link = no_link,
    .symlink = no_symbolic_link,
};

// Session

cfuse_session *cfuse_create(const struct cfuse_operations *operations, void *context, struct cfuse_options options) {
    cfuse_session *session = calloc(1, sizeof *session);
    if (session == NULL) return NULL;
    session->operations = *operations;
    session->context = context;
    session->options = options;
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    int failed = fuse_opt_add_arg(&arguments, "sheepfs") | fuse_opt_add_arg(&arguments, "-o")
        | fuse_opt_add_arg(&arguments, "fsname=sheepfs,subtype=sheepfs,default_permissions");
    if (options.allow_other) failed |= fuse_opt_add_arg(&arguments, "-oallow_other");
    if (options.debug) failed |= fuse_opt_add_arg(&arguments, "-d");
    if (!failed)
        session->fuse = fuse_session_new(&arguments, &operations_of_libfuse, sizeof operations_of_libfuse, session);
    fuse_opt_free_args(&arguments);
    if (session->fuse != NULL) return session;
    free(session);
    return NULL;
}

int cfuse_mount(cfuse_session *session, const char *path) { return fuse_session_mount(session->fuse, path); }

int cfuse_device(cfuse_session *session) {
    int device = fuse_session_fd(session->fuse);
    fcntl(device, F_SETFL, fcntl(device, F_GETFL) | O_NONBLOCK);
    return device;
}

// libfuse reads with what it negotiated: at most 256 pages of data and 4096 bytes for headers.
size_t cfuse_longest_request(void) { return 256 * (size_t)sysconf(_SC_PAGESIZE) + 4096; }

long cfuse_receive(cfuse_session *session, void *space) {
    struct fuse_buf buffer = {.mem = space};
    int result;
    do result = fuse_session_receive_buf(session->fuse, &buffer);
    while (result == -EINTR);
    return result;
}

void cfuse_process(cfuse_session *session, void *request, size_t size) {
    struct fuse_buf buffer = {.mem = request, .size = size};
    fuse_session_process_buf(session->fuse, &buffer);
}

void cfuse_destroy(cfuse_session *session) {
    fuse_session_destroy(session->fuse);
    free(session);
}

static int unmount_as_user(const char *path, bool lazily) {
    char *arguments[] = {"fusermount3", "-u", "-q", lazily ? "-z" : "--", (char *)path, NULL};
    pid_t child;
    int status;
    extern char **environ;
    int error = posix_spawnp(&child, "fusermount3", NULL, NULL, arguments, environ);
    if (error != 0) return error;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EBUSY;
}

int cfuse_unmount(const char *path, bool lazily) {
    if (umount2(path, lazily ? MNT_DETACH : 0) == 0) return 0;
    return errno == EPERM ? unmount_as_user(path, lazily) : errno;
}

void cfuse_keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

// Answers

// What a volume takes is not asked for each time; but fewer than all make cp and tar look for holes, and none would make them
// take all for one.
static blkcnt_t blocks_of(uint64_t size) {
    if (size < 1024) return size > 0;
    return (blkcnt_t)(size / 512 - 1);
}

static struct stat status_of(struct cfuse_attributes attributes) {
    struct stat status;
    memset(&status, 0, sizeof status);
    status.st_ino = attributes.inode;
    status.st_mode = attributes.mode;
    status.st_nlink = S_ISDIR(attributes.mode) ? 2 : 1;
    status.st_uid = attributes.user;
    status.st_gid = attributes.group;
    status.st_size = (off_t)attributes.size;
    status.st_blocks = blocks_of(attributes.size);
    status.st_blksize = 4096;
    status.st_mtim.tv_sec = (time_t)(attributes.modified / 1000000000u);
    status.st_mtim.tv_nsec = (long)(attributes.modified % 1000000000u);
    status.st_atim = status.st_ctim = status.st_mtim;
    return status;
}

void cfuse_fail(cfuse_request request, int error_number) { fuse_reply_err(request, error_number); }

void cfuse_reply_entry(
    cfuse_request request, struct cfuse_attributes attributes, double name_seconds, double attribute_seconds) {
    struct fuse_entry_param entry = {
        .ino = attributes.inode, .generation = 1, .attr = status_of(attributes), .attr_timeout = attribute_seconds,
        .entry_timeout = name_seconds};
    fuse_reply_entry(request, &entry);
}

void cfuse_reply_attributes(cfuse_request request, struct cfuse_attributes attributes, double valid_seconds) {
    struct stat status = status_of(attributes);
    fuse_reply_attr(request, &status, valid_seconds);
}

// libfuse 3.14 has no field for parallel direct writes: the answer is composed here, as linux/fuse.h has it.
void cfuse_reply_open(cfuse_request request, uint64_t handle, bool direct, bool keep) {
    struct fuse_open_out answer = {
        .fh = handle,
        .open_flags = direct ? FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES : keep ? FOPEN_KEEP_CACHE : 0};
    fuse_reply_buf(request, (const char *)&answer, sizeof answer);
}

void cfuse_reply_directory(cfuse_request request, uint64_t handle) {
    struct fuse_file_info file = {.fh = handle};
    fuse_reply_open(request, &file);
}

void cfuse_reply_bytes(cfuse_request request, const void *bytes, size_t size) { fuse_reply_buf(request, bytes, size); }

_Static_assert(
    sizeof(struct cfuse_piece) == sizeof(struct iovec) && offsetof(struct cfuse_piece, bytes) == offsetof(struct iovec, iov_base)
        && offsetof(struct cfuse_piece, size) == offsetof(struct iovec, iov_len),
    "pieces are handed on as they are");

void cfuse_reply_pieces(cfuse_request request, const struct cfuse_piece *pieces, int count) {
    fuse_reply_iov(request, (const struct iovec *)pieces, count);
}

void cfuse_reply_written(cfuse_request request, size_t size) { fuse_reply_write(request, size); }

void cfuse_reply_space(cfuse_request request, uint64_t total, uint64_t available) {
    struct statvfs status = {
        .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255, .f_blocks = total / 4096, .f_bfree = available / 4096,
        .f_bavail = available / 4096};
    fuse_reply_statfs(request, &status);
}

void cfuse_reply_offset(cfuse_request request, uint64_t offset) { fuse_reply_lseek(request, (off_t)offset); }

size_t cfuse_add_entry(
    cfuse_request request, char *buffer, size_t space, const char *name, uint64_t inode, uint32_t mode, uint64_t next) {
    struct stat status = {.st_ino = inode, .st_mode = mode};
    return fuse_add_direntry(request, buffer, space, name, &status, (off_t)next);
}

void cfuse_grow(cfuse_session *session, uint64_t inode, uint64_t size) {
    if (size == 0) return;
    // A stored byte lengthens the file; its page is then dropped, for what it holds is known to the cluster alone.
    char zero = 0;
    struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(1);
    bytes.buf[0].mem = &zero;
    if (fuse_lowlevel_notify_store(session->fuse, inode, (off_t)(size - 1), &bytes, 0) == 0)
        fuse_lowlevel_notify_inval_inode(session->fuse, inode, (off_t)(size - 1), 1);
}
