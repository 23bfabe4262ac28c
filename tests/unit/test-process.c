/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "export/process.h"
#include "golden.h"

#define NUMBERS " S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 4200 8192 3 99"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
	    {"12 (mailgauge)" NUMBERS, 0},       {"12 (a) b) (c)" NUMBERS, 0},      {"12 (a\n1 2 3)" NUMBERS, 0},
	    {"12 (mailgauge) S 1 2 3", -EINVAL}, {"12 mailgauge" NUMBERS, -EINVAL}, {"", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct process_stats got = {0};

		assert_int_equal(process_parse_stat(&got, rows[i].text, 100, 4096), rows[i].want);
		if (rows[i].want)
			continue;
		assert_true(got.cpu_s == 2.0 && got.start_time_s == 42.0);
		assert_int_equal(got.virtual_bytes, 8192);
		assert_int_equal(got.resident_bytes, 3 * 4096);
	}
}

static void test_write(void **state)
{
	const struct process_stats stats = {
	    .cpu_s = 1.5,
	    .start_time_s = 1700000000.25,
	    .open_fds = 12,
	    .max_fds = 1024,
	    .virtual_bytes = 1 << 20,
	    .resident_bytes = 4096,
	};
	struct buf got;

	(void)state;
	buf_init(&got, 10000);
	process_write(&got, &stats);
	golden_check("prom/process.txt", buf_text(&got));
	buf_free(&got);
}

static void test_read(void **state)
{
	struct process_stats before, after;
	int fd;

	(void)state;
	assert_int_equal(process_read(&before), 0);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(process_read(&after), 0);
	close(fd);
	assert_int_equal(after.open_fds, before.open_fds + 1);
	assert_true(after.start_time_s == before.start_time_s);
	assert_true(fabs(after.start_time_s - (double)time(NULL)) < 60);
	assert_true(after.max_fds >= after.open_fds && after.resident_bytes > 0);
	assert_true(after.virtual_bytes > after.resident_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_write),
	    cmocka_unit_test(test_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
