// The least that a volume as a file can cost: a FUSE file system with one file, `bench`, whose every request is one system call on a
// file of the disk. What sheepfs is measured against.
//
//   bare-passthrough [-k] FILE MOUNTPOINT     -k: the kernel caches pages, as `sheepfs -k`; stays in the foreground
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

static int file;
static bool caches;
static const fuse_ino_t bench = 2;

static struct stat status_of(fuse_ino_t inode) {
    struct stat status = {.st_ino = inode, .st_mode = S_IFDIR | 0755, .st_nlink = 2};
    if (inode == bench) fstat(file, &status);
    status.st_ino = inode;
    return status;
}

static void initialize(void *user, struct fuse_conn_info *connection) {
    (void)user;
    if (caches) connection->want |= connection->capable & FUSE_CAP_WRITEBACK_CACHE;
    connection->max_background = 64;
}

static void lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
    if (parent != FUSE_ROOT_ID || strcmp(name, "bench") != 0) return (void)fuse_reply_err(request, ENOENT);
    struct fuse_entry_param entry = {.ino = bench, .attr = status_of(bench), .attr_timeout = 1, .entry_timeout = 1};
    fuse_reply_entry(request, &entry);
}

static void get_attributes(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
    (void)info;
    struct stat status = status_of(inode);
    fuse_reply_attr(request, &status, 1);
}

static void set_attributes(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int which, struct fuse_file_info *info) {
    (void)wanted, (void)which;
    get_attributes(request, inode, info);
}

static void open_file(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
    (void)inode, (void)info;
    struct fuse_open_out answer = {.open_flags = caches ? 0 : FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};
    fuse_reply_buf(request, (const char *)&answer, sizeof answer);
}

static void read_file(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)inode, (void)info;
    char *bytes = malloc(size);
    ssize_t count = bytes == NULL ? -1 : pread(file, bytes, size, offset);
    if (count < 0) fuse_reply_err(request, EIO);
    else fuse_reply_buf(request, bytes, (size_t)count);
    free(bytes);
}

static void write_file(
    fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)inode, (void)info;
    ssize_t count = pwrite(file, bytes, size, offset);
    if (count < 0) fuse_reply_err(request, EIO);
    else fuse_reply_write(request, (size_t)count);
}

static void sync_file(fuse_req_t request, fuse_ino_t inode, int data_only, struct fuse_file_info *info) {
    (void)inode, (void)data_only, (void)info;
    fuse_reply_err(request, fdatasync(file) == 0 ? 0 : EIO);
}

static const struct fuse_lowlevel_ops operations = {
    .init = initialize, .lookup = lookup, .getattr = get_attributes, .setattr = set_attributes, .open = open_file,
    .read = read_file, .write = write_file, .fsync = sync_file};

int main(int count, char **words) {
    caches = count == 4 && strcmp(words[1], "-k") == 0;
    if (count != 3 + caches) return fprintf(stderr, "usage: bare-passthrough [-k] FILE MOUNTPOINT\n"), 64;
    file = open(words[1 + caches], O_RDWR | O_CLOEXEC);
    if (file < 0) return perror(words[1 + caches]), 1;
    char *options[] = {"bare-passthrough", "-o", "fsname=bare-passthrough"};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, options);
    struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    if (session == NULL || fuse_set_signal_handlers(session) != 0) return 1;
    if (fuse_session_mount(session, words[2 + caches]) != 0) return 1;
    struct fuse_loop_config *configuration = fuse_loop_cfg_create();
    int result = fuse_session_loop_mt(session, configuration);
    fuse_session_unmount(session);
    fuse_loop_cfg_destroy(configuration);
    fuse_session_destroy(session);
    return result < 0;
}
