/* SPDX-License-Identifier: Apache-2.0 */
/* listener.h - owns the opening of a listening socket; knows nothing of what is spoken on it. */
#ifndef MAILGAUGE_LISTENER_H
#define MAILGAUGE_LISTENER_H
#include <stdbool.h>
#include <stddef.h>

/* listener_open - a non-blocking socket that listens at "ADDRESS:PORT" (with any_port: at a port that is free),
 * or -errno with a sentence in err */
int listener_open(const char *text, bool any_port, char *err, size_t err_size);
/* listener_port - the port that it has, 0 when that cannot be told */
unsigned listener_port(int fd);

#endif
