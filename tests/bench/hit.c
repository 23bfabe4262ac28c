/* SPDX-License-Identifier: Apache-2.0 */
/* What one hit costs: rows of the catalog against an empty BPF program. Every case has two functions of the same code.
 * One is probed as the catalog says, its twin at the same instruction by a program that does nothing; bursts of calls
 * alternate between them within one process on one CPU, and the median of the ratios of neighbours is told. Most of
 * an empty hit is the breakpoint itself, so a ratio of 1.15 means some 80 ns.
 * Usage: bench-hit [CASE]. As root; needs uprobe_multi links (Linux 6.6). */
#include "../bpf/bed.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAIRS 2400
#define BURST 100
#define TWIN  __attribute__((noipa, used, aligned(64)))

typedef long site_fn(long a0, long a1);

/* ---- what is probed: an entry and a call, each twice for each case */

TWIN long bench_log(long text, long number)
{
	__asm__ volatile("" ::: "rbx", "memory");
	return text + number;
}

#define ENTRY(name)                                       \
	TWIN long name(long a0, long a1)                  \
	{                                                 \
		__asm__ volatile("" ::: "rbx", "memory"); \
		return a0 + a1;                           \
	}
#define CALLER(name, text)                                    \
	TWIN long name(long a0, long a1)                      \
	{                                                     \
		__asm__ volatile("" ::: "memory");            \
		return bench_log((long)(text), a0 + a1) + a1; \
	}

ENTRY(bench_entry)
ENTRY(bench_entry_twin)
CALLER(bench_call, "a constant text")
CALLER(bench_call_twin, "reference text")

/* A keyed list of two levels, as a hub of events passes it. */
struct field {
	const char *key;
	int type;
	const char *text;
	long number;
};
struct fields {
	struct field *data;
	size_t used;
};
struct object {
	const char *name;
	struct object *parent;
	struct fields *fields;
	size_t element_size;
};

static struct field session_fields[] = {{"session", 3, "kvz2L1YAyLp/AAAB", 0}, {"service", 3, "imap", 0}};
static struct field request_fields[] = {
    {"user", 3, "alice@example.org", 0}, {"mechanism", 3, "PLAIN", 0}, {"success", 3, "yes", 0}};
static struct fields session_array = {session_fields, sizeof(session_fields)};
static struct fields request_array = {request_fields, sizeof(request_fields)};
static struct object session = {"session", NULL, &session_array, sizeof(struct field)};
static struct object wanted = {"request_finished", &session, &request_array, sizeof(struct field)};
static struct object unwanted = {"something_else", &session, &request_array, sizeof(struct field)};

/* ---- cases */

struct bench_case {
	const char *name, *rows;
	site_fn *ours, *twin;
	long a0, a1;
};

#define LINE(...) #__VA_ARGS__ "\n"
#define SELF      LINE([object.self]) LINE(file = "bench-hit")
#define AT_ENTRY  "[[probe]]\nobject = \"self\"\nsymbol = \"bench_entry\"\n"
#define AT_CALL              \
	LINE([function.log]) \
	LINE(symbol = "bench_log") "[[probe]]\nobject = \"self\"\ncall = \"log\"\narg0 = \"a constant text\"\n"
#define LAYOUT              \
	LINE([layout.list]) \
	LINE(parent = 8)    \
	LINE(array = 16)    \
	LINE(key = 0) LINE(type = 8) LINE(text = 16) LINE(number = 24) "type-text = 3\ntype-number = 4\n"
#define HUB                                                                                                 \
	LAYOUT AT_ENTRY LINE(select = 'str [arg0] == "request_finished"')                                     \
	LINE(let = [ 'mechanism = field list arg0 "mechanism"', 'service = field list arg0 "service"' ])      \
	LINE(rules = [ { if = 'field list arg0 "success" == "no"', count = "toy.a" },)                        \
	LINE({ if = 'mechanism == "PLAIN" and service == "imap"', count = "toy.b" }, { count = "toy.c" } ])    \
	AT_ENTRY LINE(select = 'str [arg0] == "connection_closed"') LINE(event = "toy.d")

/* clang-format off */
static const struct bench_case cases[] = {
{"nothing: an empty program here, too", NULL, bench_entry, bench_entry_twin, 0, 0},
{"call with a constant text, one count", AT_CALL LINE(event = "toy.a"), bench_call, bench_call_twin, 1, 2},
{"entry, one count", AT_ENTRY LINE(event = "toy.a"), bench_entry, bench_entry_twin, 1, 2},
{"entry, a number decides", AT_ENTRY LINE(rules = [ { if = "arg1:s32 < 0", count = "toy.a" }, { if = "arg1:s32 == 0", count = "toy.b" }, { count = "toy.c" } ]),
	bench_entry, bench_entry_twin, 1, 2},
{"entry, a text decides", AT_ENTRY LINE(rules = [ { if = 'str arg0 == "status=sent"', count = "toy.a" } ]),
	bench_entry, bench_entry_twin, (long)"status=sent", 2},
{"entry, the start of a text decides, third rule", AT_ENTRY
	LINE(rules = [ { if = 'str arg0 ^= "450 "', count = "toy.a" }, { if = 'str arg0 ^= "550 "', count = "toy.b" }, { if = 'str arg0 ^= "250 "', count = "toy.c" } ]),
	bench_entry, bench_entry_twin, (long)"250 2.1.5 Ok", 2},
{"entry, process name and one count", AT_ENTRY LINE(who = "bench-hit") LINE(event = "toy.a"), bench_entry, bench_entry_twin, 1, 2},
{"entry, remembered by process and pointer, then recalled", LINE([slot]) LINE(kept = "by process and pointer") AT_ENTRY
	LINE(rules = [ { if = "kept[mix pid arg0] == 1", count = "toy.a", forget = "kept[mix pid arg0]" }, { remember = "kept[mix pid arg0] = 1" } ]),
	bench_entry, bench_entry_twin, 1, 2},
{"hub of keyed lists, an event that is not wanted", HUB, bench_entry, bench_entry_twin, (long)&unwanted, 2},
{"hub of keyed lists, a wanted event, three fields", HUB, bench_entry, bench_entry_twin, (long)&wanted, 2},
{"return, the value decides", AT_ENTRY LINE(when = "return") LINE(rules = [ { if = "ret:s32 == 3", count = "toy.a" } ]),
	bench_entry, bench_entry_twin, 1, 2},
};
/* clang-format on */

