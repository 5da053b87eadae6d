/* What the load generator is told to do, and what it counts. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>

#include "response.h"
#include "samples.h"

enum mode { MODE_JSON, MODE_STREAM, MODE_HOLD };

struct options {
    enum mode mode;
    struct sockaddr_in address;
    int connections;
    double seconds;   /* no new request after that; 0 = no limit */
    double grace;     /* how long requests under way may still take */
    long requests;    /* in all; 0 = no limit */
    long rounds;      /* per connection; 0 = no limit */
    double spread_ms; /* the first requests are spread evenly over this time */
    int chunks;       /* timed chunks expected in a stream */
    const char *expect;
    const char *final;
    char *request;
    size_t request_size;
};

enum failure {
    FAILED_CONNECT,  /* refused or reset before the answer's head */
    FAILED_STATUS,   /* another status than 200 */
    FAILED_BROKEN,   /* not HTTP */
    FAILED_CUT,      /* closed before the end of the body */
    FAILED_EXPECTED, /* the expected text is not in the body */
    FAILED_CHUNKS,   /* another number of chunks than expected */
    FAILED_FINAL,    /* the last event is not the final marker */
    FAILED_TIMEOUT,  /* still under way when the grace time was over */
    FAILURES,
};

enum activity { IDLE, CONNECTING, SENDING, READING };

struct connection {
    int fd;
    enum activity activity;
    long rounds;
    int64_t start_at, sent_at, first_at;
    size_t sent;
    struct response answer;
    char *body; /* the whole body, or the unfinished line of a stream */
    size_t body_used, body_room;
    int chunks, events;
    bool has_data, final_last;
};

struct run {
    struct options options;
    int poll;
    struct connection *connections;
    int64_t began, ends, received_at;
    long started, succeeded, failed[FAILURES], open, peak_open, chunks, events;
    struct samples latency, ttft, lag;
    char first_failure[512];
};

void options_read(struct options *options, int count, char **words);

/* Body bytes of a connection; `stream_take` reads server-sent events of a 200. */
struct arrival {
    struct run *run;
    struct connection *connection;
};
void body_take(void *arrival, const char *data, size_t size);
void stream_take(void *arrival, const char *data, size_t size);

void run_report(struct run *run, double seconds);

#endif
