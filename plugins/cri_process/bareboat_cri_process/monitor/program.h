/* A program is a list of system calls that the driver compiled: what is done, and in what order, is decided in Python and only
 * carried out here. Layout: struct header, steps, then data; every offset counts from the header's start. */
enum { PAUSE = 1, TTY = 2, STDIN = 4, STDIN_ONCE = 8, SESSION = 16 };
enum { STEP_RELOCATE = 0xffff, STEP_FAIL = 0xfffe, STEP_TERMINAL = 0xfffd };
enum { VALUE = 0, DATA = 1, RESULT = 2 };

struct header {
    char magic[8];
    u32 flags, clone_flags;
    u32 outer, outer_count; /* steps of the monitor itself, before it forks */
    u32 inner, inner_count; /* steps of the process that becomes the container's */
    u32 directory, log, procs, pad; /* texts; 0 is none */
};

struct step {
    u32 nr, label;
    u16 kinds; /* two bits per argument: VALUE, DATA (an offset) or RESULT (of the step that saved it) */
    u16 save;  /* 1 + index under which the result is kept; 0 is not */
    u8 tolerated[4]; /* errno values that are fine; 255 is any */
    u64 argument[6];
};

struct failure { u32 label; int error; };

static char *program;
static struct header *head;
static long results[512];

static const char *text(u32 offset) { return offset ? program + offset : 0; }

static int tolerates(const struct step *s, long error) {
    for (int i = 0; i < 4; i++)
        if (s->tolerated[i] && (s->tolerated[i] == 255 || s->tolerated[i] == error)) return 1;
    return 0;
}

/* The driver gave offsets where the kernel wants pointers (argv, envp, structures with pointers). */
static void relocate(u64 table, u64 count) {
    u64 *cell = (u64 *)(program + table);
    for (u64 i = 0; i < count; i++)
        if (cell[i]) cell[i] += (u64)program;
}

/* A terminal from the container's own devpts becomes stdio; its master goes to the monitor over `channel`. */
static long terminal(int channel) {
    int unlock = 0;
    long master = CALL4(openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
    if (master < 0) return master;
    CALL3(ioctl, master, TIOCSPTLCK, &unlock);
    long slave = CALL3(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) return slave;
    struct failure none = {0, 0};
    struct vector vector = {&none, sizeof none};
    struct control control = {20, SOL_SOCKET, SCM_RIGHTS, (int)master, 0};
    struct message message = {0, 0, &vector, 1, &control, sizeof control, 0};
    long sent = CALL3(sendmsg, channel, &message, 0);
    if (sent < 0) return sent;
    for (int fd = 0; fd < 3; fd++) CALL3(dup3, slave, fd, 0);
    CALL1(close, master);
    return CALL3(ioctl, 0, TIOCSCTTY, 0);
}

static long perform(const struct step *s, int channel) {
    u64 a[6];
    for (int i = 0; i < 6; i++) {
        int kind = s->kinds >> (2 * i) & 3;
        a[i] = kind == DATA ? (u64)program + s->argument[i] : kind == RESULT ? (u64)results[s->argument[i]] : s->argument[i];
    }
    if (s->nr == STEP_RELOCATE) return relocate(s->argument[0], s->argument[1]), 0;
    if (s->nr == STEP_FAIL) return -(long)s->argument[0];
    if (s->nr == STEP_TERMINAL) return terminal(channel);
    return call(s->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Runs `count` steps. Returns the first failure, or error 0. */
static struct failure run(u32 offset, u32 count, int channel) {
    const struct step *s = (const struct step *)(program + offset);
    for (u32 i = 0; i < count; i++, s++) {
        long result = perform(s, channel);
        if (s->save) results[s->save - 1] = result;
        if (result < 0 && result > -4096 && !tolerates(s, -result)) return (struct failure){s->label, (int)-result};
    }
    return (struct failure){0, 0};
}
