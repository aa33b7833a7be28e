/* Output in CRI log format: "2026-01-02T03:04:05.123456789Z stdout F text". A line is at most LINE bytes; longer ones are written in
 * parts tagged P and end with one tagged F. What a container leaves unfinished when it ends stays a P: it had no newline. */
enum { LINE = 16384, BATCH = 65536 };

struct stream { int fd; const char *name; u32 used; char line[LINE]; };

static struct stream streams[2]; /* in zeroed memory, of which only what is used is resident */
static int log_fd = -1;
static char batch[BATCH];
static u32 batched;

static void log_open(void) {
    if (log_fd >= 0) CALL1(close, log_fd);
    log_fd = -1;
    if (!head->log) return;
    log_fd = (int)CALL4(openat, AT_FDCWD, text(head->log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (log_fd >= 0) CALL2(fchmod, log_fd, 0640);
}

/* A full disk loses log lines, never stops the container. */
static void log_flush(void) {
    u32 done = 0;
    while (done < batched && log_fd >= 0) {
        long n = CALL3(write, log_fd, batch + done, batched - done);
        if (n <= 0 && n != -EINTR) break;
        if (n > 0) done += (u32)n;
    }
    batched = 0;
}

/* Days since 1970 to a date of the Gregorian calendar; years are counted from March. */
static u32 stamp(char *to, struct time now) {
    u64 days = (u64)now.seconds / 86400 + 719468, second = (u64)now.seconds % 86400;
    u64 era = days / 146097, day = days % 146097;
    u64 year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    u64 month = (5 * day + 2) / 153;
    u64 parts[6] = {era * 400 + year + (month > 9), month > 9 ? month - 9 : month + 3, day - (153 * month + 2) / 5 + 1,
                    second / 3600, second / 60 % 60, second % 60};
    const char *after = "--T::.";
    u32 n = 0;
    for (int i = 0; i < 6; i++) {
        n += (u32)decimal(to + n, parts[i], i ? 2 : 4);
        to[n++] = after[i];
    }
    n += (u32)decimal(to + n, (u64)now.nanos, 9);
    to[n++] = 'Z';
    return n;
}

static void log_line(struct stream *s, char tag, struct time now) {
    if (batched + s->used + 64 > BATCH) log_flush();
    batched += stamp(batch + batched, now);
    memcpy(batch + batched, s->name, 8);
    batched += 8;
    batch[batched++] = tag;
    batch[batched++] = ' ';
    memcpy(batch + batched, s->line, s->used);
    batched += s->used;
    batch[batched++] = '\n';
    s->used = 0;
}

static void log_append(struct stream *s, const char *data, u64 n) {
    struct time now = wall_clock();
    for (u64 i = 0; i < n; i++) {
        if (data[i] == '\n') {
            log_line(s, 'F', now);
            continue;
        }
        if (s->used == LINE) log_line(s, 'P', now);
        s->line[s->used++] = data[i];
    }
    log_flush();
}

static void log_end(struct stream *s) {
    if (s->used) log_line(s, 'P', wall_clock());
    log_flush();
}
