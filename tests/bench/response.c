/* Incremental reading of one HTTP/1.1 answer: counted, chunked or until close. */
#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void response_reset(struct response *answer)
{
    answer->phase = RESPONSE_HEAD;
    answer->status = 0;
    answer->closes = false;
    answer->left = 0;
    answer->held = 0;
}

static bool names(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0;
}

static void read_field(struct response *answer, const char *line)
{
    if (names(line, "content-length:")) {
        answer->left = atoll(line + strlen("content-length:"));
        answer->phase = answer->left > 0 ? RESPONSE_COUNTED : RESPONSE_DONE;
    } else if (names(line, "transfer-encoding:") && strcasestr(line, "chunked")) {
        answer->phase = RESPONSE_CHUNK_SIZE;
    } else if (names(line, "connection:") && strcasestr(line, "close")) {
        answer->closes = true;
    }
}

static void read_head(struct response *answer)
{
    char *line = answer->text;
    if (strncmp(line, "HTTP/1.", 7) != 0) {
        answer->phase = RESPONSE_BROKEN;
        return;
    }
    answer->status = atoi(line + 9);
    answer->phase = RESPONSE_UNTIL_CLOSE;
    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        char *end = strstr(line, "\r\n");
        if (end == NULL || end == line)
            break;
        *end = '\0';
        read_field(answer, line);
        *end = '\r';
    }
    if (answer->status == 204 || answer->status == 304)
        answer->phase = RESPONSE_DONE;
    answer->held = 0;
}

static size_t feed_head(struct response *answer, const char *data, size_t size)
{
    size_t before = answer->held;
    size_t room = RESPONSE_HEAD_ROOM - 1 - before;
    size_t taken = size < room ? size : room;
    memcpy(answer->text + before, data, taken);
    answer->held += taken;
    size_t from = before > 3 ? before - 3 : 0;
    char *end = memmem(answer->text + from, answer->held - from, "\r\n\r\n", 4);
    if (end == NULL) {
        if (taken == room)
            answer->phase = RESPONSE_BROKEN;
        return taken;
    }
    size_t head = (size_t)(end - answer->text) + 4;
    answer->text[head] = '\0';
    read_head(answer);
    return head - before;
}

static void read_line(struct response *answer)
{
    const char *line = answer->text;
    bool empty = line[0] == '\r' || line[0] == '\0';
    answer->held = 0;
    if (answer->phase == RESPONSE_TRAILER) {
        answer->phase = empty ? RESPONSE_DONE : RESPONSE_TRAILER;
    } else if (answer->phase == RESPONSE_CHUNK_END) {
        answer->phase = empty ? RESPONSE_CHUNK_SIZE : RESPONSE_BROKEN;
    } else {
        char *end = NULL;
        answer->left = strtoll(line, &end, 16);
        if (end == line || answer->left < 0)
            answer->phase = RESPONSE_BROKEN;
        else
            answer->phase = answer->left ? RESPONSE_CHUNK_DATA : RESPONSE_TRAILER;
    }
}

static size_t feed_line(struct response *answer, const char *data, size_t size)
{
    const char *newline = memchr(data, '\n', size);
    size_t part = newline ? (size_t)(newline - data) : size;
    if (answer->held + part >= RESPONSE_HEAD_ROOM) {
        answer->phase = RESPONSE_BROKEN;
        return size;
    }
    memcpy(answer->text + answer->held, data, part);
    answer->held += part;
    if (newline == NULL)
        return size;
    answer->text[answer->held] = '\0';
    read_line(answer);
    return part + 1;
}

static size_t feed_counted(struct response *answer, const char *data, size_t size,
                           body_sink sink, void *owner)
{
    size_t part = (long long)size < answer->left ? size : (size_t)answer->left;
    sink(owner, data, part);
    answer->left -= (long long)part;
    if (answer->left == 0)
        answer->phase = answer->phase == RESPONSE_COUNTED ? RESPONSE_DONE
                                                          : RESPONSE_CHUNK_END;
    return part;
}

static size_t feed_once(struct response *answer, const char *data, size_t size,
                        body_sink sink, void *owner)
{
    switch (answer->phase) {
    case RESPONSE_HEAD:
        return feed_head(answer, data, size);
    case RESPONSE_COUNTED:
    case RESPONSE_CHUNK_DATA:
        return feed_counted(answer, data, size, sink, owner);
    case RESPONSE_UNTIL_CLOSE:
        sink(owner, data, size);
        return size;
    default:
        return feed_line(answer, data, size);
    }
}

size_t response_feed(struct response *answer, const char *data, size_t size,
                     body_sink sink, void *owner)
{
    size_t used = 0;
    while (used < size && answer->phase != RESPONSE_DONE &&
           answer->phase != RESPONSE_BROKEN)
        used += feed_once(answer, data + used, size - used, sink, owner);
    return used;
}

bool response_ends_by_close(struct response *answer)
{
    if (answer->phase != RESPONSE_UNTIL_CLOSE)
        return false;
    answer->phase = RESPONSE_DONE;
    answer->closes = true;
    return true;
}
