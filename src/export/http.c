/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread drives libmicrohttpd by its epoll descriptor instead of leaving the polling to the library, because the
 * library's own timeout is about silence only: a client that sends one byte now and then would hold its connection
 * for ever. Here a connection must complete a request within the deadline, whatever it does meanwhile; that one rule
 * ends clients that never send, never finish sending, or never read. All connections are non-blocking, so a slow one
 * costs the others nothing.
 */
#include "export/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "export/listener.h"
#include "export/process.h"
#include "export/prom.h"
#include "export/thread.h"

#define DEADLINE_MS          20000u /* above the scrape interval of 15 s that many use, so their connections stay */
#define CONNECTIONS_MAX      100u
#define CONNECTION_BYTES_MAX ((size_t)8192) /* request line and headers; longer ones get 414 or 431 */
#define BODY_BYTES_MAX       8192u          /* nothing here takes a body; a small one is read and forgotten */
#define EXPOSITION_BYTES_MAX ((size_t)64 << 20)
#define TEXT_TYPE            "text/plain; charset=utf-8"
#define EXPOSITION_TYPE      "text/plain; version=0.0.4; charset=utf-8"
#define METHODS              "GET, HEAD, OPTIONS"

struct connection {
	struct connection *next, **link;
	int fd;
	uint64_t since_ms; /* when it was opened or completed its last request */
	bool cut;
};

struct http {
	struct http_options options; /* its config is not valid after http_start() */
	struct prom_options prom;
	const char *path;
	const char *credentials; /* base64 of user:secret, or NULL */
	unsigned port;
	struct arena *mem;

	struct MHD_Daemon *daemon;
	int listen_fd; /* -1 once the daemon owns it */
	int stop_fd;
	pthread_t thread;
	bool thread_runs;

	/* of the thread alone */
	struct connection *connections;
	bool closed_some;
	struct buf text, packed; /* reused by every reply */
	z_stream gzip;
	bool gzip_ready;

	atomic_uint_fast64_t scrapes_good, scrapes_failed, scrapes_refused, scrape_ns;
};

/* ---- replies */

