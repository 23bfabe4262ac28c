/* SPDX-License-Identifier: Apache-2.0 */
#include "export/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"

static void set_port(struct sockaddr_storage *address, in_port_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = port;
	else
		((struct sockaddr_in *)address)->sin_port = port;
}

unsigned listener_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {.v6 = {0}};
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len))
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* listen_at - a listening socket, or -errno */
static int listen_at(const struct sockaddr_storage *address)
{
	const int on = 1, off = 0;
	socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd, err;

	fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ss_family == AF_INET6) /* [::] means IPv4 too */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (const struct sockaddr *)address, len) || listen(fd, 128)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int listener_open(const char *text, bool any_port, char *err, size_t err_size)
{
	struct sockaddr_storage address;
	const char *wrong = address_parse(text, &address);
	int fd;

	if (wrong) {
		snprintf(err, err_size, "cannot listen on \"%s\": it %s", text, wrong);
		return -EINVAL;
	}
	if (any_port)
		set_port(&address, 0);
	fd = listen_at(&address);
	if (fd < 0)
		snprintf(err, err_size, "cannot listen on \"%s\": %s", text, strerror(-fd));
	return fd;
}
