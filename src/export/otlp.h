/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h - owns the OTLP metrics messages: a snapshot becomes the bytes of an ExportMetricsServiceRequest, and the
 * peer's reply becomes a few plain facts. A pure codec: it knows no socket and no HTTP. */
#ifndef MAILGAUGE_OTLP_H
#define MAILGAUGE_OTLP_H
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct config;
struct snapshot;

/* An attribute of the resource: a text, or a number where text is NULL. */
struct otlp_attribute {
	const char *key, *text;
	int64_t number;
};

struct otlp_options {
	const char *prefix;              /* of events: "mail" gives mail.auth.success; "" none */
	const char *version;             /* of the scope "mailgauge" */
	struct otlp_attribute *resource; /* who sends; no key twice */
	size_t resource_cnt;
};

#define OTLP_MESSAGE_MAX 200 /* bytes of a peer's message that are kept */

struct otlp_reply {
	int64_t rejected;                       /* data points of a partial success; 0: all were taken */
	char message[4 * OTLP_MESSAGE_MAX + 4]; /* what the peer had to say, made printable; "" nothing */
};

/* otlp_options_init - prefix and resource out of the configuration: service.name, service.version, host.name,
 * service.instance.id (the host's name) and process.pid, unless the configuration sets them. Copied into `mem`. */
void otlp_options_init(struct otlp_options *out, const struct config *config, const char *version, struct arena *mem);
/* otlp_write - append the request to `out`; returns its number of data points. Look at buf_failed() afterwards. */
size_t otlp_write(struct buf *out, const struct snapshot *snap, const struct otlp_options *options);
/* otlp_read_response - the body of a success; 0, or -EBADMSG when it is none of OTLP's */
int otlp_read_response(struct otlp_reply *out, const void *data, size_t len);
/* otlp_read_status - the body of an error (google.rpc.Status); 0, or -EBADMSG */
int otlp_read_status(struct otlp_reply *out, const void *data, size_t len);

#endif