/* reply - queue http->text or http->packed, or any other bytes; they are copied */
static enum MHD_Result reply(struct MHD_Connection *to, unsigned status, const char *type, const struct buf *body,
			     const char *header, const char *value)
{
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;

	response = MHD_create_response_from_buffer(body->len, (void *)(uintptr_t)buf_text(body), MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO; /* no memory: the connection is closed */
	if ((!type || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type)) &&
	    (!header || MHD_add_response_header(response, header, value)))
		result = MHD_queue_response(to, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_text(struct http *http, struct MHD_Connection *to, unsigned status, const char *text,
				  const char *header, const char *value)
{
	buf_reset(&http->text);
	buf_puts(&http->text, text);
	return reply(to, status, TEXT_TYPE, &http->text, header, value);
}

bool http_accepts_gzip(const char *accept_encoding)
{
	const char *at = accept_encoding;

	while (at && *at) {
		size_t len = strcspn(at, ","), name_len;
		const char *item = at, *q;

		at += len + (at[len] == ',');
		while (len && (*item == ' ' || *item == '\t'))
			item++, len--;
		name_len = strcspn(item, " \t;,");
		if (name_len != 4 || strncasecmp(item, "gzip", 4))
			continue; /* "*" too: plain text is never wrong */
		q = memchr(item, '=', len);
		return !q || strtod(q + 1, NULL) > 0;
	}
	return false;
}

/* pack - http->text as gzip into http->packed; false when that is not possible.
 * Level 1 and small tables: the text repeats itself at short range, and the tables stay resident. */
static bool pack(struct http *http)
{
	unsigned char chunk[4096];
	int rc;

	if (http->text.len > UINT32_MAX)
		return false;
	if (!http->gzip_ready)
		rc = deflateInit2(&http->gzip, 1, Z_DEFLATED, 16 + 13, 6, Z_DEFAULT_STRATEGY);
	else
		rc = deflateReset(&http->gzip);
	if (rc != Z_OK)
		return false;
	http->gzip_ready = true;
	buf_reset(&http->packed);
	http->gzip.next_in = (unsigned char *)http->text.data;
	http->gzip.avail_in = (unsigned)http->text.len;
	do {
		http->gzip.next_out = chunk;
		http->gzip.avail_out = sizeof(chunk);
		rc = deflate(&http->gzip, Z_FINISH);
		buf_add(&http->packed, chunk, sizeof(chunk) - http->gzip.avail_out);
	} while (rc == Z_OK);
	return rc == Z_STREAM_END && !buf_failed(&http->packed);
}

/* write_exposition - 0 with the whole exposition in http->text, or -errno */
static int write_exposition(struct http *http)
{
	struct process_stats process;
	struct snapshot *snap = NULL;
	int err;

	err = http->options.take(http->options.ctx, &snap);
	if (err)
		return err;
	buf_reset(&http->text);
	prom_write(&http->text, snap, &http->prom);
	snapshot_free(&snap);
	if (!process_read(&process))
		process_write(&http->text, &process);
	return buf_failed(&http->text) ? -ENOBUFS : 0;
}

static enum MHD_Result reply_metrics(struct http *http, struct MHD_Connection *to)
{
	const char *accept = MHD_lookup_connection_value(to, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	char reason[128];
	bool packed;
	int err;

	err = write_exposition(http);
	if (err) {
		http->scrapes_failed++;
		snprintf(reason, sizeof(reason), "cannot collect the metrics: %s\n", strerror(-err));
		return reply_text(http, to, MHD_HTTP_INTERNAL_SERVER_ERROR, reason, NULL, NULL);
	}
	packed = http_accepts_gzip(accept) && pack(http);
	http->scrapes_good++;
	http->scrape_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
	if (packed)
		return reply(to, MHD_HTTP_OK, EXPOSITION_TYPE, &http->packed, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return reply(to, MHD_HTTP_OK, EXPOSITION_TYPE, &http->text, NULL, NULL);
}

static enum MHD_Result reply_health(struct http *http, struct MHD_Connection *to)
{
	return reply_text(http, to, MHD_HTTP_OK, "ok\n", NULL, NULL);
}

static enum MHD_Result reply_ready(struct http *http, struct MHD_Connection *to)
{
	bool ready;

	buf_reset(&http->text);
	ready = http->options.ready(http->options.ctx, &http->text);
	if (ready)
		return reply_text(http, to, MHD_HTTP_OK, "ready\n", NULL, NULL);
	buf_putc(&http->text, '\n');
	return reply(to, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT_TYPE, &http->text, NULL, NULL);
}

void http_put_html(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			buf_puts(out, "&amp;");
		else if (*text == '<')
			buf_puts(out, "&lt;");
		else if (*text == '>')
			buf_puts(out, "&gt;");
		else if (*text == '"')
			buf_puts(out, "&quot;");
		else
			buf_putc(out, *text);
	}
}

static void put_link(struct buf *out, const char *path, const char *text)
{
	buf_puts(out, "<li><a href=\"");
	http_put_html(out, path);
	buf_printf(out, "\">%s</a></li>\n", text);
}

static enum MHD_Result reply_page(struct http *http, struct MHD_Connection *to)
{
	struct buf *out = &http->text, servers;
	enum MHD_Result result;

	buf_init(&servers, 1 << 20);
	http->options.servers(http->options.ctx, &servers);
	buf_reset(out);
	buf_puts(out,
		 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>mailgauge</title></head>\n"
		 "<body><h1>mailgauge ");
	http_put_html(out, http->prom.version);
	buf_puts(out, "</h1>\n<ul>\n");
	put_link(out, http->path, "Metrics");
	put_link(out, "/healthz", "Is the process alive?");
	put_link(out, "/readyz", "Does it count?");
	buf_puts(out, "</ul>\n<h2>Servers</h2>\n<pre>");
	http_put_html(out, buf_text(&servers));
	buf_puts(out, "</pre>\n</body></html>\n");
	result = reply(to, MHD_HTTP_OK, "text/html; charset=utf-8", out, NULL, NULL);
	buf_free(&servers);
	return result;
}

/* ---- requests */

void http_put_base64(struct buf *out, const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < len ? (unsigned char)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			buf_putc(out, i + j > len ? '=' : digits[bits >> (18 - 6 * j) & 63]);
	}
}

/* same_secret - compare in a time that tells nothing about the place of the first difference */
static bool same_secret(const char *given, const char *wanted)
{
	size_t given_len = strlen(given), wanted_len = strlen(wanted);
	volatile unsigned char differ = given_len != wanted_len;

	for (size_t i = 0; i < given_len; i++)
		differ = differ | (unsigned char)(given[i] ^ wanted[i % (wanted_len + 1)]);
	return !differ;
}

static bool may_read(const struct http *http, struct MHD_Connection *from)
{
	const char *value = MHD_lookup_connection_value(from, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);

	if (!http->credentials)
		return true;
	if (!value || strncasecmp(value, "Basic ", 6))
		return false;
	value += 6;
	return same_secret(value + strspn(value, " "), http->credentials);
}

struct route {
	const char *path;
	bool is_open; /* readable without credentials: it tells nothing of the mail */
	enum MHD_Result (*reply)(struct http *http, struct MHD_Connection *to);
};

static enum MHD_Result answer(struct http *http, struct MHD_Connection *from, const char *url, const char *method)
{
	const struct route routes[] = {
	    {http->path, false, reply_metrics},
	    {"/healthz", true, reply_health},
	    {"/readyz", true, reply_ready},
	    {"/", false, reply_page},
	};
	const struct route *route = NULL;
	struct buf nothing = {0};

	if (!strcmp(method, MHD_HTTP_METHOD_OPTIONS))
		return reply(from, MHD_HTTP_NO_CONTENT, NULL, &nothing, MHD_HTTP_HEADER_ALLOW, METHODS);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]) && !route; i++)
		if (!strcmp(url, routes[i].path))
			route = &routes[i];
	if (!route)
		return reply_text(http, from, MHD_HTTP_NOT_FOUND, "not found\n", NULL, NULL);
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return reply_text(http, from, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed\n",
				  MHD_HTTP_HEADER_ALLOW, METHODS);
	if (!route->is_open && !may_read(http, from)) {
		http->scrapes_refused++;
		return reply_text(http, from, MHD_HTTP_UNAUTHORIZED, "credentials are needed\n",
				  MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"mailgauge\", charset=\"UTF-8\"");
	}
	return route->reply(http, from);
}

