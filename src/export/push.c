/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An export is one snapshot delivered, with as many attempts as it needs. Since every number is cumulative, nothing is
 * queued: each attempt sends the newest numbers, and an export that fails loses nothing but freshness. Attempts end
 * when the next export is due. All waiting is done in curl_multi_poll(), which push_stop() can interrupt.
 */
#include "export/push.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "config/config.h"
#include "export/otlp.h"
#include "export/thread.h"

#define BACKOFF_MS         500u
#define BACKOFF_MAX_MS     30000u
#define REQUEST_BYTES_MAX  ((size_t)64 << 20) /* both limits are OTLP's */
#define RESPONSE_BYTES_MAX ((size_t)4 << 20)

/* What was logged last: said again only when it changes. */
enum state { STATE_NEW, STATE_GOOD, STATE_WARNED, STATE_PARTIAL, STATE_REJECTED, STATE_FAILED };

struct push {
	take_snapshot_fn take;
	void *ctx;
	struct otlp_options otlp;
	uint64_t interval_ms, timeout_ms;
	const char *shown_url; /* without user, password and query, for messages */
	struct arena *mem;

	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	bool curl_ready;
	pthread_t thread;
	bool thread_runs;
	atomic_bool stop;

	/* of the thread alone */
	struct buf request, response;
	char curl_error[CURL_ERROR_SIZE];
	enum state state;

	pthread_mutex_t lock; /* of what follows */
	struct push_stats stats;
};

/* How one attempt, or in the end an export, came out. */
struct result {
	enum state state;
	bool retryable;
	uint64_t retry_after_ms; /* 0: the peer did not say */
	int64_t rejected;
	char message[1024];
};

uint64_t push_backoff_ms(unsigned attempt, uint32_t random)
{
	uint64_t base = attempt < 16 ? (uint64_t)BACKOFF_MS << attempt : BACKOFF_MAX_MS;

	if (base > BACKOFF_MAX_MS)
		base = BACKOFF_MAX_MS;
	return base / 2 + random % base; /* many collectors must not come back in step */
}

