/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.h - owns the telling of client connections by the sockets of a server's processes, which says what a server
 * was doing before it was watched. It knows no server and keeps nothing. */
#ifndef MAILGAUGE_SOCKETS_H
#define MAILGAUGE_SOCKETS_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct arena;

/* One process of an instance and its client connections. */
struct clients {
	pid_t pid;
	char comm[16];
	unsigned accepted; /* connected sockets (TCP, Unix) with the port or path of one that the instance listens at */
	unsigned paired;   /* ends of nameless socket pairs whose other end another process of the instance has */
};

/* clients_of_instance - all processes of the tree below `root` (in our pid namespace, that one included), with their
 * client connections, sorted by pid; all memory is taken from `mem`. Processes that vanish meanwhile are left out or
 * have fewer. 0, or -errno. *has_pairs false: the kernel does not tell about pairs (no unix_diag), all are 0. */
int clients_of_instance(struct clients **out, size_t *count, pid_t root, bool *has_pairs, struct arena *mem);

#endif
