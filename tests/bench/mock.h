/* The mock upstream: its connections and what they ask. */
#ifndef BENCH_MOCK_H
#define BENCH_MOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "samples.h"

struct buffer {
    char *data;
    size_t used, room;
};

struct client {
    int fd;
    bool dead, wants_out;
    struct buffer in, out;
    size_t sent;
    int place;       /* in the queue of paced streams, -1 outside */
    int64_t due;     /* when the next chunk leaves */
    int chunk, chunks, cut_after;
    int64_t interval_ns;
    char model[64];
};

/* Settings for streams that begin from now on, and counts since the start. */
struct mock {
    int poll, listener, timer;
    int chunks, cut_after;
    int64_t interval_ns;
    struct client **queue; /* a heap, the next chunk due on top */
    int queued, room;
    long requests, streams, finished, aborted, open;
};

void buffer_add(struct buffer *buffer, const void *data, size_t size);

void queue_put(struct mock *mock, struct client *client);
void queue_drop(struct mock *mock, struct client *client);

/* Answers the requests that are whole in `client->in`. */
void answer_all(struct mock *mock, struct client *client);
/* Writes the chunks that are due; the last one ends the answer. */
void answer_chunk(struct mock *mock, struct client *client);

#endif
