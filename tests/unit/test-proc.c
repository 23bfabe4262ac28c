/* SPDX-License-Identifier: Apache-2.0 */
/* Finding servers in /proc: parsers on texts, instances and files on made-up trees, and both on real processes.
 * Needs no privileges; where they exist (root), the deleted file is opened by map_files instead of exe. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "catalog/catalog.h"
#include "target/proc.h"
#include "target/target.h"

/* ---- a catalog of two servers */

static struct object_def example_objects[] = {
    {.name = "daemon", .file = "exampled"},           {.name = "send", .file = "send"},
    {.name = "receive", .file = "receive"},           {.name = "library", .file = "libx.so*"},
    {.name = "worker", .file = "@(helperd|workerd)"},
};
static struct object_def other_objects[] = {{.name = "other", .file = "otherd"}};
static const char *example_exe[] = {"*/sbin/exampled", "*/libexec/example/*"};
static const char *other_exe[] = {"*/sbin/otherd"};
static struct server_def example = {
    .name = "example", .exe = example_exe, .exe_cnt = 2, .objects = example_objects, .object_cnt = 5};
static struct server_def other = {
    .name = "other", .exe = other_exe, .exe_cnt = 1, .objects = other_objects, .object_cnt = 1};
static struct server_def *servers[] = {&example, &other};
static const struct catalog catalog = {.servers = servers, .server_cnt = 2};

/* ---- a directory for the made-up /proc ("proc") and files ("root"), removed afterwards */

static char top[64];
static struct arena *paths;

static int in_temp_dir(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test-proc-XXXXXX");
	paths = arena_new();
	return mkdtemp(top) ? 0 : -1;
}

static int remove_temp_dir(void **state)
{
	char command[128];

	(void)state;
	arena_free(&paths);
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

__attribute__((format(printf, 1, 2))) static const char *at(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	return arena_printf(paths, "%s/%s", top, path);
}

static void make_parents(const char *path)
{
	char part[PATH_MAX];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		assert_true(!mkdir(part, 0755) || errno == EEXIST);
	}
}

