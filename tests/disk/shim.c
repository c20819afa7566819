/* Stands between a process and its files: LD_PRELOAD for the disk tests.
 *
 * Every change below one directory passes here under one lock, so that there is one order of all of them: ledger, brains, directories.
 * It can write them down (for images of what a loss of power leaves), let an fsync fail and really take the unsynced bytes back, let the
 * disk be full, or end the process at a chosen change. It never changes what is read.
 *
 *   LOKET_DISK_DIR=DIR     the directory that is watched, absolute; the other variables do nothing without it
 *   LOKET_DISK_LOG=FILE    write down every change (the form is below)
 *   LOKET_DISK_KILL=N      kill -9 oneself before the Nth change (1 is the first)
 *   LOKET_DISK_EIO=N       the Nth fsync fails with EIO: what was written to that file since its last good one is gone
 *   LOKET_DISK_LIE=N       the Nth fsync fails with EIO, but what was written reads back as if nothing were wrong; it never reaches the disk
 *   LOKET_DISK_FULL=N      from the Nth write on, every write that makes a file longer fails with ENOSPC, until DIR.space exists
 *
 * A record: u8 kind, u64 inode, u64 at, u32 length of a, u32 length of b, a, b; little endian. Kinds are the enum below.
 * What goes past the C library (memory maps, system calls made by hand) is not seen: SQLite's -shm files, which a start makes anew.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, FSYNC, RENAME, UNLINK, MKDIR, DIRSYNC, LOST };

#define FDS 65536
#define PATH_BYTES 4096

/* What a write replaced, newest first: an fsync that fails takes it back. */
struct undo {
    struct undo *older;
    off_t at, size_before;
    size_t len;
    char bytes[];
};

struct file {
    ino_t inode;
    int side; /* a descriptor of our own, when fsyncs may fail */
    struct undo *undo;
    struct file *next;
};

