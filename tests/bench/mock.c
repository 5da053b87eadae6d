/* A mock of the Gemini API that costs almost nothing: one core, epoll, plain HTTP.

   mock [--port P] [--chunks K] [--interval-ms T] [--cut-after N]

   POST /v1beta/models/X:generateContent          one fixed answer
   POST /v1beta/models/X:streamGenerateContent    K events, one each T ms; 0 = at once
   GET  /v1beta/models                            a list
   GET  /bench/pace?chunks=K&interval_us=T[&cut_after=N]   for streams begun later
   GET  /bench/stats                              counts
   It prints "listening PORT" once it answers; --port 0 takes any free port. */
#include "mock.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    if (buffer->used + size > buffer->room) {
        buffer->room = (buffer->used + size) * 2;
        buffer->data = grown(buffer->data, buffer->room);
    }
    memcpy(buffer->data + buffer->used, data, size);
    buffer->used += size;
}

static void queue_set(struct mock *mock, int place, struct client *client)
{
    mock->queue[place] = client;
    client->place = place;
}

static void queue_up(struct mock *mock, int place, struct client *client)
{
    while (place > 0 && mock->queue[(place - 1) / 2]->due > client->due) {
        queue_set(mock, place, mock->queue[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    queue_set(mock, place, client);
}

static void queue_down(struct mock *mock, int place, struct client *client)
{
    for (int child; (child = 2 * place + 1) < mock->queued; place = child) {
        if (child + 1 < mock->queued &&
            mock->queue[child + 1]->due < mock->queue[child]->due)
            child++;
        if (mock->queue[child]->due >= client->due)
            break;
        queue_set(mock, place, mock->queue[child]);
    }
    queue_set(mock, place, client);
}

void queue_put(struct mock *mock, struct client *client)
{
    if (mock->queued == mock->room) {
        mock->room = mock->room ? mock->room * 2 : 1024;
        mock->queue = grown(mock->queue, (size_t)mock->room * sizeof *mock->queue);
    }
    queue_up(mock, mock->queued++, client);
}

void queue_drop(struct mock *mock, struct client *client)
{
    int place = client->place;
    if (place < 0)
        return;
    client->place = -1;
    struct client *last = mock->queue[--mock->queued];
    if (last == client)
        return;
    if (place > 0 && mock->queue[(place - 1) / 2]->due > last->due)
        queue_up(mock, place, last);
    else
        queue_down(mock, place, last);
}

static void forget(struct mock *mock, struct client *client)
{
    queue_drop(mock, client);
    if (client->chunks > 0)
        mock->aborted++;
    mock->open--;
    close(client->fd);
    free(client->in.data);
    free(client->out.data);
    free(client);
}

static void flush(struct mock *mock, struct client *client)
{
    size_t left = client->out.used - client->sent;
    ssize_t part = left ? send(client->fd, client->out.data + client->sent, left,
                               MSG_NOSIGNAL) : 0;
    if (part < 0 && errno != EAGAIN)
        client->dead = true;
    client->sent += part > 0 ? (size_t)part : 0;
    bool pending = client->sent < client->out.used;
    if (!pending)
        client->out.used = client->sent = 0;
    if (pending == client->wants_out)
        return;
    client->wants_out = pending;
    struct epoll_event event = {.events = pending ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.ptr = client};
    epoll_ctl(mock->poll, EPOLL_CTL_MOD, client->fd, &event);
}

static void receive(struct client *client)
{
    static char bytes[1 << 18];
    ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);
    if (size > 0)
        buffer_add(&client->in, bytes, (size_t)size);
    else if (size == 0 || errno != EAGAIN)
        client->dead = true;
}

static void serve(struct mock *mock, struct client *client, uint32_t events)
{
    if (events & ~(uint32_t)EPOLLOUT) {
        receive(client);
        answer_all(mock, client);
    }
    flush(mock, client);
    if (client->dead)
        forget(mock, client);
}

static void welcome(struct mock *mock)
{
    int fd, on = 1;
    while ((fd = accept4(mock->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct client *client = grown(NULL, sizeof *client);
        *client = (struct client){.fd = fd, .place = -1};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        epoll_ctl(mock->poll, EPOLL_CTL_ADD, fd, &event);
        mock->open++;
    }
}

static void send_due(struct mock *mock)
{
    while (mock->queued > 0 && mock->queue[0]->due <= now_ns()) {
        struct client *client = mock->queue[0];
        queue_drop(mock, client);
        answer_chunk(mock, client);
        if (client->chunks == 0)
            answer_all(mock, client);
        flush(mock, client);
        if (client->dead)
            forget(mock, client);
    }
}

static void arm(struct mock *mock)
{
    int64_t due = mock->queued > 0 ? mock->queue[0]->due : 0;
    struct itimerspec when = {0};
    when.it_value.tv_sec = due / 1000000000;
    when.it_value.tv_nsec = due % 1000000000;
    timerfd_settime(mock->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void loop(struct mock *mock)
{
    struct epoll_event events[256];
    int64_t armed = 0;
    for (;;) {
        int count = epoll_wait(mock->poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;
            if (what == &mock->listener)
                welcome(mock);
            else if (what != &mock->timer)
                serve(mock, what, events[i].events);
        }
        /* After the batch: it may forget clients that still had an event in it. */
        send_due(mock);
        int64_t due = mock->queued > 0 ? mock->queue[0]->due : 0;
        if (due != armed)
            arm(mock);
        armed = due;
    }
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) {
        perror("mock: cannot listen");
        exit(2);
    }
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int count, char **words)
{
    static const struct option known[] = {{"port", 1, 0, 'p'},
                                          {"chunks", 1, 0, 'k'},
                                          {"interval-ms", 1, 0, 't'},
                                          {"cut-after", 1, 0, 'x'},
                                          {0, 0, 0, 0}};
    struct mock mock = {.chunks = 50, .interval_ns = 20000000};
    int letter, port = 0;
    while ((letter = getopt_long(count, words, "", known, NULL)) != -1) {
        switch (letter) {
        case 'p': port = atoi(optarg); break;
        case 'k': mock.chunks = atoi(optarg); break;
        case 't': mock.interval_ns = (int64_t)(atof(optarg) * 1e6); break;
        case 'x': mock.cut_after = atoi(optarg); break;
        default: return 2;
        }
    }
    if (mock.chunks < 1 || mock.interval_ns < 0)
        return 2;
    mock.poll = epoll_create1(0);
    mock.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    mock.listener = listen_on(port);
    struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = &mock.listener};
    struct epoll_event ticks = {.events = EPOLLIN, .data.ptr = &mock.timer};
    epoll_ctl(mock.poll, EPOLL_CTL_ADD, mock.listener, &accepts);
    epoll_ctl(mock.poll, EPOLL_CTL_ADD, mock.timer, &ticks);
    loop(&mock);
}