static void write_bytes(const char *path, const void *data, size_t len)
{
	int fd;

	make_parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

static void make_link(const char *target, const char *path)
{
	make_parents(path);
	assert_int_equal(symlink(target, path), 0);
}

static void copy_program(const char *from, const char *to)
{
	char command[3 * PATH_MAX];

	make_parents(to);
	snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
	assert_int_equal(system(command), 0);
}

/* add_process - without an exe link if exe is NULL */
static void add_process(int pid, int ppid, const char *exe)
{
	char stat[256];

	snprintf(stat, sizeof(stat), "%d (a) S 1 (b) S %d 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 11 12 13 14\n",
		 pid, ppid, pid * 10);
	write_text(at("proc/%d/stat", pid), stat);
	make_link(at("root"), at("proc/%d/root", pid));
	if (exe)
		make_link(exe, at("proc/%d/exe", pid));
}

/* add_map - one line of a process's map, by default with the file's own numbers */
static void add_map(int pid, unsigned start, const char *path, const char *suffix)
{
	struct stat st = {.st_ino = 77};
	FILE *maps = fopen(at("proc/%d/maps", pid), "a");

	assert_non_null(maps);
	stat(path, &st);
	fprintf(maps, "%08x-%08x r--p 00000000 %02x:%02x %lu %s%s\n", start, start + 0x1000, major(st.st_dev),
		minor(st.st_dev), st.st_ino, path, suffix);
	fprintf(maps, "%08x-%08x r-xp 00001000 %02x:%02x %lu                 %s%s\n", start + 0x1000, start + 0x2000,
		major(st.st_dev), minor(st.st_dev), st.st_ino, path, suffix);
	fclose(maps);
	make_link(path, at("proc/%d/map_files/%x-%x", pid, start + 0x1000, start + 0x2000));
}

static struct target_scan *scan_at(const char *proc_dir, pid_t only_pid, int want)
{
	struct target_scan *scan = NULL;
	char err[256] = "";
	int ret = target_scan_proc(&scan, &catalog, proc_dir, only_pid, err);

	if (ret != want)
		print_error("got %d (%s), want %d\n", ret, err, want);
	assert_int_equal(ret, want);
	assert_int_equal(!ret, !*err);
	assert_int_equal(!ret, !!scan);
	return scan;
}

static struct target_scan *scan_fake(void)
{
	return scan_at(at("proc"), 0, 0);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* assert_scan - want: a line per target, "example 10: daemon /sbin/exampled by 10; library /lib/libx.so deleted;", its
 * files sorted by this text, as their numbers are not known beforehand. The scan is freed. */
static void assert_scan(struct target_scan *scan, const char *want)
{
	char files[300][512];
	struct buf buf;

	buf_init(&buf, 1 << 20);
	for (size_t i = 0; i < scan->target_cnt; i++) {
		const struct target *target = &scan->targets[i];

		buf_printf(&buf, "%s %d:", target->server->name, (int)target->pid);
		for (size_t j = 0; j < target->file_cnt; j++) {
			const struct target_file *file = &target->files[j];
			int len = snprintf(files[j], sizeof(files[j]), " %s %s%s", file->object->name, file->path,
					   file->is_deleted ? " deleted" : "");

			if (file->mapped_by)
				snprintf(files[j] + len, sizeof(files[j]) - (size_t)len, " by %d",
					 (int)file->mapped_by);
		}
		qsort(files, target->file_cnt, sizeof(files[0]), compare_texts);
		for (size_t j = 0; j < target->file_cnt; j++)
			buf_printf(&buf, "%s;", files[j]);
		buf_puts(&buf, "\n");
	}
	assert_string_equal(buf_text(&buf), want);
	buf_free(&buf);
	target_scan_free(&scan);
	assert_null(scan);
}

/* ---- parsers */

static void parses_stat(void **state)
{
	static const struct {
		const char *text;
		bool want;
		int pid, ppid;
		uint64_t start;
	} rows[] = {
	    {"7 (master) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 12345 99\n", true, 7, 1, 12345},
	    {"7 (a) S 9 (b) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 12345 99\n", true, 7, 1, 12345},
	    {"7 () () S 3 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 5\n", true, 7, 3, 5},
	    {"7 (a\nb) S 3 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 5\n", true, 7, 3, 5},
	    {"2 (kthreadd) S 0 0 0 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 18446744073709551615 0\n", true, 2, 0,
	     UINT64_MAX},
	    {"2 (k) S 0 0 0 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 18446744073709551616 0\n", false, 0, 0, 0},
	    {"7 (a) S 4294967297 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 5\n", false, 0, 0, 0},
	    {"7 (a) S -1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 5\n", false, 0, 0, 0},
	    {"7 (a) S 3 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0", false, 0, 0, 0},
	    {"7 (a S 3 7", false, 0, 0, 0},
	    {"7 (a)", false, 0, 0, 0},
	    {"7 (a) ", false, 0, 0, 0},
	    {"7 (a) S", false, 0, 0, 0},
	    {"(a) S 3", false, 0, 0, 0},
	    {")", false, 0, 0, 0},
	    {"", false, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct proc_stat got = {0};

		if (proc_parse_stat(rows[i].text, &got) != rows[i].want)
			fail_msg("'%s': want %d", rows[i].text, rows[i].want);
		assert_int_equal(got.pid, rows[i].pid);
		assert_int_equal(got.ppid, rows[i].ppid);
		assert_int_equal(got.start_ticks, rows[i].start);
	}
}

static void reads_stat_and_links(void **state)
{
	struct proc_stat stat;
	char text[16];
	int proc_fd;

	(void)state;
	add_process(53, 1, "/sbin/fifteen-chars");
	proc_fd = open(at("proc"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(proc_read_stat(proc_fd, 53, &stat), 0);
	assert_int_equal(stat.ppid, 1);
	assert_int_equal(proc_read_link(proc_fd, 53, "exe", text, sizeof(text)), -ENAMETOOLONG);
	assert_int_equal(rename(at("proc/53"), at("proc/54")), 0);
	assert_int_equal(proc_read_stat(proc_fd, 54, &stat), -EINVAL);
	assert_int_equal(proc_read_stat(proc_fd, 53, &stat), -ENOENT);
	assert_int_equal(proc_read_link(proc_fd, 53, "exe", text, sizeof(text)), -ENOENT);
	close(proc_fd);
}

static void parses_map(void **state)
{
	static const struct {
		const char *line;
		const char *path; /* NULL: refused */
		bool is_deleted;
		struct proc_map want;
	} rows[] = {
	    {"00400000-0040b000 r-xp 00001000 fe:01 1234        /bin/cat",
	     "/bin/cat",
	     false,
	     {.start = 0x400000, .end = 0x40b000, .offset = 0x1000, .ino = 1234}},
	    {"7fffffffe000-7ffffffff000 rwxs 00000000 fe:01 18446744073709551615 /a b (deleted)",
	     "/a b",
	     true,
	     {.start = 0x7fffffffe000, .end = 0x7ffffffff000, .ino = UINT64_MAX}},
	    {"1000-2000 --xp 0 fe:01 1 /a\\012b\\0123 \\134\\012",
	     "/a\nb\n3 \\134\n",
	     false,
	     {.start = 0x1000, .end = 0x2000, .ino = 1}},
	    {"1000-2000 r-xp 0 fe:01 1 / (deleted)", "/", true, {.start = 0x1000, .end = 0x2000, .ino = 1}},
	    {"1000-2000 r-xp 0 fe:01 1 /(deleted)", "/(deleted)", false, {.start = 0x1000, .end = 0x2000, .ino = 1}},
	    {.line = "00400000-0040b000 r--p 00001000 fe:01 1234 /bin/cat"},
	    {.line = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]"},
	    {.line = "1000-2000 r-xp 00000000 00:00 0 "},
	    {.line = "1000-2000 r-xp 00000000 00:00 0"},
	    {.line = "1000-2000 r-xp 00000000 fe:01 0 /bin/cat"},
	    {.line = "2000-1000 r-xp 00000000 fe:01 5 /bin/cat"},
	    {.line = "1000-1000 r-xp 00000000 fe:01 5 /bin/cat"},
	    {.line = "1000-20000000000000000 r-xp 00000000 fe:01 5 /bin/cat"},
	    {.line = "1000-2000 r-xp fffffffffffff001 fe:01 5 /bin/cat"},
	    {.line = "1000-2000 r-xp 0 100000000:01 5 /bin/cat"},
	    {.line = "1000-2000 r-xp 0 fe:01 5/bin/cat"},
	    {.line = "1000-2000 r-x"},
	    {.line = "1000-2000 "},
	    {.line = "1000"},
	    {.line = "-"},
	    {.line = ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct proc_map got = {0};
		char line[256];

		snprintf(line, sizeof(line), "%s", rows[i].line);
		if (proc_parse_map(line, &got) != !!rows[i].path)
			fail_msg("'%s': want %s", rows[i].line, rows[i].path ? rows[i].path : "refusal");
		if (!rows[i].path)
			continue;
		assert_string_equal(got.path, rows[i].path);
		assert_int_equal(got.is_deleted, rows[i].is_deleted);
		assert_int_equal(got.start, rows[i].want.start);
		assert_int_equal(got.end, rows[i].want.end);
		assert_int_equal(got.offset, rows[i].want.offset);
		assert_int_equal(got.dev, makedev(0xfe, 1));
		assert_int_equal(got.ino, rows[i].want.ino);
	}
}

/* A line longer than any path is left out, what follows it is not; a last line without an end is no line. */
static void reads_odd_maps(void **state)
{
	static const char good[] = "1000-2000 r-xp 0 fe:01 5 /good\n", bad[] = "\0\n\nnonsense\n";
	static const char long_part[] = "1000-2000 r-xp 0 fe:01 5 /long ";
	struct proc_maps maps;
	struct proc_map map;
	struct buf buf;
	int proc_fd;

	(void)state;
	buf_init(&buf, 4 << 20);
	for (size_t i = 0; i < sizeof(long_part);
	     i++) { /* wherever the reader cuts, one of these would pass for a line */
		buf_puts(&buf, good);
		buf_add(&buf, bad, sizeof(bad) - 1);
		buf_add(&buf, long_part, i);
		for (int j = 0; j < 2000; j++)
			buf_puts(&buf, long_part);
		buf_puts(&buf, "\n");
	}
	buf_puts(&buf, good);
	buf_puts(&buf, "1000-2000 r-xp 0 fe:01 5 /cut");
	write_bytes(at("proc/1/maps"), buf.data, buf.len);
	buf_free(&buf);
	proc_fd = open(at("proc"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(proc_maps_open(&maps, proc_fd, 1), 0);
	for (size_t i = 0; i < sizeof(long_part) + 1; i++) {
		assert_int_equal(proc_maps_next(&maps, &map), 1);
		assert_string_equal(map.path, "/good");
	}
	assert_int_equal(proc_maps_next(&maps, &map), 0);
	assert_int_equal(proc_maps_next(&maps, &map), 0);
	proc_maps_close(&maps);
	assert_int_equal(proc_maps_open(&maps, proc_fd, 2), -ENOENT);
	close(proc_fd);
}

static void limits_maps(void **state)
{
	struct proc_maps maps;
	struct proc_map map;
	long lines = 0;
	int proc_fd, ret;

	(void)state;
	write_text(at("proc/1/maps"), "");
	assert_int_equal(truncate(at("proc/1/maps"), (off_t)1 << 40), 0); /* zeroes without end: no line in it */
	write_text(at("proc/2/maps"), "");
	for (int i = 0; i < 1 << 17; i += 1 << 12) {
		FILE *file = fopen(at("proc/2/maps"), "a");

		for (int j = 0; j < 1 << 12; j++)
			fputs("1000-2000 r-xp 0 fe:01 5 /a/file/that/is/there\n", file);
		fclose(file);
	}
	proc_fd = open(at("proc"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(proc_maps_open(&maps, proc_fd, 1), 0);
	assert_int_equal(proc_maps_next(&maps, &map), -EFBIG);
	proc_maps_close(&maps);
	assert_int_equal(proc_maps_open(&maps, proc_fd, 2), 0);
	while ((ret = proc_maps_next(&maps, &map)) > 0)
		lines++;
	proc_maps_close(&maps);
	assert_int_equal(ret, -EFBIG);
	assert_in_range(lines, 10000, (1 << 17) - 1);
	close(proc_fd);
}

/* ---- instances */

static void finds_instances(void **state)
{
	const char *exe = at("root/usr/sbin/exampled"), *otherd = at("root/usr/sbin/otherd");
	char replaced[PATH_MAX];

	(void)state;
	write_text(exe, "x");
	write_text(otherd, "x");
	snprintf(replaced, sizeof(replaced), "%s (deleted)", exe);
	add_process(1, 0, "/sbin/init");
	add_process(2, 0, NULL); /* a kernel thread */
	add_process(10, 1, exe);
	add_process(11, 10, "/usr/lib/session");
	add_process(12, 11, exe);    /* below 10: no instance of its own */
	add_process(13, 11, otherd); /* below 10, but of another server */
	add_process(9, 13, exe);     /* a child with the lower pid; 10 is above it all the same */
	add_process(20, 999, exe);   /* its parent is gone */
	add_process(30, 30, exe);    /* circles */
	add_process(31, 32, exe);
	add_process(32, 31, "/x");
	add_process(40, 1, "/usr/libexec/example/tools/deep"); /* a star goes over slashes; the file is not there */
	add_process(41, 1, "/usr/libexec/exampl/tools/deep");
	write_text(at("proc/50/stat"), "50 (no"); /* vanishing */
	write_text(at("proc/51/comm"), "no stat\n");
	write_text(at("proc/52/stat"), "");
	write_text(at("proc/0123/stat"), "0");
	write_text(at("proc/99999999999999999999/stat"), "0");
	write_text(at("proc/7up/stat"), "0");
	write_text(at("proc/uptime"), "1\n");
	add_process(60, 1, replaced);
	write_text(replaced, "y"); /* what the kernel's link leads to even though no such path exists */
	add_map(10, 0x10000, exe, "");
	assert_scan(scan_fake(), "example 10: daemon /usr/sbin/exampled by 10;\n"
				 "example 20: daemon /usr/sbin/exampled by 20;\n"
				 "example 60: daemon /usr/sbin/exampled; daemon /usr/sbin/exampled deleted by 60;\n"
				 "other 13: other /usr/sbin/otherd by 13;\n");
}

/* What a server's processes leave behind belongs to its oldest process in the same pid namespace; servers of which the
 * catalog does not say so keep it apart. */
static void adopts_orphans(void **state)
{
	static const int namespaces[][2] = {{10, 1}, {11, 1}, {20, 1}, {21, 1}, {30, 2}, {31, 2}};
	const char *exe = at("root/usr/sbin/exampled");

	(void)state;
	write_text(exe, "x");
	add_process(1, 0, NULL);
	add_process(10, 1, exe);
	add_process(11, 10, exe);
	add_process(20, 1, exe);
	add_process(21, 20, NULL);
	add_process(30, 1, exe);
	add_process(31, 1, exe);
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		write_text(at("ns/%d", namespaces[i][1]), "");
		make_link(at("ns/%d", namespaces[i][1]), at("proc/%d/ns/pid", namespaces[i][0]));
	}
	for (int pid = 10; pid < 32; pid++)
		if (pid == 10 || pid == 21 || pid == 31)
			add_map(pid, 0x10000, exe, "");
	example.has_orphans = true;
	assert_scan(scan_fake(), "example 10: daemon /usr/sbin/exampled by 10;\n"
				 "example 30: daemon /usr/sbin/exampled by 30;\n");
	target_scan_free(&(struct target_scan *){scan_at(at("proc"), 21, 0)});
	example.has_orphans = false;
	assert_scan(scan_fake(), "example 10: daemon /usr/sbin/exampled by 10;\n"
				 "example 20: daemon /usr/sbin/exampled by 20;\n"
				 "example 30: daemon /usr/sbin/exampled by 30;\n"
				 "example 31: daemon /usr/sbin/exampled by 31;\n");
}

/* Absurdly deep trees end: whoever is too far below a root counts as neither root nor lost loop. */
static void survives_a_deep_tree(void **state)
{
	const char *exe = at("root/usr/sbin/exampled");

	(void)state;
	write_text(exe, "x");
	add_process(1, 0, exe);
	for (int pid = 2; pid < 3000; pid++)
		add_process(pid, pid - 1, pid % 2 ? exe : NULL);
	add_map(2999, 0x10000, exe, "");
	assert_scan(scan_fake(), "example 1: daemon /usr/sbin/exampled by 1;\n");
	scan_at(at("proc"), 2999, -ENOENT);
}

static void climbs_from_a_pid(void **state)
{
	static const struct {
		int pid, ret;
		const char *want;
	} rows[] = {
	    {10, 0, "example 10"}, {11, 0, "example 10"}, {12, 0, "example 10"}, {14, 0, "example 10"},
	    {13, 0, "other 13"},   {15, 0, "other 13"},   {1, -ENOENT, ""},      {20, -ENOENT, ""},
	    {30, -ENOENT, ""},     {31, -ENOENT, ""},     {99, -ESRCH, ""},
	};

	(void)state;
	write_text(at("root/usr/sbin/exampled"), "x");
	write_text(at("root/usr/sbin/otherd"), "x");
	add_process(1, 0, "/sbin/init");
	add_process(10, 1, at("root/usr/sbin/exampled"));
	add_process(11, 10, "/usr/lib/session");
	add_process(12, 11, at("root/usr/sbin/exampled"));
	add_process(14, 12, NULL);
	add_process(13, 11, at("root/usr/sbin/otherd"));
	add_process(15, 13, "/usr/lib/session");
	add_process(20, 1, "/bin/sh");
	add_process(30, 31, "/bin/sh");
	add_process(31, 30, "/bin/sh");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct target_scan *scan = scan_at(at("proc"), rows[i].pid, rows[i].ret);
		char got[64] = "";

		if (scan) {
			assert_int_equal(scan->target_cnt, 1);
			snprintf(got, sizeof(got), "%s %d", scan->targets[0].server->name, (int)scan->targets[0].pid);
			assert_int_equal(scan->targets[0].start_ticks, scan->targets[0].pid * 10);
		}
		assert_string_equal(got, rows[i].want);
		target_scan_free(&scan);
	}
	scan_at(at("nowhere"), 0, -ENOENT);
	scan_at(at("root/usr/sbin/otherd"), 0, -ENOTDIR);
}

/* ---- files */

/* The tree of most file tests: 10 is the daemon, 11 a worker of it. */
static void add_example(void)
{
	write_text(at("root/usr/sbin/exampled"), "daemon");
	write_text(at("root/usr/lib/example/workerd"), "worker");
	add_process(10, 1, at("root/usr/sbin/exampled"));
	add_process(11, 10, at("root/usr/lib/example/workerd"));
	add_map(10, 0x10000, at("root/usr/sbin/exampled"), "");
	add_map(11, 0x10000, at("root/usr/lib/example/workerd"), "");
}
#define EXAMPLE "example 10: daemon /usr/sbin/exampled by 10;"
#define WORKER  " worker /usr/lib/example/workerd by 11;\n"

static void finds_files_beside(void **state)
{
	(void)state;
	add_example();
	write_text(at("root/usr/lib/example/libx.so.0.0.0"), "library");
	make_link("libx.so.0.0.0", at("root/usr/lib/example/libx.so.0"));
	make_link("/usr/lib/example/libx.so.0", at("root/usr/lib/example/libx.so"));
	make_link("nowhere", at("root/usr/lib/example/libx.so.1"));
	make_link("libx.so.pipe", at("root/usr/lib/example/libx.so.8"));
	make_link("libx.so.dir", at("root/usr/lib/example/libx.so.9"));
	make_link("libx.so.2", at("root/usr/lib/example/libx.so.2"));
	write_text(at("root/usr/lib/example/libx.so.dir/libx.so.3"), "not looked at");
	assert_int_equal(mkfifo(at("root/usr/lib/example/libx.so.pipe"), 0600), 0);
	write_text(at("root/usr/lib/example/send"), "one inode");
	assert_int_equal(link(at("root/usr/lib/example/send"), at("root/usr/lib/example/receive")), 0);
	write_text(at("root/usr/lib/libx.so.9"), "not looked at");
	add_map(11, 0x20000, at("root/usr/lib/example/receive"), "");
	assert_scan(scan_fake(),
		    EXAMPLE " library /usr/lib/example/libx.so.0.0.0;"
			    " receive /usr/lib/example/receive by 11; send /usr/lib/example/send by 11;" WORKER);
}

/* Neither a link nor ".." leads out of the instance's own file system. */
static void stays_inside_root(void **state)
{
	(void)state;
	add_example();
	write_text(at("outside/libx.so.0"), "outside");
	write_text(at("root/opt/libx.so.1"), "inside");
	make_link(at("outside/libx.so.0"), at("root/usr/lib/example/libx.so.0"));
	make_link("../../../../outside/libx.so.0", at("root/usr/lib/example/libx.so.00"));
	make_link("../../../../../../opt/libx.so.1", at("root/usr/lib/example/libx.so.1"));
	assert_scan(scan_fake(), EXAMPLE " library /opt/libx.so.1;" WORKER);
}

static void keeps_deleted_files(void **state)
{
	(void)state;
	add_example();
	write_text(at("root/usr/lib/example/libx.so.0"), "new");
	write_text(at("old/libx.so.0"), "old");
	/* as after an upgrade: the map shows the old path, map_files leads to the old inode */
	add_map(11, 0x20000, at("root/usr/lib/example/libx.so.0"), " (deleted)");
	assert_int_equal(unlink(at("proc/11/map_files/21000-22000")), 0);
	make_link(at("old/libx.so.0"), at("proc/11/map_files/21000-22000"));
	assert_scan(scan_fake(), EXAMPLE " library /usr/lib/example/libx.so.0;"
					 " library /usr/lib/example/libx.so.0 deleted by 11;" WORKER);
}

/* Where map_files may not be followed the path is taken, but only if it still leads to the mapped inode. */
static void manages_without_map_files(void **state)
{
	char command[PATH_MAX];

	(void)state;
	add_example();
	write_text(at("root/usr/lib/example/libx.so.0"), "library");
	write_text(at("root/lib/libx.so.1"), "replaced");
	write_text(at("root/lib/libx.so.2"), "keeps the inode number of libx.so.1 in use");
	add_map(11, 0x20000, at("root/usr/lib/example/libx.so.0"), "");
	add_map(11, 0x30000, at("root/lib/libx.so.1"), "");
	assert_int_equal(rename(at("root/lib/libx.so.1"), at("root/lib/old")), 0);
	assert_int_equal(rename(at("root/lib/libx.so.2"), at("root/lib/libx.so.1")), 0);
	write_text(at("root/lib/libx.so.3"), "has the inode number of a deleted file");
	add_map(11, 0x40000, at("root/lib/libx.so.3"), " (deleted)");
	snprintf(command, sizeof(command), "rm -r '%s'", at("proc/11/map_files"));
	assert_int_equal(system(command), 0);
	assert_scan(scan_fake(), EXAMPLE " library /usr/lib/example/libx.so.0 by 11;" WORKER);
}

/* A user's program below the server maps a file of his own with a library's name: it is not the server's.
 * Root makes such a file by chown; others take a server of root's and a file of their own. */
static void refuses_foreign_files(void **state)
{
	(void)state;
	if (geteuid()) {
		make_link("/bin/sh", at("root/usr/sbin/exampled"));
		add_process(10, 1, at("root/usr/sbin/exampled"));
	} else {
		add_example();
		assert_int_equal(unlink(at("proc/11/maps")), 0);
	}
	write_text(at("root/home/user/libx.so.0"), "user's");
	write_text(at("root/home/user/libx.so.1"), "beside it");
	if (!geteuid())
		assert_int_equal(chown(at("root/home/user/libx.so.0"), 54321, 54321), 0);
	add_map(10, 0x20000, at("root/home/user/libx.so.0"), "");
	assert_scan(scan_fake(), EXAMPLE "\n");
}

/* 257 libraries and the daemon: the daemon is there, the number is limited, and one inode is opened once. */
static void limits_files(void **state)
{
	struct target_scan *scan;

	(void)state;
	add_example();
	for (int i = 0; i < 300; i++)
		write_text(at("root/usr/lib/example/libx.so.%d", i), "x");
	add_process(20, 1, at("root/usr/sbin/exampled"));
	add_map(20, 0x20000, at("root/usr/lib/example/libx.so.7"), "");
	scan = scan_fake();
	assert_int_equal(scan->target_cnt, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(scan->targets[i].file_cnt, 256);
		assert_string_equal(scan->targets[i].files[0].object->name, "daemon");
	}
	assert_int_equal(scan->targets[0].files[0].fd, scan->targets[1].files[0].fd);
	assert_in_range(scan->open_cnt, 256, 512);
	target_scan_free(&scan);
}

/* Paths are given without the directory that the instance is chrooted to, and as they are when not below it. */
static void shows_inner_paths(void **state)
{
	const char *raw;

	(void)state;
	write_text(at("root2/usr/sbin/exampled"), "x");
	raw = arena_printf(paths, "example 10: daemon %s by 10;\n", at("root2/usr/sbin/exampled"));
	add_process(10, 1, at("root2/usr/sbin/exampled"));
	assert_scan(scan_fake(), raw);
	assert_int_equal(unlink(at("proc/10/root")), 0);
	make_link(at("root2"), at("proc/10/root"));
	assert_scan(scan_fake(), "example 10: daemon /usr/sbin/exampled by 10;\n");
	assert_int_equal(unlink(at("proc/10/root")), 0);
	make_link("/", at("proc/10/root"));
	assert_scan(scan_fake(), raw);
	assert_int_equal(unlink(at("proc/10/root")), 0); /* not permitted */
	assert_scan(scan_fake(), raw);
}

static void fills_in_files(void **state)
{
	struct target_scan *scan;
	struct target_file *file;
	char text[16] = "";
	struct stat st;

	(void)state;
	add_example();
	scan = scan_fake();
	assert_int_equal(scan->targets[0].file_cnt, 2);
	assert_string_equal(scan->targets[0].exe, "/usr/sbin/exampled");
	file = &scan->targets[0].files[1];
	stat(at("root/usr/lib/example/workerd"), &st);
	assert_int_equal(file->dev, st.st_dev);
	assert_int_equal(file->ino, st.st_ino);
	assert_int_equal(file->size, 6);
	assert_int_equal(file->mtime.tv_sec, st.st_mtim.tv_sec);
	assert_int_equal(file->mtime.tv_nsec, st.st_mtim.tv_nsec);
	assert_int_equal(read(file->fd, text, sizeof(text)), 6);
	assert_string_equal(text, "worker");
	target_scan_free(&scan);
	target_scan_free(&scan); /* NULL by now */
}

/* ---- real processes */

static pid_t start_server(const char *exe, const char *script)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		execl(exe, exe, "-c", script, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* scan_until - scan the real /proc for the instance of `pid` until it has `file_cnt` mapped files; NULL after 10 s */
static struct target_scan *scan_until(pid_t pid, size_t file_cnt)
{
	for (int i = 0; i < 200; i++, pause_ms(50)) {
		struct target_scan *scan = NULL;
		size_t mapped = 0;
		char err[256];

		if (target_scan_proc(&scan, &catalog, "/proc", pid, err))
			continue;
		for (size_t j = 0; j < (scan->target_cnt ? scan->targets[0].file_cnt : 0); j++)
			mapped += scan->targets[0].files[j].mapped_by != 0;
		if (mapped == file_cnt)
			return scan;
		target_scan_free(&scan);
	}
	return NULL;
}

static const struct target_file *file_of(const struct target_scan *scan, const char *object, bool is_deleted)
{
	for (size_t i = 0; i < scan->targets[0].file_cnt; i++) {
		const struct target_file *file = &scan->targets[0].files[i];

		if (!strcmp(file->object->name, object) && file->is_deleted == is_deleted)
			return file;
	}
	return NULL;
}

/* A shell as the daemon and a worker below it. The worker's file is replaced while it runs. */
static void follows_a_replaced_file(void **state)
{
	const char *exe = at("sbin/exampled"), *worker = at("sbin/workerd");
	const struct target_file *old, *new;
	struct target_scan *scan;
	char script[2 * PATH_MAX];
	struct stat before, after;
	pid_t pid, worker_pid;

	(void)state;
	copy_program("/bin/sh", exe);
	copy_program("/bin/sleep", worker);
	stat(worker, &before);
	snprintf(script, sizeof(script), "'%s' 60 & wait", worker);
	pid = start_server(exe, script);
	scan = scan_until(pid, 2);
	assert_non_null(scan);
	assert_int_equal(scan->targets[0].pid, pid);
	assert_string_equal(scan->targets[0].exe, exe);
	worker_pid = file_of(scan, "worker", false)->mapped_by;
	assert_int_not_equal(worker_pid, pid);
	target_scan_free(&scan);

	copy_program("/bin/sleep", at("sbin/new"));
	assert_int_equal(rename(at("sbin/new"), worker), 0);
	stat(worker, &after);
	scan = scan_until(worker_pid, 2);
	assert_non_null(scan);
	assert_int_equal(scan->targets[0].pid, pid);
	assert_int_equal(scan->targets[0].file_cnt, 3);
	old = file_of(scan, "worker", true);
	new = file_of(scan, "worker", false);
	assert_true(old && new);
	assert_int_equal(old->ino, before.st_ino);
	assert_int_equal(old->mapped_by, worker_pid);
	assert_int_equal(new->ino, after.st_ino);
	assert_int_equal(new->mapped_by, 0);
	assert_string_equal(old->path, worker);
	assert_string_equal(new->path, worker);
	target_scan_free(&scan);
	kill(worker_pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	scan_at("/proc", pid, -ESRCH);
}

/* Two pages are mapped from the file's third page on; a byte of the fourth is int3. */
static void sees_breakpoints(void **state)
{
	static unsigned char bytes[0x5000];
	struct target_file file = {.path = at("breakpoints")};
	struct stat st;
	void *mapped;
	int fd;

	(void)state;
	memset(bytes, 0x90, sizeof(bytes));
	bytes[0x3007] = 0xcc;
	write_bytes(file.path, bytes, sizeof(bytes));
	fd = open(file.path, O_RDONLY | O_CLOEXEC);
	fstat(fd, &st);
	file.dev = st.st_dev;
	file.ino = st.st_ino;
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x3007), -ENOENT);
	mapped = mmap(NULL, 0x2000, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0x2000);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	close(fd);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x3007), 1);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x3006), 0);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x2000), 0);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x3fff), 0);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x1fff), -ENOENT);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x4000), -ENOENT);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, UINT64_MAX), -ENOENT);
	file.ino++;
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x3007), -ENOENT);
	file.ino--;
	assert_int_equal(target_breakpoint_set("/proc", INT_MAX, &file, 0x3007), -ESRCH);
	assert_int_equal(target_breakpoint_set(at("nowhere"), getpid(), &file, 0x3007), -ENOENT);
	munmap(mapped, 0x2000);
	assert_int_equal(target_breakpoint_set("/proc", getpid(), &file, 0x3007), -ENOENT);
}

