/* What the mock upstream answers: Gemini's JSON, whole or as paced events. */
#include <string.h>

#include "mock.h"

static const char WHOLE[] =
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"This is the benchmark "
    "answer: a queue smooths short bursts, keeps the order of work visible and lets "
    "the slower side set the pace, while a bound on its length turns overload into "
    "an early and honest refusal.\"}],\"role\":\"model\"},\"finishReason\":\"STOP\","
    "\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":412,"
    "\"candidatesTokenCount\":43,\"totalTokenCount\":455,\"promptTokensDetails\":"
    "[{\"modality\":\"TEXT\",\"tokenCount\":412}]},\"modelVersion\":\"%s\","
    "\"responseId\":\"bench-%ld\"}";

static const char CHUNK[] =
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"%020lld word \"}],"
    "\"role\": \"model\"},%s\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": "
    "412,\"candidatesTokenCount\": %d,\"totalTokenCount\": %d},\"modelVersion\": "
    "\"%s\",\"responseId\": \"bench-stream\"}\r\n\r\n";

static const char MODEL[] =
    "{\"name\":\"models/%s\",\"version\":\"001\",\"displayName\":\"Bench model\","
    "\"inputTokenLimit\":1048576,\"outputTokenLimit\":65536,"
    "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\"]}";

static const char *const MODELS[] = {"gemini-2.5-flash", "gemini-2.5-flash-lite",
                                     "gemini-2.5-pro", "gemini-3-flash-preview"};

static void reply(struct client *client, const char *status, const char *body,
                  size_t size)
{
    char head[256];
    int used = snprintf(head, sizeof head,
                        "HTTP/1.1 %s\r\nContent-Type: application/json; "
                        "charset=UTF-8\r\nContent-Length: %zu\r\n\r\n",
                        status, size);
    buffer_add(&client->out, head, (size_t)used);
    buffer_add(&client->out, body, size);
}

static void refuse(struct client *client, const char *status, int code,
                   const char *name)
{
    char body[256];
    int size = snprintf(body, sizeof body,
                        "{\"error\":{\"code\":%d,\"message\":\"The mock does not "
                        "answer this.\",\"status\":\"%s\"}}",
                        code, name);
    reply(client, status, body, (size_t)size);
}

void answer_chunk(struct mock *mock, struct client *client)
{
    char text[1024], size_line[16];
    bool last = client->chunk + 1 == client->chunks;
    if (client->cut_after > 0 && client->chunk == client->cut_after) {
        client->dead = true;
        return;
    }
    int count = client->chunk + 1;
    int size = snprintf(text, sizeof text, CHUNK, (long long)now_ns(),
                        last ? "\"finishReason\": \"STOP\"," : "", count, 412 + count,
                        client->model);
    int line = snprintf(size_line, sizeof size_line, "%x\r\n", (unsigned)size);
    buffer_add(&client->out, size_line, (size_t)line);
    buffer_add(&client->out, text, (size_t)size);
    buffer_add(&client->out, "\r\n", 2);
    client->chunk++;
    if (last) {
        buffer_add(&client->out, "0\r\n\r\n", 5);
        client->chunks = 0;
        mock->finished++;
        return;
    }
    client->due += client->interval_ns;
    if (client->interval_ns > 0)
        queue_put(mock, client);
}

static void begin_stream(struct mock *mock, struct client *client)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    mock->streams++;
    client->chunk = 0;
    client->chunks = mock->chunks;
    client->cut_after = mock->cut_after;
    client->interval_ns = mock->interval_ns;
    client->due = now_ns();
    buffer_add(&client->out, head, sizeof head - 1);
    do
        answer_chunk(mock, client);
    while (client->chunks > 0 && client->interval_ns == 0 && !client->dead);
}

static void generate(struct mock *mock, struct client *client, const char *path)
{
    char body[2048];
    const char *name = strstr(path, "/models/") + strlen("/models/");
    size_t size = strcspn(name, ":? /");
    if (size >= sizeof client->model)
        size = sizeof client->model - 1;
    memcpy(client->model, name, size);
    client->model[size] = '\0';
    if (strncmp(name + size, ":streamGenerateContent", 22) == 0) {
        begin_stream(mock, client);
    } else if (strncmp(name + size, ":generateContent", 16) == 0) {
        int length = snprintf(body, sizeof body, WHOLE, client->model, mock->requests);
        reply(client, "200 OK", body, (size_t)length);
    } else {
        refuse(client, "404 Not Found", 404, "NOT_FOUND");
    }
}

