/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - owns how exporters start their threads; knows nothing of what they do. */
#ifndef MAILGAUGE_THREAD_H
#define MAILGAUGE_THREAD_H
#include <pthread.h>
#include <stdint.h>

/* thread_start - run `body` in a thread that takes no signals: those are for the main loop. 0 or -errno. */
int thread_start(pthread_t *out, const char *name, void *(*body)(void *), void *arg);
/* monotonic_ms - a clock for intervals and deadlines */
uint64_t monotonic_ms(void);

#endif