bool push_status_is_retryable(long status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

/* transport_is_retryable - no connection, or one that broke before the answer; not what only a human can mend */
static bool transport_is_retryable(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

/* ---- one attempt */

/* make_request - fresh numbers into push->request; false with the reason in result when there are none to send */
static bool make_request(struct push *push, struct result *result)
{
	struct snapshot *snap = NULL;
	int err = push->take(push->ctx, &snap);

	if (err) {
		result->state = STATE_FAILED;
		snprintf(result->message, sizeof(result->message), "cannot collect: %s", strerror(-err));
		return false;
	}
	buf_reset(&push->request);
	if (!otlp_write(&push->request, snap, &push->otlp))
		result->state = STATE_NEW; /* nothing to say is not said */
	else if (buf_failed(&push->request)) {
		result->state = STATE_FAILED;
		snprintf(result->message, sizeof(result->message), "the request would be larger than %zu bytes",
			 REQUEST_BYTES_MAX);
	} else {
		result->state = STATE_GOOD;
	}
	snapshot_free(&snap);
	return result->state == STATE_GOOD;
}

static size_t on_response(char *data, size_t size, size_t count, void *ctx)
{
	struct push *push = ctx;

	buf_add(&push->response, data, size * count);
	return buf_failed(&push->response) ? 0 : size * count; /* 0 ends the transfer */
}

/* perform - one request; false when push_stop() broke it off */
static bool perform(struct push *push, CURLcode *code, bool can_break)
{
	const CURLMsg *message;
	int running = 1, left;
	bool broken = false;

	*code = CURLE_FAILED_INIT;
	if (curl_multi_add_handle(push->multi, push->easy) != CURLM_OK)
		return true;
	while (running && !broken) {
		if (curl_multi_perform(push->multi, &running) != CURLM_OK)
			break;
		if (running)
			curl_multi_poll(push->multi, NULL, 0, 1000, NULL);
		broken = can_break && push->stop;
	}
	while ((message = curl_multi_info_read(push->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			*code = message->data.result;
	curl_multi_remove_handle(push->multi, push->easy);
	return !broken;
}

static void read_success(struct push *push, struct result *result)
{
	struct otlp_reply reply;

	result->state = STATE_GOOD;
	if (otlp_read_response(&reply, buf_text(&push->response), push->response.len)) {
		result->state = STATE_WARNED;
		snprintf(result->message, sizeof(result->message), "accepted, but the reply is none of OTLP's");
	} else if (reply.rejected) {
		result->state = STATE_PARTIAL;
		result->rejected = reply.rejected;
		snprintf(result->message, sizeof(result->message), "%" PRId64 " data points were rejected: %s",
			 reply.rejected, reply.message);
	} else if (*reply.message) {
		result->state = STATE_WARNED;
		snprintf(result->message, sizeof(result->message), "accepted with a warning: %s", reply.message);
	}
}

static void read_refusal(struct push *push, struct result *result, long status)
{
	struct otlp_reply reply;
	curl_off_t retry_after_s = 0;

	result->retryable = push_status_is_retryable(status);
	result->state = result->retryable ? STATE_FAILED : STATE_REJECTED;
	/* Seconds or a date; curl makes both seconds from now. */
	curl_easy_getinfo(push->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	if (retry_after_s > 0 && retry_after_s < 1000000)
		result->retry_after_ms = (uint64_t)retry_after_s * 1000;
	else if (retry_after_s > 0)
		result->retryable = false;
	if (otlp_read_status(&reply, buf_text(&push->response), push->response.len) || !*reply.message)
		snprintf(result->message, sizeof(result->message), "HTTP status %ld", status);
	else
		snprintf(result->message, sizeof(result->message), "HTTP status %ld: %s", status, reply.message);
}

/* attempt - send push->request once, by `deadline_ms` at the latest; false when push_stop() broke it off */
static bool attempt(struct push *push, struct result *result, uint64_t deadline_ms, bool can_break)
{
	uint64_t now_ms = monotonic_ms(), limit_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 1;
	long status = 0;
	CURLcode code;

	if (push->timeout_ms && limit_ms > push->timeout_ms)
		limit_ms = push->timeout_ms;
	buf_reset(&push->response);
	push->curl_error[0] = '\0';
	curl_easy_setopt(push->easy, CURLOPT_POSTFIELDS, buf_text(&push->request));
	curl_easy_setopt(push->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)push->request.len);
	curl_easy_setopt(push->easy, CURLOPT_TIMEOUT_MS, (long)limit_ms);
	if (!perform(push, &code, can_break))
		return false;

	pthread_mutex_lock(&push->lock);
	push->stats.attempts++;
	pthread_mutex_unlock(&push->lock);
	*result = (struct result){.state = STATE_FAILED};
	curl_easy_getinfo(push->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		result->retryable = transport_is_retryable(code);
		if (buf_failed(&push->response))
			snprintf(result->message, sizeof(result->message), "the reply is larger than %zu bytes",
				 RESPONSE_BYTES_MAX);
		else
			snprintf(result->message, sizeof(result->message), "%s",
				 *push->curl_error ? push->curl_error : curl_easy_strerror(code));
	} else if (status / 100 == 2) {
		read_success(push, result);
	} else {
		read_refusal(push, result, status);
	}
	return true;
}

/* ---- one export */

/* say - log the outcome when it is another one than before */
static void say(struct push *push, const struct result *result)
{
	if (result->state == push->state)
		return;
	if (result->state != STATE_GOOD)
		log_warn("push to %s: %s%s", push->shown_url, result->message,
			 result->state < STATE_REJECTED ? "" : "; it is tried again every interval");
	else if (push->state != STATE_NEW)
		log_info("push to %s works again", push->shown_url);
	push->state = result->state;
}

static void count(struct push *push, const struct result *result, uint64_t start_ms)
{
	static const enum push_outcome outcomes[] = {
	    [STATE_GOOD] = PUSH_SUCCESS,      [STATE_WARNED] = PUSH_SUCCESS, [STATE_PARTIAL] = PUSH_PARTIAL,
	    [STATE_REJECTED] = PUSH_REJECTED, [STATE_FAILED] = PUSH_FAILED,
	};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&push->lock);
	push->stats.exports[outcomes[result->state]]++;
	push->stats.rejected_points += (uint64_t)result->rejected;
	push->stats.duration_ms = monotonic_ms() - start_ms;
	if (outcomes[result->state] <= PUSH_PARTIAL)
		push->stats.last_success_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	pthread_mutex_unlock(&push->lock);
}

/* wait_until - false when push_stop() was called */
static bool wait_until(struct push *push, uint64_t when_ms)
{
	for (uint64_t now_ms; !push->stop && (now_ms = monotonic_ms()) < when_ms;) {
		uint64_t left_ms = when_ms - now_ms;

		curl_multi_poll(push->multi, NULL, 0, left_ms < 60000 ? (int)left_ms : 60000, NULL);
	}
	return !push->stop;
}

/* deliver - export the present numbers by `deadline_ms`; the last export of all is tried once */
static void deliver(struct push *push, uint64_t deadline_ms, bool is_last)
{
	uint64_t start_ms = monotonic_ms();

	for (unsigned i = 0;; i++) {
		struct result result = {.state = STATE_NEW};
		uint64_t wait_ms;

		if (make_request(push, &result)) {
			if (!attempt(push, &result, deadline_ms, !is_last))
				return;
		} else if (result.state == STATE_NEW) {
			return;
		}
		wait_ms = result.retry_after_ms ? result.retry_after_ms : push_backoff_ms(i, arc4random());
		if (is_last || !result.retryable || monotonic_ms() + wait_ms >= deadline_ms) {
			count(push, &result, start_ms);
			say(push, &result);
			return;
		}
		log_debug("push to %s: %s; again in %" PRIu64 " ms", push->shown_url, result.message, wait_ms);
		if (!wait_until(push, monotonic_ms() + wait_ms))
			return;
	}
}

static void *run(void *arg)
{
	struct push *push = arg;
	uint64_t next_ms = monotonic_ms(), now_ms;

	do {
		next_ms += push->interval_ms;
		deliver(push, next_ms, false);
		now_ms = monotonic_ms();
		if (next_ms < now_ms) /* collecting took that long, or the machine slept */
			next_ms = now_ms;
	} while (wait_until(push, next_ms));
	now_ms = monotonic_ms();
	deliver(push, now_ms + (push->timeout_ms ? push->timeout_ms : push->interval_ms), true);
	return NULL;
}

/* ---- life */

/* shown_url - the endpoint without what may be secret in it */
static const char *shown_url(const char *url, struct arena *mem)
{
	const CURLUPart secrets[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};
	const char *copy = "the endpoint";
	char *shown = NULL;
	CURLU *parts = curl_url();

	if (parts && !curl_url_set(parts, CURLUPART_URL, url, 0)) {
		for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
			curl_url_set(parts, secrets[i], NULL, 0);
		if (!curl_url_get(parts, CURLUPART_URL, &shown, 0))
			copy = arena_strdup(mem, shown);
	}
	curl_free(shown);
	curl_url_cleanup(parts);
	return copy;
}

static int add_header(struct push *push, const char *text)
{
	struct curl_slist *longer = curl_slist_append(push->headers, text);

	if (!longer)
		return -ENOMEM;
	push->headers = longer;
	return 0;
}

static int set_headers(struct push *push, const struct string_list *headers)
{
	int rc = add_header(push, "Content-Type: application/x-protobuf");

	if (!rc)
		rc = add_header(push, "Expect:"); /* no round trip for "100 Continue" */
	for (size_t i = 0; !rc && i < headers->count; i++)
		rc = add_header(push, headers->items[i]);
	return rc;
}

static int set_up_curl(struct push *push, const char *url, const char *user_agent)
{
	CURL *easy = push->easy = curl_easy_init();

	push->multi = curl_multi_init();
	if (!easy || !push->multi)
		return -ENOMEM;
	if (curl_easy_setopt(easy, CURLOPT_URL, url) || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") ||
	    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) ||
	    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) || curl_easy_setopt(easy, CURLOPT_POST, 1L) ||
	    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, push->headers) ||
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent) ||
	    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, push->curl_error) ||
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_response) ||
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, push) ||
	    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) || /* curl runs in a thread */
	    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L)) /* never wait for a resolver that hangs */
		return -EINVAL;
	return 0;
}

