/* What arrives in a body: a whole answer, or server-sent events with their time. */
#include <ctype.h>
#include <string.h>

#include "load.h"

enum { STAMP_DIGITS = 20, BODY_LIMIT = 8 << 20 };
static const char STAMP_END[] = " word ";

static void keep(struct connection *connection, const char *data, size_t size)
{
    size_t needed = connection->body_used + size;
    if (needed > BODY_LIMIT)
        return;
    if (needed > connection->body_room) {
        connection->body_room = needed * 2 < 4096 ? 4096 : needed * 2;
        connection->body = grown(connection->body, connection->body_room);
    }
    memcpy(connection->body + connection->body_used, data, size);
    connection->body_used = needed;
}

void body_take(void *owner, const char *data, size_t size)
{
    struct arrival *arrival = owner;
    keep(arrival->connection, data, size);
}

/* The mock writes the time of sending as 20 digits before " word ". */
static bool read_stamp(const char *line, size_t size, int64_t *stamp)
{
    const char *end = memmem(line, size, STAMP_END, sizeof STAMP_END - 1);
    if (end == NULL || end - line < STAMP_DIGITS)
        return false;
    int64_t value = 0;
    for (const char *digit = end - STAMP_DIGITS; digit < end; digit++) {
        if (!isdigit((unsigned char)*digit))
            return false;
        value = value * 10 + (*digit - '0');
    }
    *stamp = value;
    return true;
}

static void read_data(struct run *run, struct connection *connection,
                      const char *line, size_t size)
{
    const char *final = run->options.final;
    int64_t stamp;
    connection->has_data = true;
    connection->final_last = memmem(line, size, final, strlen(final)) != NULL;
    if (!read_stamp(line, size, &stamp))
        return;
    samples_add(&run->lag, run->received_at - stamp);
    connection->chunks++;
    if (connection->first_at == 0)
        connection->first_at = run->received_at;
}

static void read_line(struct run *run, struct connection *connection,
                      const char *line, size_t size)
{
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size >= 5 && memcmp(line, "data:", 5) == 0) {
        read_data(run, connection, line + 5, size - 5);
    } else if (size == 0 && connection->has_data) {
        connection->events++;
        connection->has_data = false;
    }
}

void stream_take(void *owner, const char *data, size_t size)
{
    struct arrival *arrival = owner;
    struct connection *connection = arrival->connection;
    if (connection->answer.status != 200) {
        keep(connection, data, size);
        return;
    }
    const char *newline;
    while ((newline = memchr(data, '\n', size)) != NULL) {
        size_t part = (size_t)(newline - data);
        if (connection->body_used > 0) {
            keep(connection, data, part);
            read_line(arrival->run, connection, connection->body,
                      connection->body_used);
            connection->body_used = 0;
        } else {
            read_line(arrival->run, connection, data, part);
        }
        data += part + 1;
        size -= part + 1;
    }
    keep(connection, data, size);
}