/* The map's device differs from stat's (as on btrfs): the file behind map_files decides, else number and name. */
static void compares_mapped_files(void **state)
{
	struct target_file file = {.path = "/usr/sbin/exampled"};
	struct stat st;

	(void)state;
	add_example();
	stat(at("root/usr/sbin/exampled"), &st);
	file.dev = st.st_dev;
	file.ino = st.st_ino;
	write_text(at("proc/10/maps"), arena_printf(paths,
						    "11000-12000 r-xp 1000 ff:ff %lu /host/usr/sbin/exampled\n"
						    "13000-14000 r-xp 9000 ff:ff 7 /host/usr/sbin/exampled\n",
						    st.st_ino));
	write_text(at("proc/10/mem"), "");
	assert_int_equal(truncate(at("proc/10/mem"), 0x20000), 0);
	make_link(at("root/usr/lib/example/workerd"), at("proc/10/map_files/13000-14000"));
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x1000), 0);
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x9000), -ENOENT);
	assert_int_equal(unlink(at("proc/10/map_files/13000-14000")), 0);
	make_link(at("root/usr/sbin/exampled"), at("proc/10/map_files/13000-14000"));
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x9000), 0);
	assert_int_equal(unlink(at("proc/10/map_files/13000-14000")), 0);
	assert_int_equal(unlink(at("proc/10/map_files/11000-12000")), 0);
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x1000), 0);
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x9000), -ENOENT);
	make_link(at("root/usr/sbin/exampled"), at("proc/10/map_files/11000-12000"));
	file.dev++;
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x1000), -ENOENT);
	file.dev--;
	assert_int_equal(unlink(at("proc/10/map_files/11000-12000")), 0);
	file.path = "/usr/sbin/another";
	assert_int_equal(target_breakpoint_set(at("proc"), 10, &file, 0x1000), -ENOENT);
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, in_temp_dir, remove_temp_dir)

