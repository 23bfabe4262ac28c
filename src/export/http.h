/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - owns the HTTP endpoint: the metrics path, /healthz, /readyz and a small page that links them, served by
 * one thread. It knows the snapshot and its Prometheus form, and nothing of where the numbers come from. */
#ifndef MAILGAUGE_HTTP_H
#define MAILGAUGE_HTTP_H
#include <stdbool.h>
#include <stddef.h>

#include "snapshot/snapshot.h"

struct buf;
struct config;
struct http;

struct http_options {
	const struct config *config; /* read (and copied) by http_start() only */
	const char *version;
	bool any_port;        /* take the configured address, but any port that is free (for tests) */
	unsigned deadline_ms; /* a connection that completes no request for so long is cut; 0: the default */
	/* Called from the server's thread, with `ctx`: */
	take_snapshot_fn take;
	bool (*ready)(void *ctx, struct buf *reason);  /* false: /readyz answers 503 with the reason */
	void (*servers)(void *ctx, struct buf *lines); /* what runs here, as text, for the page at / */
	void *ctx;
};

/* http_start - listen and serve. 0, or -errno with a sentence in err. *out is set before the first callback. */
int http_start(struct http **out, const struct http_options *options, char *err, size_t err_size);
/* http_port - the port it really has */
unsigned http_port(const struct http *http);
/* http_add_metrics - what the endpoint says of itself, into a snapshot that is being made; accepts NULL */
void http_add_metrics(const struct http *http, struct snapshot *snap);
/* http_stop - close all connections and free; accepts NULL, sets *http to NULL */
void http_stop(struct http **http);

/* The pure parts, for tests: */
/* http_accepts_gzip - by the value of Accept-Encoding, or NULL */
bool http_accepts_gzip(const char *accept_encoding);
/* http_put_html - `text` with HTML's special characters escaped */
void http_put_html(struct buf *out, const char *text);
/* http_put_base64 - RFC 4648 with padding */
void http_put_base64(struct buf *out, const char *text);

#endif
