// Linux calls that Glibc's module lacks or that are variadic or macros.
// The shim's source begins with _GNU_SOURCE; this header includes no system header, whose types would clash with those
// of Glibc's module, and uses the plain C types that mode_t, off_t and ssize_t are on 64-bit Linux.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// open(2) with a mode; variadic in C.
int clinux_open(const char *path, int flags, unsigned int mode);
/// openat(2) with a mode; variadic in C.
int clinux_openat(int directory, const char *path, int flags, unsigned int mode);
/// preadv2(2) with RWF_NOWAIT: fails with EAGAIN when the page cache has no copy.
long clinux_pread_nowait(int fd, void *buffer, size_t length, long offset);
/// fallocate(2), punching a hole that reads as zeros and keeps the size.
int clinux_punch_hole(int fd, long offset, long length);
/// fallocate(2) that makes a range read as zeros, keeps its blocks and the size.
int clinux_zero_range(int fd, long offset, long length);
/// fallocate(2) that reserves blocks and keeps the size.
int clinux_reserve(int fd, long offset, long length);
/// FICLONERANGE: shares extents where the file system can (XFS, Btrfs); fails with EOPNOTSUPP elsewhere.
int clinux_clone_range(int from, long from_offset, long length, int to, long to_offset);
/// copy_file_range(2).
long clinux_copy_range(int from, long from_offset, int to, long to_offset, size_t length);
/// syncfs(2).
int clinux_syncfs(int fd);
/// CLOCK_BOOTTIME in nanoseconds: goes on while the machine sleeps, so a lease ends in suspended time too.
uint64_t clinux_boottime_ns(void);
/// CLOCK_REALTIME in nanoseconds since 1970.
uint64_t clinux_realtime_ns(void);
/// Raises the soft limit of open files to the hard one and returns it.
uint64_t clinux_raise_file_limit(void);
/// Makes room for so many open files, or as many as the limit allows. Later, when there are threads, Linux makes whoever opens the file that
/// has no place wait for 10 ms and more (RCU's grace period), at each doubling from 64 on. To be called after the last fork, which gives
/// the child a small table again.
void clinux_expand_file_table(int files);
/// The soft limit of open files.
uint64_t clinux_file_limit(void);
/// Marks every descriptor from `first` on to be closed by the next execve(2).
void clinux_close_on_exec(int first);
/// errno of the last call on this thread.
int clinux_errno(void);
/// flock(2); its name is also a struct's.
int clinux_flock(int fd, int operation);
/// The f_type of fstatfs(2) (linux/magic.h), or -1.
int64_t clinux_file_system_type(int fd);
/// O_DIRECT of open(2).
int clinux_o_direct(void);
/// Whence values of lseek(2) for sparse files.
static const int clinux_seek_data = 3;
static const int clinux_seek_hole = 4;
/// fork(2), which Swift does not offer: 0 in the child. Called before any thread is started.
int clinux_fork(void);
/// waitpid(2): the exit status of the child, or 1 when it was killed.
int clinux_wait(int child);
/// memmem(3): where `needle` first stands in `bytes`, or NULL.
const void *clinux_find(const void *bytes, size_t length, const void *needle, size_t needle_length);
/// memfd_create(2): so much memory, which other processes can map by way of /proc and nobody can shrink; -1 and errno when there is none.
int clinux_memory_file(const char *name, long size);
/// 1 when it is such memory of that size; only looks, at a descriptor of open(2) for reading.
int clinux_is_memory_file(int fd, long size);
/// O_PATH of open(2): names a file without opening it, whatever it is.
int clinux_o_path(void);
/// Reads a number that another process writes, after all that this thread has read before.
uint64_t clinux_shared_load(const uint64_t *place);
/// Writes a number that other processes read, before anything that this thread writes after.
void clinux_shared_store(uint64_t *place, uint64_t value);
/// Bytes that ``clinux_life_begin`` needs, aligned to 16.
enum { clinux_life_size = 64 };
/// Marks shared memory as that of a living thread, the calling one: a robust mutex that it holds until it ends. The kernel marks its end while
/// it takes the thread's memory away, which comes before the process's files are closed and its locks given up, however it ends. 0 or errno.
int clinux_life_begin(void *place);
/// 1 as long as the thread that began it has not ended.
int clinux_life_lasts(const void *place);
/// syslog(3) of one text as it is, under the name given to openlog(3); variadic in C.
void clinux_syslog(const char *program, int priority, const char *text);
