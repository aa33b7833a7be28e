/* One container's (or exec's) streams: from its pipes or terminal to the log and to the clients, and back from a client to its stdin.
 * A frame of the SEQPACKET sockets is one letter and data. To a client: o(ut), e(rr), x(it) + i32 code. From a client: i(nput),
 * c(lose input), r(esize) + u16 rows, columns, l(og: open it again). */
enum { CLIENTS = 8, CHUNK = 16384 };

static int clients[CLIENTS] = {-1, -1, -1, -1, -1, -1, -1, -1};
static int listener = -1, input = -1, child_pidfd = -1;
static int child;
static char frame[CHUNK + 1], pending[CHUNK];
static u32 pending_from, pending_to;

static int poll_one(int fd, short events, long milliseconds) {
    struct poll p = {fd, events, 0};
    struct time t = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    long n;
    do n = CALL6(ppoll, &p, 1, milliseconds < 0 ? 0 : &t, 0, 8, 0);
    while (n == -EINTR);
    return n > 0 ? p.seen : 0;
}

static void input_close(void) {
    if (input >= 0 && !(head->flags & TTY)) CALL1(close, input);
    if (input >= 0 && head->flags & TTY) CALL3(write, input, "\4", 1);
    if (!(head->flags & TTY)) input = -1;
}

static void client_gone(int *client) {
    CALL1(close, *client);
    *client = -1;
    if (head->flags & SESSION) {
        CALL2(kill, -child, SIGKILL);
        CALL2(kill, child, SIGKILL);
    } else if (head->flags & STDIN_ONCE) {
        input_close();
    }
}

/* The one client of a session may be slow: its command waits. A client that is attached may hold a container up for a second. */
static void client_send(int *client, const char *data, u64 n) {
    long patience = head->flags & SESSION ? -1 : 1000;
    for (;;) {
        long sent = CALL6(sendto, *client, data, n, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
        if (sent >= 0) return;
        int seen = sent == -EAGAIN ? poll_one(*client, POLLOUT, patience) : 0;
        if (sent != -EINTR && (!(seen & POLLOUT) || seen & (POLLERR | POLLHUP))) return client_gone(client);
    }
}

static void clients_send(u64 n) {
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i] >= 0) client_send(&clients[i], frame, n);
}

/* Reads once from a stream. Returns whether there may be more. */
static int stream_read(int index) {
    struct stream *s = &streams[index];
    long n = CALL3(read, s->fd, frame + 1, CHUNK);
    if (n == -EINTR || n == -EAGAIN) return 1;
    if (n <= 0) {
        if (s->fd != input) CALL1(close, s->fd);
        s->fd = -1;
        return 0;
    }
    frame[0] = index ? 'e' : 'o';
    if (head->log) log_append(s, frame + 1, (u64)n);
    clients_send((u64)n + 1);
    return 1;
}

static void input_write(void) {
    long n = CALL3(write, input, pending + pending_from, pending_to - pending_from);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n < 0) {
        pending_from = pending_to = 0;
        return input_close();
    }
    pending_from += (u32)n;
    if (pending_from == pending_to) pending_from = pending_to = 0;
}

static void client_read(int *client) {
    long n = CALL6(recvfrom, *client, frame, sizeof frame, MSG_DONTWAIT, 0, 0);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n <= 0) return client_gone(client);
    if (frame[0] == 'i' && input >= 0 && n > 1) {
        memcpy(pending, frame + 1, (u64)n - 1);
        pending_to = (u32)n - 1;
        input_write();
    } else if (frame[0] == 'c' && head->flags & (SESSION | STDIN_ONCE)) {
        input_close();
    } else if (frame[0] == 'r' && n == 5 && head->flags & TTY) {
        u16 size[4] = {0, 0, 0, 0};
        memcpy(size, frame + 1, 4);
        CALL3(ioctl, input, TIOCSWINSZ, size);
    } else if (frame[0] == 'l') {
        log_open();
    }
}

static void client_accept(void) {
    long fd = CALL4(accept4, listener, 0, 0, O_CLOEXEC);
    for (int i = 0; i < CLIENTS && fd >= 0; i++)
        if (clients[i] < 0) {
            clients[i] = (int)fd;
            return;
        }
    if (fd >= 0) CALL1(close, fd);
}

/* Until the main process has ended. */
static void relay(void) {
    for (;;) {
        struct poll p[5 + CLIENTS] = {{child_pidfd, POLLIN, 0}, {streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}, {listener, POLLIN, 0},
                                      {pending_to ? input : -1, POLLOUT, 0}};
        for (int i = 0; i < CLIENTS; i++) p[5 + i] = (struct poll){clients[i], pending_to ? 0 : POLLIN, 0};
        if (CALL6(ppoll, p, 5 + CLIENTS, 0, 0, 8, 0) < 0) continue;
        if (p[1].seen) stream_read(0);
        if (p[2].seen) stream_read(1);
        if (p[4].seen) input_write();
        for (int i = 0; i < CLIENTS; i++)
            if (clients[i] >= 0 && p[5 + i].fd == clients[i] && p[5 + i].seen) client_read(&clients[i]);
        if (p[3].seen) client_accept();
        if (p[0].seen) return;
    }
}

/* What was written before the end; processes that outlive it may hold the pipes open, so silence ends it too. */
static void drain(long silence) {
    for (int i = 0; i < 2; i++) {
        while (streams[i].fd >= 0 && poll_one(streams[i].fd, POLLIN, silence))
            if (!stream_read(i)) break;
        if (head->log) log_end(&streams[i]);
    }
}
