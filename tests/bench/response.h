/* Incremental reading of one HTTP/1.1 answer: counted, chunked or until close. */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

enum response_phase {
    RESPONSE_HEAD,
    RESPONSE_COUNTED,
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK_DATA,
    RESPONSE_CHUNK_END,
    RESPONSE_TRAILER,
    RESPONSE_UNTIL_CLOSE,
    RESPONSE_DONE,
    RESPONSE_BROKEN,
};

enum { RESPONSE_HEAD_ROOM = 8192 };

struct response {
    enum response_phase phase;
    int status;
    bool closes;
    long long left;
    size_t held; /* bytes of an unfinished head or line in `text` */
    char text[RESPONSE_HEAD_ROOM];
};

typedef void (*body_sink)(void *owner, const char *data, size_t size);

void response_reset(struct response *answer);

/* Takes bytes as they came, hands body bytes to `sink`; returns how many it used.
   It stops at RESPONSE_DONE and RESPONSE_BROKEN. */
size_t response_feed(struct response *answer, const char *data, size_t size,
                     body_sink sink, void *owner);

/* The peer closed: true if that is the proper end of this answer. */
bool response_ends_by_close(struct response *answer);

#endif
