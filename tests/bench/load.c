/* A small HTTP/1.1 load generator: closed loop, keep-alive, plain HTTP, one core.

   load json|stream|hold --url http://127.0.0.1:PORT/PATH --body FILE
        [--connections N] [--seconds S] [--requests N] [--rounds N] [--grace S]
        [--header "Name: value"]… [--expect TEXT]
        [--chunks K] [--final TEXT] [--spread-ms MS]

   json   checks status 200 and that TEXT occurs in the body
   stream checks status 200, K timed chunks and the final marker in the last event
   hold   the same, one stream per connection, opened evenly over the spread
   Figures go to stdout as one JSON object. Exit code 0 even if requests failed. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const int64_t RETRY_DELAY_NS = 10000000;

static void watch(struct run *run, struct connection *connection, int operation,
                  uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(run->poll, operation, connection->fd, &event);
}

static bool wants_more(struct run *run, struct connection *connection, int64_t now)
{
    struct options *options = &run->options;
    if (options->seconds > 0 && now >= run->ends)
        return false;
    if (options->requests > 0 && run->started >= options->requests)
        return false;
    return options->rounds == 0 || connection->rounds < options->rounds;
}

static void drop(struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    connection->activity = IDLE;
}

static void fail(struct run *run, struct connection *connection, enum failure kind)
{
    if (run->first_failure[0] == '\0')
        snprintf(run->first_failure, sizeof run->first_failure,
                 "status %d, %d chunks, %d events: %.*s", connection->answer.status,
                 connection->chunks, connection->events,
                 (int)(connection->body_used > 300 ? 300 : connection->body_used),
                 connection->body ? connection->body : "");
    run->failed[kind]++;
    run->open--;
    drop(connection);
    connection->start_at = now_ns() + RETRY_DELAY_NS;
}

static void flush_request(struct run *run, struct connection *connection)
{
    struct options *options = &run->options;
    ssize_t part = send(connection->fd, options->request + connection->sent,
                        options->request_size - connection->sent, MSG_NOSIGNAL);
    if (part < 0 && errno != EAGAIN) {
        fail(run, connection, FAILED_CONNECT);
        return;
    }
    connection->sent += part > 0 ? (size_t)part : 0;
    bool whole = connection->sent == options->request_size;
    if (whole == (connection->activity == READING))
        return;
    connection->activity = whole ? READING : SENDING;
    watch(run, connection, EPOLL_CTL_MOD, whole ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void open_socket(struct run *run, struct connection *connection)
{
    struct sockaddr_in *address = &run->options.address;
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0) {
        fail(run, connection, FAILED_CONNECT);
        return;
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int code = connect(connection->fd, (struct sockaddr *)address, sizeof *address);
    if (code < 0 && errno != EINPROGRESS) {
        fail(run, connection, FAILED_CONNECT);
        return;
    }
    connection->activity = CONNECTING;
    watch(run, connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static void start(struct run *run, struct connection *connection, int64_t now)
{
    run->started++;
    connection->rounds++;
    if (++run->open > run->peak_open)
        run->peak_open = run->open;
    connection->sent_at = now;
    connection->first_at = 0;
    connection->sent = connection->body_used = 0;
    connection->chunks = connection->events = 0;
    connection->has_data = connection->final_last = false;
    response_reset(&connection->answer);
    if (connection->fd < 0)
        open_socket(run, connection);
    else
        flush_request(run, connection);
}

static enum failure verdict(struct run *run, struct connection *connection)
{
    struct options *options = &run->options;
    if (connection->answer.status != 200)
        return FAILED_STATUS;
    if (options->mode == MODE_JSON) {
        bool found = memmem(connection->body, connection->body_used, options->expect,
                            strlen(options->expect)) != NULL;
        return found ? FAILURES : FAILED_EXPECTED;
    }
    if (connection->chunks != options->chunks)
        return FAILED_CHUNKS;
    /* An event without its blank line was never delivered to a client. */
    if (connection->has_data || !connection->final_last)
        return FAILED_FINAL;
    return FAILURES;
}

