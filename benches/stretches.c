/* Measures the stretches of a program's event loops: what a thread does between a return from
 * epoll_wait and its next call. Loaded by benches/heartbeat.py with LD_PRELOAD; Linux only.
 *
 * Each stretch of the threads named by STRETCHES_OF goes into the file STRETCHES_FILE, which the
 * caller has made of zero bytes: a count in 8 bytes, then 24 bytes for each stretch, which are its
 * CPU time and its time by the clock, both in nanoseconds, and 1 where another thread has taken the
 * loop over in between. The first thread works on then, so its CPU time is the most that the stretch
 * can have been. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOOPS = 1024 };

struct stretch { uint64_t cpu, wall, handed_over; };
struct file { uint64_t count; struct stretch stretches[]; };
struct end { pid_t thread; uint64_t cpu, wall; };

static int (*real)(int, struct epoll_event *, int, int);
static struct file *out;
static uint64_t room;
static const char *name = "";
/* The end of the latest wait of each loop. A loop is in the hands of one thread at a time. */
static struct end ends[LOOPS];

static uint64_t now(clockid_t clock) {
    struct timespec at = { 0, 0 };
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
    real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    const char *path = getenv("STRETCHES_FILE");
    struct stat size;
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd < 0 || fstat(fd, &size)) return;
    void *map = mmap(0, size.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return;
    out = map;
    room = (size.st_size - sizeof(uint64_t)) / sizeof(struct stretch);
    if (getenv("STRETCHES_OF")) name = getenv("STRETCHES_OF");
}

int epoll_wait(int loop, struct epoll_event *events, int most, int timeout) {
    char own[16] = "";
    if (out && loop < LOOPS) prctl(PR_GET_NAME, own);
    if (!out || loop >= LOOPS || !strstr(own, name)) return real(loop, events, most, timeout);
    struct end *last = &ends[loop];
    pid_t thread = gettid();
    if (last->thread) {
        uint64_t at = __atomic_fetch_add(&out->count, 1, __ATOMIC_RELAXED) % room;
        /* The clock of a thread by its number, as in the kernel's posix-timers.h. */
        uint64_t cpu = now((clockid_t)(~(unsigned)last->thread << 3 | 6));
        out->stretches[at] = (struct stretch){ cpu < last->cpu ? 0 : cpu - last->cpu,
            now(CLOCK_MONOTONIC) - last->wall, last->thread != thread };
    }
    int count = real(loop, events, most, timeout);
    *last = (struct end){ thread, now(CLOCK_THREAD_CPUTIME_ID), now(CLOCK_MONOTONIC) };
    return count;
}
