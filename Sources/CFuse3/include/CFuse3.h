// libfuse 3's low-level interface in plain C types: its structs have bit fields, which Swift does not import, and its functions
// have names by version. This header includes no system header, whose types would clash with those of Glibc's module.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A request that waits for its one answer, which may be given on any thread.
typedef struct fuse_req *cfuse_request;
/// A mounted, or not yet mounted, file system.
typedef struct cfuse_session cfuse_session;

/// What stat(2) shows.
struct cfuse_attributes {
    uint64_t inode;
    /// Bytes.
    uint64_t size;
    /// Nanoseconds since 1970.
    uint64_t modified;
    /// Type and permissions.
    uint32_t mode;
    uint32_t user;
    uint32_t group;
};

/// What setattr asks for; times may come with anything and are of no interest.
struct cfuse_changes {
    bool size;
    /// Mode, user or group.
    bool permissions;
    /// By an open file (ftruncate), not by a path (truncate, or open with O_TRUNC).
    bool through_handle;
    uint64_t new_size;
};

/// Called by ``cfuse_process``. Names and bytes are valid during the call only.
struct cfuse_operations {
    void (*lookup)(void *context, cfuse_request request, uint64_t parent, const char *name);
    void (*forget)(void *context, uint64_t inode, uint64_t count);
    void (*get_attributes)(void *context, cfuse_request request, uint64_t inode);
    void (*set_attributes)(void *context, cfuse_request request, uint64_t inode, struct cfuse_changes changes);
    void (*open)(void *context, cfuse_request request, uint64_t inode, int flags);
    void (*read)(void *context, cfuse_request request, uint64_t inode, uint64_t handle, size_t size, uint64_t offset);
    /// `flags` are those of the open file now: O_DSYNC asks for durability before the answer.
    void (*write)(
        void *context, cfuse_request request, uint64_t inode, uint64_t handle, const char *bytes, size_t size, uint64_t offset,
        int flags);
    void (*sync)(void *context, cfuse_request request, uint64_t inode, uint64_t handle);
    void (*allocate)(
        void *context, cfuse_request request, uint64_t inode, int mode, uint64_t offset, uint64_t length);
    void (*seek)(void *context, cfuse_request request, uint64_t inode, uint64_t offset, int whence);
    void (*release)(void *context, cfuse_request request, uint64_t inode, uint64_t handle);
    void (*open_directory)(void *context, cfuse_request request, uint64_t inode);
    void (*read_directory)(void *context, cfuse_request request, uint64_t handle, size_t size, uint64_t offset);
    void (*release_directory)(void *context, cfuse_request request, uint64_t handle);
    void (*space)(void *context, cfuse_request request);
};

struct cfuse_options {
    bool allow_other;
    /// The kernel may keep written pages and write them later (fsync and close wait for it).
    bool writeback;
    /// libfuse prints every request.
    bool debug;
};

/// NULL when libfuse refuses the options. `context` is handed to every operation.
cfuse_session *cfuse_create(const struct cfuse_operations *operations, void *context, struct cfuse_options options);
/// 0, or -1 when the path cannot be mounted on; libfuse says why on standard error.
int cfuse_mount(cfuse_session *session, const char *path);
/// The device that requests come from, readable when there is one; from now on reading it does not block.
int cfuse_device(cfuse_session *session);
/// The most bytes that a request has, and with which ``cfuse_receive`` must be called.
size_t cfuse_longest_request(void);
/// Takes a request from the kernel: its bytes, 0 when the file system was unmounted, or a negative error number (EAGAIN: there is none).
long cfuse_receive(cfuse_session *session, void *space);
/// Calls the operation that the request names; the bytes are needed during the call only.
void cfuse_process(cfuse_session *session, void *request, size_t size);
/// Frees the session, after the file system was unmounted and all is answered, or when it was never mounted.
void cfuse_destroy(cfuse_session *session);
/// umount2(2), or what fusermount3 does for users; 0 or an error number.
int cfuse_unmount(const char *path, bool lazily);

/// Requests of 1 MiB come and go: fresh pages for each would cost as much as copying it does. For the whole process; at most
/// 64 MiB of what was freed stay.
void cfuse_keep_memory(void);

// Answers; exactly one to each request.
void cfuse_fail(cfuse_request request, int error_number);
/// Name and attributes may be used for so many seconds without asking again.
void cfuse_reply_entry(
    cfuse_request request, struct cfuse_attributes attributes, double name_seconds, double attribute_seconds);
void cfuse_reply_attributes(cfuse_request request, struct cfuse_attributes attributes, double valid_seconds);
/// `direct`: the page cache is passed by, and writes may overlap. `keep`: what it holds of the file stays.
void cfuse_reply_open(cfuse_request request, uint64_t handle, bool direct, bool keep);
void cfuse_reply_directory(cfuse_request request, uint64_t handle);
void cfuse_reply_bytes(cfuse_request request, const void *bytes, size_t size);
/// Bytes in several places; the layout is that of struct iovec.
struct cfuse_piece {
    const void *bytes;
    size_t size;
};
void cfuse_reply_pieces(cfuse_request request, const struct cfuse_piece *pieces, int count);
void cfuse_reply_written(cfuse_request request, size_t size);
/// What statvfs(3) shows, in bytes: all there is, and what of it is free.
void cfuse_reply_space(cfuse_request request, uint64_t total, uint64_t available);
void cfuse_reply_offset(cfuse_request request, uint64_t offset);
/// Appends a directory entry to `buffer`; the bytes it takes, more than `space` when it does not fit and nothing was done.
size_t cfuse_add_entry(
    cfuse_request request, char *buffer, size_t space, const char *name, uint64_t inode, uint32_t mode, uint64_t next);

/// Tells a kernel that caches writes, and so trusts its own idea of a file's size, that the file became longer. Not to be called
/// on a thread that answers requests of the file.
void cfuse_grow(cfuse_session *session, uint64_t inode, uint64_t size);