/* ---- the empty program */

#define ATTACH_UPROBE_MULTI 48 /* BPF_TRACE_UPROBE_MULTI of Linux 6.6 */

static int load_nothing(void)
{
	const struct bpf_insn insns[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)ATTACH_UPROBE_MULTI);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "empty", "GPL", insns, 2, &opts);
}

/* attach_nothing - an empty program at this offset of this executable; a link */
static int attach_nothing(uint64_t offset, bool is_return)
{
	static const char path[] = "/proc/self/exe";
	struct {
		__u32 prog_fd, target_fd, attach_type, flags;
		__u64 path, offsets, ref_ctr_offsets, cookies;
		__u32 cnt, multi_flags, pid, pad;
	} attr = {.attach_type = ATTACH_UPROBE_MULTI, .cnt = 1, .multi_flags = is_return};
	int prog = load_nothing();
	long link;

	attr.prog_fd = (__u32)prog;
	attr.path = (__u64)(uintptr_t)path;
	attr.offsets = (__u64)(uintptr_t)&offset;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	if (link < 0) {
		perror("bench-hit: attaching an empty program");
		exit(1);
	}
	close(prog);
	return (int)link;
}

/* file_offset - of code of this executable */
static uint64_t file_offset(const void *code)
{
	unsigned long from, to, offset, at = (unsigned long)code;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) == 3 && at >= from && at < to) {
			fclose(maps);
			return at - from + offset;
		}
	fprintf(stderr, "bench-hit: /proc/self/maps does not tell where the code is\n");
	exit(1);
}

/* ---- measuring */

/* thread_seconds - CPU time: a burst that others interrupt does not count for longer */
static double thread_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double burst(site_fn *site, long a0, long a1)
{
	double start = thread_seconds();

	for (int i = 0; i < BURST; i++)
		site(a0, a1);
	return thread_seconds() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const struct bench_case *this)
{
	static double ratios[PAIRS], ours[PAIRS], twin[PAIRS];

	burst(this->ours, this->a0, this->a1);
	burst(this->twin, this->a0, this->a1);
	for (int i = 0; i < PAIRS; i++) {
		if (i % 2)
			ours[i] = burst(this->ours, this->a0, this->a1);
		twin[i] = burst(this->twin, this->a0, this->a1);
		if (!(i % 2))
			ours[i] = burst(this->ours, this->a0, this->a1);
		ratios[i] = ours[i] / twin[i];
	}
	qsort(ratios, PAIRS, sizeof(double), compare);
	qsort(ours, PAIRS, sizeof(double), compare);
	qsort(twin, PAIRS, sizeof(double), compare);
	printf("| %-55s | %5.3f | %5.3f - %5.3f | %5.0f | %5.0f |\n", this->name, ratios[PAIRS / 2], ratios[PAIRS / 4],
	       ratios[PAIRS * 3 / 4], ours[PAIRS / 20] / BURST * 1e9, twin[PAIRS / 20] / BURST * 1e9);
	fflush(stdout);
}

/* run_empty - both are probed by an empty program: how much do the twins themselves differ? */
static void run_empty(const struct bench_case *this)
{
	int ours = attach_nothing(file_offset((void *)this->ours), false);
	int twin = attach_nothing(file_offset((void *)this->twin), false);

	measure(this);
	close(ours);
	close(twin);
}

static void run_case(const struct bench_case *this)
{
	char rows[4096];
	const struct plan_point *point;
	struct bed bed;
	uint64_t distance;
	double hits;
	int link;

	snprintf(rows, sizeof(rows), "%s%s", SELF, this->rows);
	bed_open(&bed, "bench-hit", rows, &(struct bed_options){.method = METHOD_MULTI});
	bed_attach(&bed, getpid(), 1);
	point = &bed.plan->files[0].points[0];
	distance = point->site.offset - file_offset((void *)this->ours);
	link = attach_nothing(file_offset((void *)this->twin) + distance, point->is_return);
	measure(this);
	hits = bed_value(&bed, "mailgauge.probe.hits");
	if (hits != (PAIRS + 1) * BURST)
		printf("  counted %.0f hits, not %d\n", hits, (PAIRS + 1) * BURST);
	close(link);
	bed_close(&bed);
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	if (!probe_kernel_has_multi()) {
		printf("Not measured: needs root and Linux 6.6.\n");
		return 0;
	}
	printf("| %-55s | ratio | %-13s | quiet | empty |\n|---|---|---|---|---|\n", "what a hit does", "quartiles");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (argc > 1 && !strstr(cases[i].name, argv[1]))
			continue;
		if (cases[i].rows)
			run_case(&cases[i]);
		else
			run_empty(&cases[i]);
	}
	return 0;
}
