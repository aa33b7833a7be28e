/* The kernel's interface, without a C library: numbers, stubs and the few structures that the monitor needs. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#if defined(__x86_64__)
enum {
    NR_read = 0, NR_write = 1, NR_close = 3, NR_lseek = 8, NR_mmap = 9, NR_munmap = 11, NR_rt_sigaction = 13, NR_rt_sigprocmask = 14,
    NR_ioctl = 16, NR_socket = 41, NR_sendto = 44, NR_recvfrom = 45, NR_sendmsg = 46, NR_recvmsg = 47, NR_bind = 49, NR_listen = 50,
    NR_socketpair = 53, NR_clone = 56, NR_exit_group = 231, NR_wait4 = 61, NR_kill = 62, NR_fcntl = 72, NR_chdir = 80, NR_fchmod = 91,
    NR_setsid = 112, NR_openat = 257, NR_unlinkat = 263, NR_renameat = 264, NR_ppoll = 271, NR_accept4 = 288, NR_dup3 = 292, NR_pipe2 = 293,
    NR_clock_gettime = 228, NR_close_range = 436, NR_prctl = 157,
};

static long call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    long result;
    register u64 r10 __asm__("r10") = d;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}

__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");

#elif defined(__aarch64__)
enum {
    NR_read = 63, NR_write = 64, NR_close = 57, NR_lseek = 62, NR_mmap = 222, NR_munmap = 215, NR_rt_sigaction = 134, NR_rt_sigprocmask = 135,
    NR_ioctl = 29, NR_socket = 198, NR_sendto = 206, NR_recvfrom = 207, NR_sendmsg = 211, NR_recvmsg = 212, NR_bind = 200, NR_listen = 201,
    NR_socketpair = 199, NR_clone = 220, NR_exit_group = 94, NR_wait4 = 260, NR_kill = 129, NR_fcntl = 25, NR_chdir = 49, NR_fchmod = 52,
    NR_setsid = 157, NR_openat = 56, NR_unlinkat = 35, NR_renameat = 38, NR_ppoll = 73, NR_accept4 = 242, NR_dup3 = 24, NR_pipe2 = 59,
    NR_clock_gettime = 113, NR_close_range = 436, NR_prctl = 167,
};

static long call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    register u64 x8 __asm__("x8") = nr;
    register u64 x0 __asm__("x0") = a;
    register u64 x1 __asm__("x1") = b;
    register u64 x2 __asm__("x2") = c;
    register u64 x3 __asm__("x3") = d;
    register u64 x4 __asm__("x4") = e;
    register u64 x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return (long)x0;
}

__asm__(".globl _start\n_start:\n mov x0, sp\n bl start\n");
#else
#error "no system call stubs for this machine"
#endif

#define CALL0(n) call(NR_##n, 0, 0, 0, 0, 0, 0)
#define CALL1(n, a) call(NR_##n, (u64)(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b) call(NR_##n, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c) call(NR_##n, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define CALL4(n, a, b, c, d) call(NR_##n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define CALL6(n, a, b, c, d, e, f) call(NR_##n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))

enum { AT_FDCWD = -100, O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_NOCTTY = 0400, O_TRUNC = 01000, O_APPEND = 02000,
       O_NONBLOCK = 04000, O_CLOEXEC = 02000000 };
enum { EINTR = 4, EAGAIN = 11 };
enum { POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16 };
enum { SIGKILL = 9, SIGPIPE = 13, SIGCHLD = 17 };
enum { PR_SET_DUMPABLE = 4, PR_SET_NAME = 15 };
enum { F_SETFL = 4, F_SETLK = 6, CLONE_PIDFD = 0x1000 };
enum { AF_UNIX = 1, SOCK_SEQPACKET = 5, SOL_SOCKET = 1, SCM_RIGHTS = 1, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000 };
enum { TIOCSCTTY = 0x540E, TIOCSWINSZ = 0x5414, TIOCSPTLCK = 0x40045431, TIOCGPTPEER = 0x5441 };

struct poll { int fd; short events, seen; };
struct time { long seconds, nanos; };
struct lock { short type, whence; long start, length; int pid; };
struct address { u16 family; char path[108]; };
struct vector { void *base; u64 length; };
struct message { void *name; u32 name_length; struct vector *vectors; u64 count; void *control; u64 control_length; int flags; };
struct control { u64 length; int level, type, fd, pad; };
struct action { u64 handler, flags, restorer, mask; };

/* The compiler may call these for copies and zeroing. */
void *memcpy(void *to, const void *from, u64 n) {
    for (u64 i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int value, u64 n) {
    for (u64 i = 0; i < n; i++) ((volatile char *)to)[i] = (char)value;
    return to;
}

static void quit(int code) {
    for (;;) CALL1(exit_group, code);
}

/* Decimal digits of v, right-aligned in `width` (0: as many as needed). Returns the number of characters. */
static int decimal(char *to, u64 v, int width) {
    char digits[20];
    int n = 0;
    do digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n < width) digits[n++] = '0';
    for (int i = 0; i < n; i++) to[i] = digits[n - 1 - i];
    return n;
}

static struct time wall_clock(void) {
    struct time now;
    CALL2(clock_gettime, 0, &now);
    return now;
}

static u64 nanoseconds(void) {
    struct time now = wall_clock();
    return (u64)now.seconds * 1000000000ul + (u64)now.nanos;
}