int push_start(struct push **out, const struct push_options *options, char *err, size_t err_size)
{
	const struct config *config = options->config;
	struct arena *mem = arena_new();
	struct push *push = *out = arena_alloc(mem, sizeof(*push));
	int rc;

	push->mem = mem;
	push->take = options->take;
	push->ctx = options->ctx;
	push->interval_ms = config->otlp_interval_ms ? config->otlp_interval_ms : 1;
	push->timeout_ms = config->otlp_timeout_ms;
	pthread_mutex_init(&push->lock, NULL);
	buf_init(&push->request, REQUEST_BYTES_MAX);
	buf_init(&push->response, RESPONSE_BYTES_MAX);
	otlp_options_init(&push->otlp, config, options->version, mem);

	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		snprintf(err, err_size, "cannot set up libcurl");
		rc = -EIO;
		goto fail;
	}
	push->curl_ready = true;
	push->shown_url = shown_url(config->otlp_endpoint, mem);
	rc = set_headers(push, &config->otlp_headers);
	if (!rc)
		rc = set_up_curl(
		    push, config->otlp_endpoint,
		    arena_printf(mem, "mailgauge/%s OTel-OTLP-Exporter-C/%s", options->version, options->version));
	if (rc) {
		snprintf(err, err_size, "cannot set up libcurl: %s", strerror(-rc));
		goto fail;
	}
	rc = thread_start(&push->thread, "mailgauge-push", run, push);
	if (rc) {
		snprintf(err, err_size, "cannot start the push's thread: %s", strerror(-rc));
		goto fail;
	}
	push->thread_runs = true;
	return 0;
