/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts, and how the server starts and stops; what it serves is tested from outside in tests/exporters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "config/config.h"
#include "example-snapshot.h"
#include "export/http.h"

static void test_accepts_gzip(void **state)
{
	static const struct {
		const char *value;
		bool want;
	} rows[] = {
	    {NULL, false},
	    {"", false},
	    {"gzip", true},
	    {"GZIP", true},
	    {"deflate, gzip", true},
	    {"deflate,\tgzip;q=1.0, *;q=0.5", true},
	    {"gzip;q=0.001", true},
	    {"gzip;q=0", false},
	    {"gzip;q=0.000, identity", false},
	    {"gzip; q=0", false},
	    {"identity", false},
	    {"*", false},
	    {"xgzip, gzipx", false},
	    {",,,;=", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (http_accepts_gzip(rows[i].value) != rows[i].want)
			fail_msg("%s", rows[i].value);
}

static void test_encodings(void **state)
{
	static const struct {
		void (*put)(struct buf *out, const char *text);
		const char *text, *want;
	} rows[] = {
	    {http_put_base64, "", ""},
	    {http_put_base64, "f", "Zg=="},
	    {http_put_base64, "fo", "Zm8="},
	    {http_put_base64, "foo", "Zm9v"},
	    {http_put_base64, "foob", "Zm9vYg=="},
	    {http_put_base64, "fooba", "Zm9vYmE="},
	    {http_put_base64, "foobar", "Zm9vYmFy"},
	    {http_put_base64, "\xff\xfe\xfd", "//79"},
	    {http_put_html, "a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf got;

		buf_init(&got, 100);
		rows[i].put(&got, rows[i].text);
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
	}
}

static int take_example(void *ctx, struct snapshot **out)
{
	(void)ctx;
	*out = example_snapshot();
	return 0;
}

static bool is_ready(void *ctx, struct buf *reason)
{
	(void)ctx;
	(void)reason;
	return true;
}

static void no_servers(void *ctx, struct buf *lines)
{
	(void)ctx;
	(void)lines;
}

static int start(struct http **http, const char *listen, bool any_port, char *err, size_t err_size)
{
	const struct config config = {.prefix = "mail", .prometheus_listen = listen, .prometheus_path = "/metrics"};
	const struct http_options options = {
	    .config = &config,
	    .version = "1",
	    .any_port = any_port,
	    .take = take_example,
	    .ready = is_ready,
	    .servers = no_servers,
	};

	return http_start(http, &options, err, err_size);
}

static int connect_to(unsigned port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void get_health(unsigned port)
{
	const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char reply[1000];
	size_t len = 0;
	ssize_t got;
	int fd = connect_to(port);

	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	while ((got = read(fd, reply + len, sizeof(reply) - 1 - len)) > 0)
		len += (size_t)got;
	reply[len] = '\0';
	close(fd);
	assert_non_null(strstr(reply, "HTTP/1.1 200"));
	assert_non_null(strstr(reply, "\r\n\r\nok\n"));
}

static void test_life(void **state)
{
	struct http *http, *second;
	char err[256], taken[64];
	int idle;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(start(&http, "127.0.0.1:1", true, err, sizeof(err)), 0);
		assert_true(http_port(http) > 1);
		get_health(http_port(http));
		idle = connect_to(http_port(http)); /* an open connection does not hinder the end */
		snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_port(http));
		assert_int_equal(start(&second, taken, false, err, sizeof(err)), -EADDRINUSE);
		assert_null(second);
		assert_non_null(strstr(err, taken));
		assert_non_null(strstr(err, "Address already in use"));
		http_stop(&http);
		assert_null(http);
		close(idle);
	}
	http_stop(&http); /* NULL is accepted */
}

static void test_wrong_addresses(void **state)
{
	static const struct {
		const char *listen;
		int want;
	} rows[] = {
	    {"", -EINVAL},
	    {"127.0.0.1", -EINVAL},
	    {"127.0.0.1:70000", -EINVAL},
	    {"::1:80", -EINVAL},
	    {"192.0.2.1:9925", -EADDRNOTAVAIL}, /* of the documentation, nobody's */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http *http;
		char err[256] = "";

		assert_int_equal(start(&http, rows[i].listen, false, err, sizeof(err)), rows[i].want);
		assert_null(http);
		assert_non_null(strstr(err, rows[i].listen));
	}
}

static void test_own_metrics(void **state)
{
	struct snapshot *snap = snapshot_new(1);
	struct http *http;
	char err[256];

	(void)state;
	http_add_metrics(NULL, snap);
	assert_int_equal(snap->family_cnt, 0);
	assert_int_equal(start(&http, "127.0.0.1:1", true, err, sizeof(err)), 0);
	http_add_metrics(http, snap);
	assert_int_equal(snapshot_find(snap, "mailgauge.scrapes")->sample_cnt, 3);
	http_stop(&http);
	snapshot_free(&snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepts_gzip),    cmocka_unit_test(test_encodings),   cmocka_unit_test(test_life),
	    cmocka_unit_test(test_wrong_addresses), cmocka_unit_test(test_own_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