static void list_models(struct client *client)
{
    char body[4096] = "{\"models\":[";
    int used = (int)strlen(body);
    for (size_t i = 0; i < sizeof MODELS / sizeof MODELS[0]; i++) {
        used += snprintf(body + used, sizeof body - (size_t)used, "%s", i ? "," : "");
        used += snprintf(body + used, sizeof body - (size_t)used, MODEL, MODELS[i]);
    }
    used += snprintf(body + used, sizeof body - (size_t)used, "]}");
    reply(client, "200 OK", body, (size_t)used);
}

/* /bench/pace?chunks=K&interval_us=T&cut_after=N sets what later streams do. */
static void pace(struct mock *mock, struct client *client, const char *query)
{
    long long interval = 0;
    int chunks = 0, cut = 0;
    int read = sscanf(query, "chunks=%d&interval_us=%lld&cut_after=%d", &chunks,
                      &interval, &cut);
    if (read < 2 || chunks < 1 || interval < 0 || cut < 0) {
        refuse(client, "400 Bad Request", 400, "INVALID_ARGUMENT");
        return;
    }
    mock->chunks = chunks;
    mock->interval_ns = interval * 1000;
    mock->cut_after = cut;
    reply(client, "200 OK", "{}", 2);
}

static void stats(struct mock *mock, struct client *client)
{
    char body[256];
    int size = snprintf(body, sizeof body,
                        "{\"requests\":%ld,\"streams\":%ld,\"finished\":%ld,"
                        "\"aborted\":%ld,\"open\":%ld}",
                        mock->requests, mock->streams, mock->finished, mock->aborted,
                        mock->open);
    reply(client, "200 OK", body, (size_t)size);
}

static void answer(struct mock *mock, struct client *client, const char *head)
{
    bool post = strncmp(head, "POST ", 5) == 0;
    const char *path = strchr(head, ' ') + 1;
    const char *models = "/v1beta/models";
    mock->requests++;
    if (strncmp(path, "/bench/pace?", 12) == 0)
        pace(mock, client, path + 12);
    else if (strncmp(path, "/bench/stats ", 13) == 0)
        stats(mock, client);
    else if (strncmp(path, models, strlen(models)) != 0)
        refuse(client, "404 Not Found", 404, "NOT_FOUND");
    else if (post && path[strlen(models)] == '/')
        generate(mock, client, path);
    else if (!post && strcspn(path, "? ") == strlen(models))
        list_models(client);
    else
        refuse(client, "404 Not Found", 404, "NOT_FOUND");
}

/* Returns the size of the first whole request, 0 if it is not whole yet, -1 if the
   mock cannot read it. */
static long long whole_request(struct client *client, char **end)
{
    char *data = client->in.data;
    *end = memmem(data, client->in.used, "\r\n\r\n", 4);
    if (*end == NULL)
        return client->in.used > 65536 ? -1 : 0;
    **end = '\0';
    long long size = *end - data + 4;
    const char *length = strcasestr(data, "\r\ncontent-length:");
    bool readable = strchr(data, ' ') && !strcasestr(data, "\r\ntransfer-encoding:");
    if (length != NULL)
        size += atoll(length + strlen("\r\ncontent-length:"));
    if (!readable || size < 0)
        return -1;
    if ((size_t)size <= client->in.used)
        return size;
    **end = '\r';
    return 0;
}

void answer_all(struct mock *mock, struct client *client)
{
    char *end;
    while (client->in.used > 0 && client->chunks == 0 && !client->dead) {
        long long size = whole_request(client, &end);
        if (size < 0)
            client->dead = true;
        if (size <= 0)
            return;
        answer(mock, client, client->in.data);
        client->in.used -= (size_t)size;
        memmove(client->in.data, client->in.data + size, client->in.used);
    }
}