static void shadow_stacks(void **state)
{
	static const struct {
		const char *status;
		bool want;
	} statuses[] = {
	    {"Name:\tx\nx86_Thread_features:\tshstk wrss \nx86_Thread_features_locked:\t\n", true},
	    {"Name:\tx\nx86_Thread_features:\t\nx86_Thread_features_locked:\tshstk \n", false},
	    {"Name:\tshstk\nState:\tS\n", false},
	    {"", false},
	};
	static const struct {
		const char *release;
		bool want;
	} releases[] = {
	    {"6.18.44", true}, {"6.17.9-1-amd64", false}, {"7.0.0", true},
	    {"5.20.1", false}, {"6.6.0", false},          {"odd", false},
	};
	int proc_fd;

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		write_text(at("shadow/7/status"), statuses[i].status);
		proc_fd = open(at("shadow"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(proc_has_shadow_stack(proc_fd, 7), statuses[i].want);
		assert_false(proc_has_shadow_stack(proc_fd, 8));
		close(proc_fd);
	}
	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++)
		assert_int_equal(proc_kernel_pushes_calls(releases[i].release), releases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parses_stat),
	    cmocka_unit_test(parses_map),
	    in_dir(reads_stat_and_links),
	    in_dir(reads_odd_maps),
	    in_dir(limits_maps),
	    in_dir(finds_instances),
	    in_dir(adopts_orphans),
	    in_dir(survives_a_deep_tree),
	    in_dir(climbs_from_a_pid),
	    in_dir(finds_files_beside),
	    in_dir(stays_inside_root),
	    in_dir(keeps_deleted_files),
	    in_dir(manages_without_map_files),
	    in_dir(refuses_foreign_files),
	    in_dir(limits_files),
	    in_dir(shows_inner_paths),
	    in_dir(fills_in_files),
	    in_dir(follows_a_replaced_file),
	    in_dir(sees_breakpoints),
	    in_dir(compares_mapped_files),
	    in_dir(shadow_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
