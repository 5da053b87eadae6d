/* A growing list of nanosecond samples and its percentiles. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct samples {
    int64_t *values;
    size_t used, room;
};

static inline int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void *grown(void *block, size_t size)
{
    void *larger = realloc(block, size);
    if (larger == NULL) {
        fputs("out of memory\n", stderr);
        exit(3);
    }
    return larger;
}

static inline void samples_add(struct samples *list, int64_t value)
{
    if (list->used == list->room) {
        list->room = list->room ? list->room * 2 : 4096;
        list->values = grown(list->values, list->room * sizeof *list->values);
    }
    list->values[list->used++] = value;
}

static inline int samples_order(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Prints ,"name":{"n":…,"p50":…,"p90":…,"p99":…,"max":…} in microseconds. */
static inline void samples_print(struct samples *list, const char *name)
{
    static const struct { const char *name; double share; } points[] = {
        {"p50", 0.50}, {"p90", 0.90}, {"p99", 0.99}, {"max", 1.0}};
    printf(",\"%s\":{\"n\":%zu", name, list->used);
    if (list->used > 0)
        qsort(list->values, list->used, sizeof *list->values, samples_order);
    for (size_t i = 0; i < sizeof points / sizeof points[0] && list->used; i++) {
        size_t place = (size_t)(points[i].share * (double)(list->used - 1) + 0.5);
        printf(",\"%s\":%.1f", points[i].name, (double)list->values[place] / 1e3);
    }
    printf("}");
}

#endif