static bool body_is_too_large(struct MHD_Connection *from)
{
	const char *length = MHD_lookup_connection_value(from, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (MHD_lookup_connection_value(from, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		return true; /* of unknown size */
	return length && strtoull(length, NULL, 10) > BODY_BYTES_MAX;
}

/* on_request - called once with the headers, then per piece of a body, then once at the end of the request */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *from, const char *url, const char *method,
				  const char *protocol, const char *body, size_t *body_len, void **state)
{
	static char headers_seen;

	(void)protocol;
	(void)body;
	if (!*state) {
		*state = &headers_seen;
		if (!body_is_too_large(from))
			return MHD_YES;
		return reply_text(ctx, from, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large\n",
				  MHD_HTTP_HEADER_CONNECTION, "close");
	}
	if (*body_len) {
		*body_len = 0; /* forgotten */
		return MHD_YES;
	}
	return answer(ctx, from, url, method);
}

/* ---- connections and their deadline */

static void on_connection(void *ctx, struct MHD_Connection *from, void **state,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http *http = ctx;
	struct connection *connection = *state;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		connection = xrealloc_array(NULL, 1, sizeof(*connection));
		*connection = (struct connection){
		    .next = http->connections,
		    .link = &http->connections,
		    .fd = MHD_get_connection_info(from, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
		    .since_ms = monotonic_ms(),
		};
		if (connection->next)
			connection->next->link = &connection->next;
		http->connections = *state = connection;
	} else if (connection) {
		*connection->link = connection->next;
		if (connection->next)
			connection->next->link = connection->link;
		free(connection);
		*state = NULL;
		http->closed_some = true;
	}
}

static void on_completed(void *ctx, struct MHD_Connection *from, void **state, enum MHD_RequestTerminationCode how)
{
	struct connection *connection;

	(void)ctx;
	(void)state;
	connection = MHD_get_connection_info(from, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	if (connection && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		connection->since_ms = monotonic_ms();
}

/* cut_overdue - shut the connections whose deadline has passed; the library sees them closed and cleans up.
 * Returns the time until the next deadline, -1 if there is none. */
static int cut_overdue(struct http *http)
{
	uint64_t now_ms = monotonic_ms(), deadline_ms = http->options.deadline_ms;
	int wait_ms = -1;

	for (struct connection *at = http->connections; at; at = at->next) {
		uint64_t age_ms = now_ms - at->since_ms;

		if (at->cut)
			continue;
		if (age_ms >= deadline_ms) {
			log_debug("http: a client completed no request for %u ms, cut", http->options.deadline_ms);
			shutdown(at->fd, SHUT_RDWR);
			at->cut = true;
			wait_ms = 0; /* let the library look at it at once */
		} else if (wait_ms < 0 || (uint64_t)wait_ms > deadline_ms - age_ms) {
			wait_ms = (int)(deadline_ms - age_ms);
		}
	}
	return wait_ms;
}

static void *serve(void *arg)
{
	struct http *http = arg;
	struct pollfd fds[] = {
	    {.fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN},
	    {.fd = http->stop_fd, .events = POLLIN},
	};

	for (;;) {
		int wait_ms = cut_overdue(http);
		MHD_UNSIGNED_LONG_LONG library_ms;

		if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES &&
		    (wait_ms < 0 || library_ms < (unsigned)wait_ms))
			wait_ms = (int)library_ms;
		if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) {
			log_error("http: poll: %s; the endpoint is closed", strerror(errno));
			return NULL;
		}
		if (fds[1].revents)
			return NULL;
		/* At its limit of connections the library stops accepting, and begins again only in the run after the
		 * one that closed some. */
		do {
			http->closed_some = false;
			MHD_run(http->daemon);
		} while (http->closed_some);
	}
}

/* ---- life */

static void copy_options(struct http *http, const struct http_options *options)
{
	const struct config *config = options->config;
	struct buf plain, encoded;

	http->options = *options;
	http->options.config = NULL;
	if (!http->options.deadline_ms)
		http->options.deadline_ms = DEADLINE_MS;
	http->prom = (struct prom_options){
	    .prefix = arena_strdup(http->mem, config->prefix),
	    .naming = config->naming,
	    .version = arena_strdup(http->mem, options->version),
	};
	http->path = arena_strdup(http->mem, config->prometheus_path);
	if (!config->prometheus_username || !config->prometheus_secret)
		return;
	buf_init(&plain, 65536);
	buf_init(&encoded, 131072);
	buf_printf(&plain, "%s:%s", config->prometheus_username, config->prometheus_secret);
	http_put_base64(&encoded, buf_text(&plain));
	http->credentials = arena_strdup(http->mem, buf_text(&encoded));
	buf_free(&plain);
	buf_free(&encoded);
}

int http_start(struct http **out, const struct http_options *options, char *err, size_t err_size)
{
	struct arena *mem = arena_new();
	struct http *http = *out = arena_alloc(mem, sizeof(*http));
	int rc;

	http->mem = mem;
	http->listen_fd = http->stop_fd = -1;
	buf_init(&http->text, EXPOSITION_BYTES_MAX);
	buf_init(&http->packed, EXPOSITION_BYTES_MAX);
	copy_options(http, options);
	rc = http->listen_fd = listener_open(options->config->prometheus_listen, options->any_port, err, err_size);
	if (rc < 0)
		goto fail;
	http->port = listener_port(http->listen_fd);
	http->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (http->stop_fd < 0) {
		rc = -errno;
		snprintf(err, err_size, "eventfd: %s", strerror(errno));
		goto fail;
	}
	http->daemon =
	    MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http, /* options: */
			     MHD_OPTION_LISTEN_SOCKET, http->listen_fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
			     MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES_MAX, MHD_OPTION_NOTIFY_CONNECTION,
			     on_connection, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
	if (!http->daemon) {
		rc = -ENOMEM;
		snprintf(err, err_size, "cannot start the HTTP server: libmicrohttpd refused");
		goto fail;
	}
	http->listen_fd = -1;
	rc = thread_start(&http->thread, "mailgauge-http", serve, http);
	if (rc) {
		snprintf(err, err_size, "cannot start the HTTP server's thread: %s", strerror(-rc));
		goto fail;
	}
	http->thread_runs = true;
	return 0;
fail:
	http_stop(out);
	return rc;
}

void http_stop(struct http **out)
{
	struct http *http = *out;
	struct arena *mem;
	uint64_t one = 1;

	if (!http)
		return;
	if (http->thread_runs && write(http->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(http->thread, NULL);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	if (http->listen_fd >= 0)
		close(http->listen_fd);
	if (http->stop_fd >= 0)
		close(http->stop_fd);
	if (http->gzip_ready)
		deflateEnd(&http->gzip);
	buf_free(&http->text);
	buf_free(&http->packed);
	mem = http->mem; /* it lives in its own arena */
	*out = NULL;
	arena_free(&mem);
}

unsigned http_port(const struct http *http)
{
	return http->port;
}

void http_add_metrics(const struct http *http, struct snapshot *snap)
{
	struct family *family;

	if (!http)
		return;
	family = snapshot_family(snap, SCOPE_SELF, METRIC_COUNTER, "mailgauge.scrapes", "{scrape}",
				 "Requests for the metrics, by how they ended.");
	const struct {
		const char *outcome;
		uint64_t count;
	} rows[] = {
	    {"success", http->scrapes_good},
	    {"failed", http->scrapes_failed},
	    {"unauthorized", http->scrapes_refused},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		snapshot_sample(snap, family, &(struct label){"outcome", rows[i].outcome}, 1)->counter = rows[i].count;
	family = snapshot_family(snap, SCOPE_SELF, METRIC_GAUGE, "mailgauge.scrape.duration", "s",
				 "Time that collecting and formatting took for the last scrape.");
	snapshot_sample(snap, family, NULL, 0)->gauge = (double)http->scrape_ns / 1e9;
}