fail:
	push_stop(out);
	return rc;
}

void push_stop(struct push **out)
{
	struct push *push = *out;
	struct arena *mem;

	if (!push)
		return;
	push->stop = true;
	if (push->thread_runs) {
		curl_multi_wakeup(push->multi);
		pthread_join(push->thread, NULL);
	}
	curl_easy_cleanup(push->easy);
	curl_multi_cleanup(push->multi);
	curl_slist_free_all(push->headers);
	if (push->curl_ready)
		curl_global_cleanup();
	buf_free(&push->request);
	buf_free(&push->response);
	pthread_mutex_destroy(&push->lock);
	mem = push->mem; /* it lives in its own arena */
	*out = NULL;
	arena_free(&mem);
}

struct push_stats push_stats(struct push *push)
{
	struct push_stats stats;

	pthread_mutex_lock(&push->lock);
	stats = push->stats;
	pthread_mutex_unlock(&push->lock);
	return stats;
}

/* add - a family with one sample without labels */
static struct sample *add(struct snapshot *snap, enum metric_kind kind, const char *name, const char *unit,
			  const char *help)
{
	return snapshot_sample(snap, snapshot_family(snap, SCOPE_SELF, kind, name, unit, help), NULL, 0);
}

void push_add_metrics(struct push *push, struct snapshot *snap)
{
	static const char *const outcomes[] = {"success", "partial", "rejected", "failed"};
	struct push_stats stats;
	struct family *family;

	if (!push)
		return;
	stats = push_stats(push);
	family = snapshot_family(snap, SCOPE_SELF, METRIC_COUNTER, "mailgauge.push.exports", "{export}",
				 "OTLP exports, by how they ended after their last attempt.");
	for (size_t i = 0; i < PUSH_OUTCOMES; i++)
		snapshot_sample(snap, family, &(struct label){"outcome", outcomes[i]}, 1)->counter = stats.exports[i];
	add(snap, METRIC_COUNTER, "mailgauge.push.attempts", "{request}", "OTLP requests made, retries included.")
	    ->counter = stats.attempts;
	add(snap, METRIC_COUNTER, "mailgauge.push.rejected_points", "{point}",
	    "Data points that the peer rejected of exports it accepted.")
	    ->counter = stats.rejected_points;
	add(snap, METRIC_GAUGE, "mailgauge.push.duration", "s",
	    "Time that the last OTLP export took, its retries included.")
	    ->gauge = (double)stats.duration_ms / 1e3;
	add(snap, METRIC_GAUGE, "mailgauge.push.last_success_timestamp", "s",
	    "Unix time of the last OTLP export that the peer accepted, 0 if there was none.")
	    ->gauge = (double)stats.last_success_ns / 1e9;
}
