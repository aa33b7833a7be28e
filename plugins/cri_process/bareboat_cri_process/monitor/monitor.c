/* The monitor: starts one process by a program of system calls, owns its streams, writes its log, and records its end. It outlives the
 * agent. As PAUSE it is the process that holds a pod's namespaces.
 *
 *   monitor PROGRAM STATUS [SESSION]     numbers of open files: the program, where to report the start, an exec's socket
 *
 * Files in the program's directory: `lock` is locked while the monitor lives (its holder's pid is the kernel's word), `running` holds pid
 * and start time, `exit` code, time and failure; `attach` is a socket. Each record appears whole, by rename. */
#include "kernel.h"
#include "program.h"
#include "log.h"
#include "relay.h"

struct report { int error, pid; u32 label, pad; u64 started; };

static int status_fd, lock_fd;
static int child_ends[3] = {-1, -1, -1};

static void report(struct failure failure, int pid, u64 started) {
    struct report r = {failure.error, pid, failure.label, 0, started};
    CALL3(write, status_fd, &r, sizeof r);
    CALL1(close, status_fd);
}

static void record(const char *name, u64 first, u64 time, struct failure failure) {
    char line[256];
    u32 n = (u32)decimal(line, first, 0);
    line[n++] = ' ';
    n += (u32)decimal(line + n, time, 0);
    line[n++] = ' ';
    n += (u32)decimal(line + n, (u64)failure.error, 0);
    line[n++] = ' ';
    const char *label = failure.label ? text(failure.label) : "-";
    for (u32 i = 0; label[i] && n < sizeof line - 1; i++) line[n++] = label[i];
    line[n++] = '\n';
    int fd = (int)CALL4(openat, AT_FDCWD, "record", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CALL3(write, fd, line, n);
    CALL1(close, fd);
    CALL4(renameat, AT_FDCWD, "record", AT_FDCWD, name);
}

/* The directory, and the lock that says this process is alive and the only one. */
static int settle(void) {
    struct lock lock = {1, 0, 0, 0, 0};
    CALL0(setsid);
    long error = head->directory ? CALL1(chdir, text(head->directory)) : 0;
    if (error < 0 || head->flags & SESSION) return (int)-error;
    lock_fd = (int)CALL4(openat, AT_FDCWD, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return lock_fd < 0 ? -lock_fd : (int)-CALL3(fcntl, lock_fd, F_SETLK, &lock);
}

static void pause_forever(void) {
    struct action ignore = {1, 0, 0, 0};
    struct failure failure = {0, settle()};
    if (!failure.error) failure = run(head->inner, head->inner_count, -1);
    report(failure, 0, nanoseconds());
    if (failure.error) quit(1);
    CALL4(rt_sigaction, SIGCHLD, &ignore, 0, 8); /* as pid 1 of a shared namespace: the kernel reaps what is left to it */
    CALL3(close_range, 0, lock_fd - 1, 0);
    CALL3(close_range, lock_fd + 1, ~0u, 0);
    for (;;) CALL6(ppoll, 0, 0, 0, 0, 8, 0);
}

static void become_container(int channel) {
    struct action standard = {0, 0, 0, 0};
    u64 none = 0;
    for (int signal = 1; signal <= 64; signal++) CALL4(rt_sigaction, signal, &standard, 0, 8);
    CALL4(rt_sigprocmask, 2, &none, 0, 8);
    CALL0(setsid);
    for (int fd = 0; fd < 3; fd++)
        if (child_ends[fd] >= 0) CALL3(dup3, child_ends[fd], fd, 0);
    CALL3(close_range, 3, ~0u, 4); /* close on exec */
    struct failure failure = run(head->inner, head->inner_count, channel);
    CALL6(sendto, channel, &failure, sizeof failure, MSG_NOSIGNAL, 0, 0);
    quit(128);
}

static void open_streams(void) {
    int pipe[2];
    for (int i = 0; i < 2; i++) {
        streams[i].fd = -1;
        streams[i].name = i ? " stderr " : " stdout ";
    }
    if (head->flags & TTY) return; /* the child opens it in its own devpts and sends the master */
    for (int i = 0; i < 2; i++) {
        CALL2(pipe2, pipe, O_CLOEXEC);
        streams[i].fd = pipe[0];
        child_ends[i + 1] = pipe[1];
    }
    if (!(head->flags & STDIN)) return;
    CALL2(pipe2, pipe, O_CLOEXEC);
    child_ends[0] = pipe[0];
    input = pipe[1];
    CALL3(fcntl, input, F_SETFL, O_WRONLY | O_NONBLOCK);
}

static void open_attach(void) {
    struct address address = {AF_UNIX, "attach"};
    if (head->flags & SESSION) return;
    listener = (int)CALL3(socket, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0);
    CALL3(unlinkat, AT_FDCWD, "attach", 0);
    CALL3(bind, listener, &address, sizeof address);
    CALL2(listen, listener, CLIENTS);
}

/* What the child says until its exec closes the channel: a terminal's master, or the step that failed. */
static struct failure await_exec(int channel) {
    for (;;) {
        struct failure said = {0, 0};
        struct vector vector = {&said, sizeof said};
        struct control control = {0, 0, 0, -1, 0};
        struct message message = {0, 0, &vector, 1, &control, sizeof control, 0};
        long n = CALL3(recvmsg, channel, &message, 0x40000000 /* close on exec */);
        if (n == -EINTR) continue;
        if (n <= 0) return (struct failure){0, 0};
        if (said.error) return said;
        if (message.control_length >= 20) streams[0].fd = input = control.fd;
        if (input >= 0) CALL3(fcntl, input, F_SETFL, O_RDWR | O_NONBLOCK);
    }
}

static struct failure start_child(void) {
    int channel[2];
    open_streams();
    CALL4(socketpair, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0, channel);
    long pid = CALL6(clone, head->clone_flags | CLONE_PIDFD | SIGCHLD, 0, &child_pidfd, 0, 0, 0);
    if (pid == 0) become_container(channel[1]);
    if (pid < 0) return (struct failure){0, (int)-pid};
    child = (int)pid;
    CALL1(close, channel[1]);
    for (int i = 0; i < 3; i++)
        if (child_ends[i] >= 0) CALL1(close, child_ends[i]);
    struct failure failure = await_exec(channel[0]);
    CALL1(close, channel[0]);
    return failure;
}

/* The exit code as a shell gives it: 128+n for signal n. */
static int reap(void) {
    int status = 0;
    while (CALL4(wait4, child, &status, 0, 0) == -EINTR) {}
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

/* Whatever the main process left behind in its cgroup (with its own PID namespace the kernel has done it already). */
static void kill_rest(void) {
    for (int round = 0; head->procs && round < 200; round++) {
        int fd = (int)CALL4(openat, AT_FDCWD, text(head->procs), O_RDONLY | O_CLOEXEC, 0), pid = 0;
        long n = CALL3(read, fd, frame, CHUNK);
        CALL1(close, fd);
        if (n <= 0) return;
        for (long i = 0; i < n; i++) {
            if (frame[i] != '\n') pid = pid * 10 + frame[i] - '0';
            else CALL2(kill, pid, SIGKILL), pid = 0;
        }
        poll_one(-1, 0, 2);
    }
}

static void monitor_child(int session) {
    if (head->flags & SESSION) clients[0] = session;
    struct failure failure = {0, settle()};
    if (failure.error) return report(failure, 0, 0);
    log_open();
    open_attach();
    failure = run(head->outer, head->outer_count, -1);
    if (!failure.error) failure = start_child();
    u64 now = nanoseconds();
    if (!failure.error && !(head->flags & SESSION)) record("running", (u64)child, now, failure);
    if (failure.error) {
        if (child) reap();
        if (!(head->flags & SESSION)) record("exit", 128, now, failure);
        return report(failure, 0, 0);
    }
    report(failure, child, now);
    relay();
    int code = reap();
    kill_rest();
    drain(head->flags & SESSION ? 100 : 1000);
    if (!(head->flags & SESSION)) record("exit", (u64)code, nanoseconds(), failure);
    frame[0] = 'x';
    memcpy(frame + 1, &code, 4);
    clients_send(5);
}

static int number(const char *s) {
    int n = 0;
    while (*s) n = n * 10 + *s++ - '0';
    return n;
}

/* STATUS may have no reader any more: the agent can be killed at any moment, and what it began goes on. */
__attribute__((used)) void start(u64 *stack) {
    struct action ignore = {1, 0, 0, 0};
    char **argv = (char **)(stack + 1);
    if (stack[0] < 3) quit(2);
    CALL4(rt_sigaction, SIGPIPE, &ignore, 0, 8);
    CALL3(prctl, PR_SET_DUMPABLE, 0, 0); /* a container must not look into what is about to join it */
    int fd = number(argv[1]);
    status_fd = number(argv[2]);
    u64 size = (u64)CALL3(lseek, fd, 0, 2);
    program = (char *)CALL6(mmap, 0, size, 3, 2, fd, 0);
    head = (struct header *)program;
    CALL1(close, fd);
    CALL2(prctl, PR_SET_NAME, head->flags & PAUSE ? "bareboat-pause" : "bareboat-monitr");
    if (!(head->flags & PAUSE)) {
        monitor_child(stack[0] > 3 ? number(argv[3]) : -1);
        quit(0);
    }
    /* Only a process that is born in a PID namespace is in it. */
    long pid = head->clone_flags ? CALL6(clone, head->clone_flags | SIGCHLD, 0, 0, 0, 0, 0) : 0;
    if (pid) quit(pid < 0 ? (int)-pid : 0);
    pause_forever();
}