struct fd {
    enum { OTHER, FILE_FD, DIR_FD } what;
    struct file *file;
    char path[PATH_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fd *fds[FDS];
static struct file *files;
static char dir[PATH_BYTES], space[PATH_BYTES + 8];
static size_t dir_len;
static int log_fd = -1;
static long kill_at, eio_at, lie_at, full_at, changes, fsyncs, writes;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
    const char *watched = getenv("LOKET_DISK_DIR"), *log = getenv("LOKET_DISK_LOG");
    if (!watched || strlen(watched) >= PATH_BYTES - 8) return;
    strcpy(dir, watched);
    dir_len = strlen(dir);
    snprintf(space, sizeof space, "%s.space", dir);
    const char *n;
    kill_at = (n = getenv("LOKET_DISK_KILL")) ? atol(n) : 0;
    eio_at = (n = getenv("LOKET_DISK_EIO")) ? atol(n) : 0;
    lie_at = (n = getenv("LOKET_DISK_LIE")) ? atol(n) : 0;
    full_at = (n = getenv("LOKET_DISK_FULL")) ? atol(n) : 0;
    REAL(open);
    if (log) log_fd = real(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int watched(const char *path) {
    return dir_len && path && !strncmp(path, dir, dir_len) && (path[dir_len] == '/' || !path[dir_len]);
}

static int shared_memory(const char *path) {
    size_t len = strlen(path);
    return len > 4 && !strcmp(path + len - 4, "-shm");
}

static void put(char **to, const void *from, size_t len) {
    memcpy(*to, from, len);
    *to += len;
}

/* Counts a change and writes it down; ends the process instead when its time has come. Called before the change, under the lock. */
static void note(enum kind kind, uint64_t inode, uint64_t at, const void *a, size_t a_len, const void *b, size_t b_len) {
    if (++changes == kill_at) kill(getpid(), SIGKILL);
    if (log_fd < 0) return;
    uint8_t k = kind;
    uint32_t al = a_len, bl = b_len;
    char *record = malloc(25 + a_len + b_len), *to = record;
    if (!record) abort();
    put(&to, &k, 1), put(&to, &inode, 8), put(&to, &at, 8), put(&to, &al, 4), put(&to, &bl, 4);
    put(&to, a, a_len), put(&to, b, b_len);
    REAL(write);
    if (real(log_fd, record, to - record) != to - record) abort();
    free(record);
}

static struct fd *of(int fd) { return fd >= 0 && fd < FDS && fds[fd] && fds[fd]->what == FILE_FD ? fds[fd] : NULL; }

static struct file *file_of(ino_t inode, const char *path) {
    for (struct file *f = files; f; f = f->next)
        if (f->inode == inode) return f;
    struct file *f = calloc(1, sizeof *f);
    if (!f) abort();
    REAL(open);
    /* Never closed: closing any descriptor of a file would drop the process's locks on it. */
    f->side = eio_at ? real(path, O_RDWR | O_CLOEXEC) : -1;
    f->inode = inode, f->next = files;
    return files = f;
}

static void forget(struct file *f) {
    for (struct undo *u = f->undo, *older; u; u = older) older = u->older, free(u);
    f->undo = NULL;
}

/* Keeps what bytes at..at+len are now, when fsyncs may fail. */
static void keep(struct file *f, off_t at, size_t len) {
    struct stat now;
    if (f->side < 0 || fstat(f->side, &now)) return;
    size_t there = at >= now.st_size ? 0 : (size_t)(now.st_size - at);
    struct undo *u = malloc(sizeof *u + (there < len ? there : len));
    if (!u) abort();
    REAL(pread);
    ssize_t got = real(f->side, u->bytes, there < len ? there : len, at);
    u->at = at, u->size_before = now.st_size, u->len = got > 0 ? got : 0, u->older = f->undo;
    f->undo = u;
}

/* The unsynced writes are gone, as after a failed fsync whose pages the system has given up. */
static void drop_unsynced(struct file *f) {
    REAL(pwrite);
    for (struct undo *u = f->undo; u; u = u->older) {
        if (u->len && real(f->side, u->bytes, u->len, u->at) != (ssize_t)u->len) abort();
        if (ftruncate(f->side, u->size_before)) abort();
    }
    forget(f);
}

static void opened(int fd, const char *path, int flags, int was_there) {
    struct stat now;
    if (fd < 0 || fd >= FDS || fstat(fd, &now)) return;
    struct fd *d = fds[fd] ? fds[fd] : (fds[fd] = calloc(1, sizeof *d));
    if (!d) abort();
    d->what = OTHER;
    if (!watched(path) || shared_memory(path)) return;
    snprintf(d->path, sizeof d->path, "%s", path);
    if (S_ISDIR(now.st_mode)) {
        d->what = DIR_FD;
    } else if (S_ISREG(now.st_mode)) {
        d->what = FILE_FD;
        d->file = file_of(now.st_ino, path);
        if (!was_there) note(CREATE, now.st_ino, 0, path, strlen(path), NULL, 0), forget(d->file);
        else if (flags & O_TRUNC) note(TRUNCATE, now.st_ino, 0, NULL, 0, NULL, 0);
    }
}

static int open_at(const char *path, int flags, mode_t mode) {
    REAL(open);
    if (!dir_len) return real(path, flags, mode);
    pthread_mutex_lock(&lock);
    int there = access(path, F_OK) == 0;
    struct stat old;
    if (there && flags & O_TRUNC && watched(path) && !stat(path, &old)) keep(file_of(old.st_ino, path), 0, old.st_size);
    int fd = real(path, flags, mode);
    int why = errno;
    opened(fd, path, flags, there);
    pthread_mutex_unlock(&lock);
    errno = why;
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE(flags) return open_at(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) {
    MODE(flags)
    if (at == AT_FDCWD || *path == '/') return open_at(path, flags, mode);
    REAL(openat);
    return real(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    MODE(flags)
    if (at == AT_FDCWD || *path == '/') return open_at(path, flags, mode);
    REAL(openat64);
    return real(at, path, flags, mode);
}

int close(int fd) {
    REAL(close);
    if (!dir_len) return real(fd);
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS && fds[fd]) fds[fd]->what = OTHER;
    int done = real(fd);
    pthread_mutex_unlock(&lock);
    return done;
}

/* No room for a write that makes a file longer, from the chosen one on, until somebody makes the file that stands for space. */
static int no_room(struct file *f, int fd, off_t at, size_t len) {
    struct stat now;
    (void)f;
    if (!full_at || ++writes < full_at || fstat(fd, &now) || at + (off_t)len <= now.st_size) return 0;
    if (access(space, F_OK) == 0) return 0;
    errno = ENOSPC;
    return 1;
}

static ssize_t write_at(int fd, const void *bytes, size_t len, off_t at, int moves) {
    struct fd *d = of(fd);
    if (no_room(d->file, fd, at, len)) return -1;
    keep(d->file, at, len);
    note(WRITE, d->file->inode, at, bytes, len, NULL, 0);
    if (moves) {
        REAL(write);
        return real(fd, bytes, len);
    }
    REAL(pwrite);
    return real(fd, bytes, len, at);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    REAL(write);
    if (!of(fd)) return real(fd, bytes, len);
    pthread_mutex_lock(&lock);
    ssize_t done = write_at(fd, bytes, len, lseek(fd, 0, SEEK_CUR), 1);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    REAL(pwrite);
    if (!of(fd)) return real(fd, bytes, len, at);
    pthread_mutex_lock(&lock);
    ssize_t done = write_at(fd, bytes, len, at, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) { return pwrite(fd, bytes, len, at); }

int ftruncate(int fd, off_t len) {
    REAL(ftruncate);
    if (!of(fd)) return real(fd, len);
    pthread_mutex_lock(&lock);
    struct stat now;
    if (!fstat(fd, &now) && len < now.st_size) keep(of(fd)->file, len, now.st_size - len);
    else keep(of(fd)->file, len, 0);
    note(TRUNCATE, of(fd)->file->inode, len, NULL, 0, NULL, 0);
    int done = real(fd, len);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off64_t len) { return ftruncate(fd, len); }

static int sync_fd(int fd, int (*real)(int)) {
    struct fd *d = fd >= 0 && fd < FDS ? fds[fd] : NULL;
    if (!d || d->what == OTHER) return real(fd);
    pthread_mutex_lock(&lock);
    int done = 0;
    if (d->what == DIR_FD) {
        note(DIRSYNC, 0, 0, d->path, strlen(d->path), NULL, 0);
    } else if (++fsyncs == eio_at) {
        drop_unsynced(d->file);
        errno = EIO, done = -1;
    } else if (fsyncs == lie_at) {
        note(LOST, d->file->inode, 0, NULL, 0, NULL, 0);
        errno = EIO, done = -1;
    } else {
        note(FSYNC, d->file->inode, 0, NULL, 0, NULL, 0);
        forget(d->file);
        done = real(fd);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { REAL(fsync); return sync_fd(fd, real); }
int fdatasync(int fd) { REAL(fdatasync); return sync_fd(fd, real); }

#define PATHS(kind, from, to, call) \
    if (!watched(from) || shared_memory(from)) return call; \
    pthread_mutex_lock(&lock); \
    note(kind, 0, 0, from, strlen(from), to, strlen(to)); \
    int done = call, why = errno; \
    pthread_mutex_unlock(&lock); \
    errno = why; \
    return done;

int rename(const char *from, const char *to) { REAL(rename); PATHS(RENAME, from, to, real(from, to)) }
int unlink(const char *path) { REAL(unlink); if (access(path, F_OK)) return real(path); PATHS(UNLINK, path, "", real(path)) }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); if (!access(path, F_OK)) return real(path, mode); PATHS(MKDIR, path, "", real(path, mode)) }
