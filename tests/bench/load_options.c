/* The command line of the load generator. */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "load.h"

static void die(const char *what, const char *which)
{
    fprintf(stderr, "load: %s: %s\n", what, which);
    exit(2);
}

static char *file_text(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die("cannot read the body", path);
    char *text = NULL;
    size_t room = 0, part;
    *size = 0;
    do {
        room += 65536;
        text = grown(text, room);
        part = fread(text + *size, 1, room - *size, file);
        *size += part;
    } while (*size == room);
    fclose(file);
    return text;
}

/* http://a.b.c.d:port/path, nothing else: the generator is for loopback. */
static const char *read_url(struct options *options, const char *url, char *authority)
{
    char host[64];
    int port = 0, used = 0;
    if (sscanf(url, "http://%63[0-9.]:%d%n", host, &port, &used) != 2)
        die("expected http://IPv4:PORT/PATH", url);
    options->address.sin_family = AF_INET;
    options->address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &options->address.sin_addr) != 1)
        die("not an IPv4 address", host);
    snprintf(authority, 96, "%s:%d", host, port);
    return url[used] ? url + used : "/";
}

static void build_request(struct options *options, const char *url,
                          const char *body_path, const char *headers)
{
    char authority[96];
    const char *path = read_url(options, url, authority);
    size_t body_size = 0;
    char *body = body_path ? file_text(body_path, &body_size) : NULL;
    size_t room = strlen(path) + strlen(headers) + sizeof authority + 256;
    options->request = grown(NULL, room + body_size);
    int head = snprintf(options->request, room,
                        "POST %s HTTP/1.1\r\nHost: %s\r\n"
                        "Content-Type: application/json\r\n"
                        "Content-Length: %zu\r\n%s\r\n",
                        path, authority, body_size, headers);
    if (body_size > 0)
        memcpy(options->request + head, body, body_size);
    options->request_size = (size_t)head + body_size;
    free(body);
}

static void add_header(char *headers, size_t room, const char *line)
{
    size_t used = strlen(headers);
    if (strpbrk(line, "\r\n") || used + strlen(line) + 3 > room)
        die("a header that does not fit", line);
    snprintf(headers + used, room - used, "%s\r\n", line);
}

static enum mode read_mode(const char *word)
{
    if (strcmp(word, "json") == 0)
        return MODE_JSON;
    if (strcmp(word, "stream") == 0)
        return MODE_STREAM;
    if (strcmp(word, "hold") == 0)
        return MODE_HOLD;
    die("the mode is json, stream or hold, not", word);
    return MODE_JSON;
}

static void check(struct options *options)
{
    if (options->connections < 1)
        die("--connections", "must be at least 1");
    if (options->mode == MODE_HOLD)
        options->rounds = 1;
    if (options->seconds <= 0 && options->requests <= 0 && options->rounds <= 0)
        die("unbounded", "give --seconds, --requests or --rounds");
    if (options->mode == MODE_JSON && options->expect[0] == '\0')
        die("--expect", "an answer needs a text to expect");
    if (options->mode != MODE_JSON && options->chunks < 1)
        die("--chunks", "a stream needs the number of chunks to expect");
}

void options_read(struct options *options, int count, char **words)
{
    static const struct option known[] = {
        {"url", 1, 0, 'u'},      {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
        {"requests", 1, 0, 'n'}, {"rounds", 1, 0, 'r'},      {"body", 1, 0, 'b'},
        {"header", 1, 0, 'H'},   {"expect", 1, 0, 'e'},      {"chunks", 1, 0, 'k'},
        {"final", 1, 0, 'f'},    {"spread-ms", 1, 0, 'p'},   {"grace", 1, 0, 'g'},
        {0, 0, 0, 0}};
    static char headers[8192];
    const char *url = NULL, *body = NULL;
    if (count < 2)
        die("usage", "load json|stream|hold --url URL --body FILE …");
    *options = (struct options){.mode = read_mode(words[1]), .connections = 1,
                                .grace = 30, .expect = "", .final = ""};
    int letter;
    while ((letter = getopt_long(count - 1, words + 1, "", known, NULL)) != -1) {
        switch (letter) {
        case 'u': url = optarg; break;
        case 'b': body = optarg; break;
        case 'c': options->connections = atoi(optarg); break;
        case 's': options->seconds = atof(optarg); break;
        case 'n': options->requests = atol(optarg); break;
        case 'r': options->rounds = atol(optarg); break;
        case 'k': options->chunks = atoi(optarg); break;
        case 'p': options->spread_ms = atof(optarg); break;
        case 'g': options->grace = atof(optarg); break;
        case 'e': options->expect = optarg; break;
        case 'f': options->final = optarg; break;
        case 'H': add_header(headers, sizeof headers, optarg); break;
        default: die("unknown option", words[optind]);
        }
    }
    if (url == NULL)
        die("--url", "is missing");
    check(options);
    build_request(options, url, body, headers);
}