static void finish(struct run *run, struct connection *connection)
{
    enum failure failure = verdict(run, connection);
    run->chunks += connection->chunks;
    run->events += connection->events;
    if (failure != FAILURES) {
        fail(run, connection, failure);
        return;
    }
    run->succeeded++;
    run->open--;
    samples_add(&run->latency, run->received_at - connection->sent_at);
    if (connection->first_at)
        samples_add(&run->ttft, connection->first_at - connection->sent_at);
    if (connection->answer.closes)
        drop(connection);
    connection->start_at = run->received_at;
    if (connection->fd >= 0 && wants_more(run, connection, run->received_at))
        start(run, connection, now_ns());
    else
        drop(connection);
}

static void ended_by_peer(struct run *run, struct connection *connection)
{
    if (response_ends_by_close(&connection->answer))
        finish(run, connection);
    else
        fail(run, connection,
             connection->answer.phase == RESPONSE_HEAD ? FAILED_CONNECT : FAILED_CUT);
}

static void receive(struct run *run, struct connection *connection)
{
    static char buffer[1 << 18];
    ssize_t size = recv(connection->fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    run->received_at = now_ns();
    if (size <= 0) {
        ended_by_peer(run, connection);
        return;
    }
    struct arrival arrival = {run, connection};
    body_sink sink = run->options.mode == MODE_JSON ? body_take : stream_take;
    size_t used = response_feed(&connection->answer, buffer, (size_t)size, sink,
                                &arrival);
    bool done = connection->answer.phase == RESPONSE_DONE;
    if (connection->answer.phase == RESPONSE_BROKEN || (done && used < (size_t)size))
        fail(run, connection, FAILED_BROKEN);
    else if (done)
        finish(run, connection);
}

static void serve(struct run *run, struct connection *connection, uint32_t events)
{
    if (connection->activity == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            fail(run, connection, FAILED_CONNECT);
            return;
        }
        flush_request(run, connection);
        return;
    }
    if (connection->activity == SENDING && (events & EPOLLOUT))
        flush_request(run, connection);
    if (connection->fd >= 0 && (events & ~(uint32_t)EPOLLOUT))
        receive(run, connection);
}

/* Starts idle connections that are due; returns the next time one will be, or 0
   if none will: then, with nothing open, the run is over. */
static int64_t start_due(struct run *run)
{
    int64_t next = 0, now = now_ns();
    if (run->open == run->options.connections)
        return 0;
    for (int i = 0; i < run->options.connections; i++) {
        struct connection *connection = &run->connections[i];
        if (connection->activity != IDLE || !wants_more(run, connection, now))
            continue;
        if (connection->start_at <= now)
            start(run, connection, now);
        if (connection->activity == IDLE &&
            (next == 0 || connection->start_at < next))
            next = connection->start_at;
    }
    return next;
}

static void time_out(struct run *run)
{
    for (int i = 0; i < run->options.connections; i++)
        if (run->connections[i].activity != IDLE)
            fail(run, &run->connections[i], FAILED_TIMEOUT);
}

static void loop(struct run *run)
{
    struct epoll_event events[256];
    int64_t last_call = run->ends + (int64_t)(run->options.grace * 1e9);
    for (;;) {
        int64_t next = start_due(run), now = now_ns();
        if (run->open == 0 && next == 0)
            return;
        if (now >= last_call)
            break;
        int64_t until = next && next < last_call ? next : last_call;
        int wait = (int)((until - now) / 1000000) + 1;
        int count = epoll_wait(run->poll, events, 256, until <= now ? 0 : wait);
        for (int i = 0; i < count; i++)
            serve(run, events[i].data.ptr, events[i].events);
    }
    time_out(run);
}

int main(int count, char **words)
{
    struct run run = {0};
    options_read(&run.options, count, words);
    int connections = run.options.connections;
    run.poll = epoll_create1(0);
    run.connections = calloc((size_t)connections, sizeof *run.connections);
    if (run.poll < 0 || run.connections == NULL)
        return 3;
    run.began = now_ns();
    run.ends = run.began + (int64_t)(run.options.seconds * 1e9);
    for (int i = 0; i < connections; i++) {
        run.connections[i].fd = -1;
        run.connections[i].start_at =
            run.began + (int64_t)(run.options.spread_ms * 1e6 * i / connections);
    }
    loop(&run);
    run_report(&run, (double)(now_ns() - run.began) / 1e9);
    return 0;
}
