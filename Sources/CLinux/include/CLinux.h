// Linux calls that Glibc's module lacks or that are variadic or macros.
// The feature macro must come before any system header; that is why this shim exists.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/// open(2) with a mode; variadic in C.
int clinux_open(const char *path, int flags, mode_t mode);
/// openat(2) with a mode; variadic in C.
int clinux_openat(int directory, const char *path, int flags, mode_t mode);
/// preadv2(2) with RWF_NOWAIT: fails with EAGAIN when the page cache has no copy.
ssize_t clinux_pread_nowait(int fd, void *buffer, size_t length, off_t offset);
/// fallocate(2), punching a hole that reads as zeros and keeps the size.
int clinux_punch_hole(int fd, off_t offset, off_t length);
/// fallocate(2) that reserves blocks and keeps the size.
int clinux_reserve(int fd, off_t offset, off_t length);
/// FICLONERANGE: shares extents where the file system can (XFS, Btrfs); fails with EOPNOTSUPP elsewhere.
int clinux_clone_range(int from, off_t from_offset, off_t length, int to, off_t to_offset);
/// copy_file_range(2).
ssize_t clinux_copy_range(int from, off_t from_offset, int to, off_t to_offset, size_t length);
/// syncfs(2).
int clinux_syncfs(int fd);
/// CLOCK_BOOTTIME in nanoseconds: goes on while the machine sleeps, so a lease ends in suspended time too.
uint64_t clinux_boottime_ns(void);
/// CLOCK_REALTIME in nanoseconds since 1970.
uint64_t clinux_realtime_ns(void);
/// Raises the soft limit of open files to the hard one and returns it.
uint64_t clinux_raise_file_limit(void);
/// errno of the last call on this thread.
int clinux_errno(void);
/// flock(2); its name is also a struct's.
int clinux_flock(int fd, int operation);
/// The f_type of fstatfs(2) (linux/magic.h), or -1.
int64_t clinux_file_system_type(int fd);
/// memmem(3): where `needle` first stands in `bytes`, or NULL.
const void *clinux_find(const void *bytes, size_t length, const void *needle, size_t needle_length);
