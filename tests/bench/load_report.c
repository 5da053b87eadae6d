/* The load generator's figures as one JSON object on stdout. */
#include <string.h>

#include "load.h"

static const char *const FAILURE_NAMES[FAILURES] = {
    "connect", "status", "broken", "cut", "expected", "chunks", "final", "timeout"};
static const char *const MODE_NAMES[] = {"json", "stream", "hold"};

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\')
            printf("\\%c", letter);
        else if (letter < 0x20 || letter > 0x7e)
            printf("\\u%04x", letter);
        else
            putchar(letter);
    }
    putchar('"');
}

void run_report(struct run *run, double seconds)
{
    long failed = 0;
    printf("{\"mode\":\"%s\",\"connections\":%d,\"seconds\":%.4f",
           MODE_NAMES[run->options.mode], run->options.connections, seconds);
    printf(",\"started\":%ld,\"requests\":%ld,\"failed\":{", run->started,
           run->succeeded);
    for (int kind = 0; kind < FAILURES; kind++) {
        printf("%s\"%s\":%ld", kind ? "," : "", FAILURE_NAMES[kind],
               run->failed[kind]);
        failed += run->failed[kind];
    }
    printf("},\"failures\":%ld,\"first_failure\":", failed);
    print_text(run->first_failure);
    printf(",\"rps\":%.1f,\"peak_open\":%ld", (double)run->succeeded / seconds,
           run->peak_open);
    samples_print(&run->latency, "latency_us");
    if (run->options.mode != MODE_JSON) {
        printf(",\"chunks\":%ld,\"events\":%ld", run->chunks, run->events);
        samples_print(&run->ttft, "ttft_us");
        samples_print(&run->lag, "lag_us");
    }
    puts("}");
}
