/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching and detaching: whose calls are counted, what happens to files that are replaced and to processes that are
 * killed, what is refused, and that one bad probe or a plan that is too large costs nothing of the rest.
 * Usage: test-attach METHOD. Must be run by root. */
#include "bed.h"

#include <bpf/bpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "probe/parts.h"
#include "target/elf.h"
#include "toys/library.h"

#define CALLS          20000L
#define TEXT(number)   #number
#define NUMBER(number) TEXT(number)

static enum probe_method method;

#define ROW(object, symbol, event) \
	"[[probe]]\nobject = \"" object "\"\nsymbol = \"" symbol "\"\nevent = \"" event "\"\n"
#define LIBRARY "[object.library]\nfile = \"library.so\"\n"

static void open_tree(struct bed *bed, pid_t scope_pid)
{
	bed_open(bed, "tree", LIBRARY ROW("library", "toy_one", "toy.a") ROW("library", "toy_two", "toy.b"),
		 &(struct bed_options){.method = method, .scope_pid = scope_pid});
}

static struct toy run_leaf(const char *path)
{
	return toy_run(path, "leaf", "20000");
}

/* check_calls - that many rounds of CALLS calls were counted, and nothing but them */
static void check_calls(struct bed *bed, const char *name, long rounds)
{
	char want[64];

	snprintf(want, sizeof(want), "a %ld", rounds * CALLS);
	bed_check(bed, name, want);
	assert_int_equal(bed_value(bed, "mailgauge.probe.hits"), rounds * CALLS);
}

/* set_here - is the breakpoint of the plan's point in this process? */
static int set_here(const struct bed *bed, pid_t pid, size_t point)
{
	return target_breakpoint_set("/proc", pid, bed->plan->files[0].file,
				     bed->plan->files[0].points[point].site.offset);
}

/* ---- whose calls are counted */

static void test_two_instances(void **state)
{
	struct toy first = run_leaf(bed_file("tree")), second = run_leaf(bed_file("tree"));
	struct bed bed;

	(void)state;
	open_tree(&bed, 0);
	bed_attach(&bed, 0, 2); /* one file, whoever maps it */
	assert_int_equal(bed.scan->target_cnt, 2);
	assert_int_equal(bed.plan->file_cnt, 1);
	toy_start(&first);
	toy_start(&second);
	toy_wait(&first);
	toy_wait(&second);
	check_calls(&bed, "both", 2);
	bed_close(&bed);
	toy_end(&first);
	toy_end(&second);
}

static void test_scope(void **state)
{
	struct toy tree = toy_run(bed_file("tree"), "tree", NUMBER(20000)), other = run_leaf(bed_file("tree"));
	struct bed bed;

	(void)state;
	open_tree(&bed, tree.pid);
	bed_attach(&bed, tree.pid, 2);
	toy_start(&other);
	toy_go(&tree);
	toy_wait(&other);
	check_calls(&bed, "the tree alone", 5);
	bed_close(&bed);
	toy_end(&tree);
	toy_end(&other);
}

/* ---- the life of links */

static void test_breakpoints(void **state)
{
	struct toy leaf = run_leaf(bed_file("tree"));
	struct bed bed;

	(void)state;
	open_tree(&bed, 0);
	bed_scan(&bed, leaf.pid);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(set_here(&bed, leaf.pid, i), 0);
	bed_apply(&bed, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(set_here(&bed, leaf.pid, i), 1);
	toy_go(&leaf);
	check_calls(&bed, "attached", 1);
	assert_int_equal(bed_value(&bed, "mailgauge.probe.attached"), 2);
	probe_set_close(&bed.probes);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(set_here(&bed, leaf.pid, i), 0);
	toy_go(&leaf);
	bed_close(&bed);
	toy_end(&leaf);
}

/* A plan that is applied again leaves links and counters alone; an empty one takes the probes away, not the numbers. */
static void test_apply_again(void **state)
{
	static struct plan nothing;
	struct toy leaf = run_leaf(bed_file("tree"));
	struct file_entry *file;
	struct bed bed;
	char err[256];
	void *link;

	(void)state;
	open_tree(&bed, 0);
	bed_attach(&bed, leaf.pid, 2);
	toy_go(&leaf);
	file = bed.probes->files[0];
	link = method == METHOD_PERF ? (void *)file->links[0] : (void *)(intptr_t)file->link_fds[0];
	bed_attach(&bed, leaf.pid, 2);
	assert_int_equal(bed.probes->file_cnt, 1);
	assert_ptr_equal(bed.probes->files[0], file);
	assert_ptr_equal(method == METHOD_PERF ? (void *)file->links[0] : (void *)(intptr_t)file->link_fds[0], link);
	check_calls(&bed, "the same", 1);
	toy_go(&leaf);
	check_calls(&bed, "again", 2);

	assert_int_equal(probe_set_apply(bed.probes, &nothing, err), 0);
	assert_int_equal(set_here(&bed, leaf.pid, 0), 0);
	toy_go(&leaf);
	check_calls(&bed, "detached", 2);
	bed_attach(&bed, leaf.pid, 2);
	toy_go(&leaf);
	check_calls(&bed, "attached again", 3);
	bed_close(&bed);
	toy_end(&leaf);
}

static void copy_file(const char *name, const char *dir, const char *to)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp '%s' '%s/%s'", bed_file(name), dir, to);
	assert_int_equal(system(command), 0);
}

/* A new file renamed over the old one, as packages do it: both are counted as long as somebody runs the old one. */
static void test_replaced(void **state)
{
	char dir[] = "/tmp/test-attach-XXXXXX", path[64], old_name[64], new_name[64], command[64];
	struct toy old, new;
	struct bed bed;

	(void)state;
	assert_non_null(mkdtemp(dir));
	copy_file("tree", dir, "tree");
	copy_file("library.so", dir, "library.so");
	copy_file("library.so", dir, "library.new");
	snprintf(path, sizeof(path), "%s/tree", dir);
	snprintf(old_name, sizeof(old_name), "%s/library.so", dir);
	snprintf(new_name, sizeof(new_name), "%s/library.new", dir);

	old = run_leaf(path);
	open_tree(&bed, 0);
	bed_attach(&bed, old.pid, 2);
	toy_go(&old);
	assert_int_equal(rename(new_name, old_name), 0);
	bed_attach(&bed, old.pid, 4); /* nobody runs the new one yet */
	new = run_leaf(path);
	toy_start(&new);
	toy_go(&old);
	toy_wait(&new);
	check_calls(&bed, "old and new", 3);
	bed_attach(&bed, 0, 4);
	toy_end(&old);
	bed_attach(&bed, new.pid, 2);
	toy_go(&new);
	check_calls(&bed, "new alone", 4);
	bed_close(&bed);
	toy_end(&new);
	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	assert_int_equal(system(command), 0);
}

static void test_killed(void **state)
{
	struct toy victim = toy_run(bed_file("tree"), "leaf", "1000000000"), leaf;
	long before, at_kill = 0;
	struct bed bed;
	int status;

	(void)state;
	open_tree(&bed, 0);
	bed_attach(&bed, victim.pid, 2);
	toy_start(&victim);
	while (at_kill < 1000)
		at_kill = (long)bed_value(&bed, "mailgauge.probe.hits");
	kill(victim.pid, SIGKILL);
	assert_int_equal(waitpid(victim.pid, &status, 0), victim.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(victim.to);
	close(victim.from);
	before = (long)bed_value(&bed, "mailgauge.probe.hits");
	assert_true(before >= at_kill);
	leaf = run_leaf(bed_file("tree"));
	toy_go(&leaf);
	assert_int_equal(bed_value(&bed, "mailgauge.probe.hits"), before + CALLS);
	assert_int_equal(bed_value(&bed, "mailgauge.read.failures"), 0);
	bed_close(&bed);
	toy_end(&leaf);
}

/* ---- refusals */

static struct elf_image *open_image(const char *name)
{
	int fd = open(bed_file(name), O_RDONLY | O_CLOEXEC);
	struct elf_image *elf;
	char err[256];

	assert_true(fd >= 0);
	if (elf_open_fd(&elf, fd, err))
		fail_msg("%s", err);
	close(fd);
	return elf;
}

static void test_refused_sites(void **state)
{
	static const struct {
		const char *symbol;
		uint64_t add;
		int want, want_entry;
		uint64_t entry_add;
	} sites[] = {
	    {"toy_nop5", 0, -EOPNOTSUPP, 0, 5}, /* the entry is counted at the push behind it */
	    {"toy_nop5", 2, -EINVAL, -EINVAL, 0},
	    {"toy_nop5", 5, 0, 0, 0},
	    {"toy_five", 0, 0, 0, 0},
	    {"toy_five", 1, -EINVAL, -EINVAL, 0},
	    {"toy_five", 4, -EINVAL, -EINVAL, 0},
	    {"toy_five", 5, 0, 0, 0},
	    {"toy_five", 1 << 20, -EINVAL, -EINVAL, 0},
	    {"toy_lock", 0, -EOPNOTSUPP, 0, 7},
	};
	struct elf_image *elf = open_image("refused.so");

	(void)state;
	for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
		char err[256] = "", err_entry[256] = "";
		struct insn_site site, entry;
		struct elf_symbol symbol;
		int ret, ret_entry;

		assert_int_equal(elf_symbol(elf, sites[i].symbol, &symbol), 0);
		symbol.addr += sites[i].add;
		ret = insn_check_site(elf, symbol.addr, &site, err);
		ret_entry = insn_entry_site(elf, symbol.addr, false, INSN_NEEDS_ALL, &entry, err_entry);
		if (ret != sites[i].want || ret_entry != sites[i].want_entry)
			fail_msg("%s+%d: %d (%s) and %d (%s)", sites[i].symbol, (int)sites[i].add, ret, err, ret_entry,
				 err_entry);
		assert_true(!ret == !err[0] && (ret || site.addr == symbol.addr));
		assert_true(ret_entry || entry.addr == symbol.addr + sites[i].entry_add);
	}
	elf_free(&elf);
}

static void (*nop5)(void), (*five)(void);

static void call_refused(void)
{
	for (int i = 0; i < 100; i++) {
		nop5();
		five();
	}
}

/* attached - mailgauge_probe_attached of an event */
static double attached(struct bed *bed, const char *event)
{
	struct snapshot *snap;
	const struct family *family;
	double sum = 0;

	assert_int_equal(probe_set_snapshot(bed->probes, &snap), 0);
	family = snapshot_find(snap, "mailgauge.probe.attached");
	assert_non_null(family);
	for (size_t i = 0; i < family->sample_cnt; i++)
		for (size_t k = 0; k < family->samples[i].label_cnt; k++)
			if (!strcmp(family->samples[i].labels[k].value, event))
				sum += 1 + 10 * family->samples[i].gauge;
	snapshot_free(&snap);
	return sum;
}
#define IS_ATTACHED  11
#define NOT_ATTACHED 1

static struct plan_point bad_point(const struct bed *bed, uint64_t offset, size_t event)
{
	const struct event_def **events = arena_alloc(bed->plan->mem, sizeof(*events));

	events[0] = &bed->catalog.events.items[event];
	return (struct plan_point){.site = {.offset = offset}, .events = events, .event_cnt = 1};
}

/* The planner makes no such points; should it, by a mistake, the others count all the same. */
static void test_bad_points(void **state)
{
	struct elf_image *elf = open_image("refused.so");
	struct plan_point points[5];
	struct elf_symbol symbol;
	struct toy child;
	uint64_t offset;
	struct bed bed;

	(void)state;
	assert_int_equal(elf_symbol(elf, "toy_lock", &symbol), 0);
	assert_int_equal(elf_offset(elf, symbol.addr, &offset), 0);
	elf_free(&elf);
	bed_open(&bed, "test-attach",
		 "[object.refused]\nfile = \"refused.so\"\n" ROW("refused", "toy_nop5", "toy.a")
		     ROW("refused", "toy_five", "toy.b"),
		 &(struct bed_options){.method = method});
	child = toy_fork(call_refused);
	bed_scan(&bed, getpid());
	assert_int_equal(bed.plan->files[0].point_cnt, 2);
	points[0] = bad_point(&bed, offset, 2);
	points[1] = bed.plan->files[0].points[0];
	points[2] = bad_point(&bed, 1 << 20, 3);
	points[3] = bed.plan->files[0].points[1];
	points[4] = bad_point(&bed, 1ull << 40, 4);
	bed.plan->files[0].points = points;
	bed.plan->files[0].point_cnt = 5;
	bed_apply(&bed, 2);
	assert_non_null(strstr(buf_text(&bed.log), "(toy.c): the kernel cannot probe this instruction"));
	assert_non_null(strstr(buf_text(&bed.log), "0x100000"));
	assert_non_null(strstr(buf_text(&bed.log), "toy.e"));
	assert_null(strstr(buf_text(&bed.log), "toy.a"));
	assert_int_equal(attached(&bed, "toy.a"), IS_ATTACHED);
	assert_int_equal(attached(&bed, "toy.b"), IS_ATTACHED);
	assert_int_equal(attached(&bed, "toy.c"), NOT_ATTACHED);
	assert_int_equal(attached(&bed, "toy.d"), NOT_ATTACHED);
	assert_int_equal(attached(&bed, "toy.e"), NOT_ATTACHED);
	toy_go(&child);
	bed_check(&bed, "bad points", "a 100, b 100");
	bed_close(&bed);
	toy_end(&child);
}

/* ---- many probes */

static void (*many[TOY_MANY])(void);

static void call_many(void)
{
	for (int i = 0; i < TOY_MANY; i++)
		for (int times = 0; times <= i; times++)
			many[i]();
}

static void many_rows(char *rows, size_t size)
{
	size_t len = (size_t)snprintf(rows, size, "%s", LIBRARY);

	for (int i = 0; i < TOY_MANY; i++)
		len += (size_t)snprintf(rows + len, size - len,
					"[[probe]]\nobject = \"library\"\nsymbol = \"toy_many_%d\"\n"
					"rules = [ { if = \"pid == 0\", count = \"toy.b\" }, { count = \"toy.a\" } ]\n",
					100 + i);
}

static void test_many(void **state)
{
	static char rows[TOY_MANY * 200];
	struct toy child;
	struct bed bed;
	char want[32];
	double start;

	(void)state;
	many_rows(rows, sizeof(rows));
	bed_open(&bed, "test-attach", rows, &(struct bed_options){.method = method});
	child = toy_fork(call_many);
	bed_attach(&bed, getpid(), TOY_MANY);
	toy_go(&child);
	snprintf(want, sizeof(want), "a %d", TOY_MANY * (TOY_MANY + 1) / 2);
	bed_check(&bed, "many", want);
	start = bed_seconds();
	probe_set_close(&bed.probes);
	if (bed_seconds() - start > 1)
		fail_msg("closing took %.1f s", bed_seconds() - start);
	bed_close(&bed);
	toy_end(&child);
}

/* What a file no longer needs in the maps can be used again: the two plans together are more than PROBE_SPECS. */
static void test_room(void **state)
{
	static char rows[TOY_MANY * 200];
	struct bed bed;

	(void)state;
	many_rows(rows, sizeof(rows));
	bed_open(&bed, "test-attach", rows, &(struct bed_options){.method = method, .disabled = "toy.b"});
	for (int i = 0; i < 2 * PROBE_SPECS / TOY_MANY; i++) {
		bed.config.disabled_events.count = (size_t)i % 2;
		bed_attach(&bed, getpid(), TOY_MANY);
	}
	bed_close(&bed);
}

/* ---- plans that are too large */

/* Each makes of a plan with one probe one that the maps cannot hold. */
static void too_many_specs(struct plan *plan, struct plan_file *file)
{
	struct plan_spec *specs = arena_array(plan->mem, PROBE_SPECS, sizeof(*specs));

	for (int i = 0; i < PROBE_SPECS; i++)
		specs[i] = file->specs[0];
	file->specs = specs;
	file->spec_cnt = PROBE_SPECS; /* one of them is in use already */
}

static void too_many_rules(struct plan *plan, struct plan_file *file)
{
	const size_t count = PROBE_RULES / PROBE_SPEC_RULES;
	struct probe_rule *rules = arena_array(plan->mem, PROBE_SPEC_RULES, sizeof(*rules));
	struct plan_spec *specs = arena_array(plan->mem, count, sizeof(*specs));

	for (size_t i = 0; i < PROBE_SPEC_RULES; i++)
		rules[i] = file->specs[0].rules[0];
	for (size_t i = 0; i < count; i++) {
		specs[i] = file->specs[0];
		specs[i].rules = rules;
		specs[i].rule_cnt = PROBE_SPEC_RULES;
	}
	file->specs = specs;
	file->spec_cnt = count;
}

static void too_many_cases(struct plan *plan, struct plan_file *file)
{
	struct plan_spec *spec = arena_alloc(plan->mem, sizeof(*spec));

	*spec = file->specs[0];
	spec->case_cnt = PROBE_CASES + 1;
	spec->cases = arena_array(plan->mem, spec->case_cnt, sizeof(*spec->cases));
	for (size_t i = 0; i < spec->case_cnt; i++)
		spec->cases[i] = (struct plan_case){.value = i};
	file->specs = spec;
	file->spec_cnt = 1;
}

static void too_many_series(struct plan *plan, struct plan_file *file)
{
	const size_t count = PROBE_SERIES;
	struct plan_spec *specs = arena_array(plan->mem, count, sizeof(*specs));
	struct plan_series *series = arena_array(plan->mem, count, sizeof(*series));

	for (size_t i = 0; i < count; i++) {
		series[i] = plan->series[0];
		series[i].key = arena_printf(plan->mem, "toy new %zu", i);
		specs[i] = file->specs[0];
		specs[i].rules = arena_alloc(plan->mem, sizeof(*specs[i].rules));
		specs[i].rules[0] = file->specs[0].rules[0];
		specs[i].rules[0].acts[0].series = (uint32_t)i;
	}
	plan->series = series;
	plan->series_cnt = count;
	file->specs = specs;
	file->spec_cnt = PROBE_SPECS - 1;
}

static struct plan_spec *many_values(struct plan *plan, struct plan_file *file, size_t count, struct probe_value value)
{
	struct plan_spec *specs = arena_array(plan->mem, count, sizeof(*specs));

	for (size_t i = 0; i < count; i++) {
		specs[i] = file->specs[0];
		specs[i].spec.values[specs[i].spec.value_cnt++] = value;
	}
	file->specs = specs;
	file->spec_cnt = count;
	return specs;
}

static void too_many_needles(struct plan *plan, struct plan_file *file)
{
	const size_t count = PROBE_NEEDLES + 1;
	struct plan_spec *specs = many_values(plan, file, count, (struct probe_value){.op = PROBE_OP_CONTAINS});

	plan->needles = arena_array(plan->mem, count, PROBE_NEEDLE);
	plan->needle_cnt = count;
	for (size_t i = 0; i < count; i++) {
		snprintf(plan->needles[i], PROBE_NEEDLE, "needle %zu", i);
		specs[i].spec.values[specs[i].spec.value_cnt - 1].key = i;
	}
}

static void too_many_layouts(struct plan *plan, struct plan_file *file)
{
	const size_t count = PROBE_LAYOUTS + 1;
	struct plan_spec *specs = many_values(plan, file, count, (struct probe_value){.op = PROBE_OP_FIELD_HAS});

	plan->layouts = arena_array(plan->mem, count, sizeof(*plan->layouts));
	plan->layout_cnt = count;
	for (size_t i = 0; i < count; i++) {
		plan->layouts[i].key = (int32_t)i;
		specs[i].spec.values[specs[i].spec.value_cnt - 1].off = (int32_t)i;
	}
}

static void too_large_a_block(struct plan *plan, struct plan_file *file)
{
	plan->series = arena_array(plan->mem, 2, sizeof(*plan->series));
	plan->series_cnt = 2;
	for (size_t i = 0; i < 2; i++)
		plan->series[i] = (struct plan_series){
		    .events = arena_alloc(plan->mem, sizeof(*plan->series->events)),
		    .event_cnt = 1,
		    .server = file->server,
		    .cell_cnt = (PROBE_SERIES - PROBE_OWN_SERIES) / 2,
		    .event_cells = 1,
		    .key = arena_printf(plan->mem, "toy block %zu", i),
		};
}

static void too_many_bounds(struct plan *plan, struct plan_file *file)
{
	(void)file;
	plan->bounds_cnt = PROBE_BOUNDS + 1;
	plan->bounds = arena_array(plan->mem, plan->bounds_cnt, sizeof(*plan->bounds));
	for (size_t i = 0; i < plan->bounds_cnt; i++)
		plan->bounds[i] = (struct probe_bounds){.cnt = 1, .upper = {i}};
}

static void add_classes(struct plan *plan, size_t tables, size_t texts)
{
	plan->classes_cnt = tables;
	plan->classes = arena_array(plan->mem, tables, sizeof(*plan->classes));
	for (size_t i = 0; i < tables; i++) {
		plan->classes[i].items = arena_array(plan->mem, texts, sizeof(struct plan_class));
		plan->classes[i].count = texts;
		for (size_t k = 0; k < texts; k++)
			plan->classes[i].items[k] = (struct plan_class){.value = i * texts + k, .number = (uint32_t)k};
	}
}

static void too_many_tables(struct plan *plan, struct plan_file *file)
{
	(void)file;
	add_classes(plan, CLASS_TABLES + 1, 1);
}

static void too_many_classes(struct plan *plan, struct plan_file *file)
{
	(void)file;
	add_classes(plan, PROBE_CLASSES / 100 + 1, 100);
}

static void too_many_gauges(struct plan *plan, struct plan_file *file)
{
	plan->gauge_cnt = PROBE_GAUGES + 1;
	plan->gauges = arena_array(plan->mem, plan->gauge_cnt, sizeof(*plan->gauges));
	for (size_t i = 0; i < plan->gauge_cnt; i++)
		plan->gauges[i] = (struct plan_gauge){
		    .event = plan->series[0].events[0],
		    .server = file->server,
		    .key = arena_printf(plan->mem, "toy new %zu", i),
		};
}

/* too_many_later - all tables can have what is asked for, the file's specs are too many */
static void too_many_later(struct plan *plan, struct plan_file *file)
{
	add_classes(plan, 10, 10);
	too_many_specs(plan, file);
}

static size_t classes_kept(const struct bed *bed)
{
	struct probe_class_key key, *before = NULL;
	size_t count = 0;

	for (; !bpf_map_get_next_key(bed->probes->classes_fd, before, &key); before = &key)
		count++;
	return count;
}

static size_t series_shown(struct bed *bed)
{
	struct snapshot *snap;
	size_t count = 0;

	assert_int_equal(probe_set_snapshot(bed->probes, &snap), 0);
	for (size_t i = 0; i < snap->family_cnt; i++)
		count += snap->families[i].sample_cnt;
	snapshot_free(&snap);
	return count;
}

static void test_too_large(void **state)
{
	static const struct {
		const char *name;
		void (*grow)(struct plan *plan, struct plan_file *file);
		const char *why;
	} plans[] = {
	    {"specs", too_many_specs, "library.so"},         {"rules", too_many_rules, "library.so"},
	    {"cases", too_many_cases, "library.so"},         {"series", too_many_series, "for series"},
	    {"needles", too_many_needles, "for texts"},      {"layouts", too_many_layouts, "for layouts"},
	    {"series again", too_many_series, "for series"}, {"a block", too_large_a_block, "for series"},
	    {"bounds", too_many_bounds, "for bounds"},       {"tables", too_many_tables, "for texts of labels"},
	    {"gauges", too_many_gauges, "for gauges"},       {"classes", too_many_classes, "for texts of labels"},
	    {"later", too_many_later, "library.so"},
	};
	struct toy leaf = run_leaf(bed_file("tree"));
	size_t shown;
	struct bed bed;

	(void)state;
	bed_open(&bed, "tree",
		 LIBRARY "[label.way]\nvalues = [\"x\", \"y\"]\n" ROW("library", "toy_one", "toy.a")
		     ROW("library", "toy_two", "toy.b") "by = { way = \"str arg0\" }\n",
		 &(struct bed_options){.method = method});
	bed_attach(&bed, leaf.pid, 2);
	shown = series_shown(&bed);
	assert_int_equal(classes_kept(&bed), 2);
	for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
		struct plan plan = *bed.plan;
		struct plan_file file = bed.plan->files[0];
		struct probe_status status;
		char err[256] = "";

		plan.files = &file;
		plans[i].grow(&plan, &file);
		if (!probe_set_apply(bed.probes, &plan, err) || !strstr(err, plans[i].why))
			fail_msg("%s: \"%s\"", plans[i].name, err);
		probe_set_status(bed.probes, &status);
		assert_int_equal(status.attached, 2);
		assert_int_equal(status.files, 1);
		assert_int_equal(series_shown(&bed), shown);
		toy_go(&leaf);
		check_calls(&bed, plans[i].name, (long)i + 1);
		assert_int_equal(classes_kept(&bed), 2);
		bed_apply(&bed, 2); /* and what fitted before still fits */
	}
	bed_close(&bed);
	toy_end(&leaf);
}

static void *find(void *handle, const char *name)
{
	void *found = handle ? dlsym(handle, name) : NULL;

	if (!found) {
		fprintf(stderr, "%s: %s\n", name, dlerror());
		exit(2);
	}
	return found;
}

/* find_functions - the libraries are loaded before the children are made, so that they are mapped when we attach */
static void find_functions(void)
{
	void *refused = dlopen(bed_file("refused.so"), RTLD_NOW), *library = dlopen(bed_file("library.so"), RTLD_NOW);
	char name[32];

	nop5 = (void (*)(void))(uintptr_t)find(refused, "toy_nop5");
	five = (void (*)(void))(uintptr_t)find(refused, "toy_five");
	for (int i = 0; i < TOY_MANY; i++) {
		snprintf(name, sizeof(name), "toy_many_%d", 100 + i);
		many[i] = (void (*)(void))(uintptr_t)find(library, name);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_instances), cmocka_unit_test(test_scope),      cmocka_unit_test(test_breakpoints),
	    cmocka_unit_test(test_apply_again),   cmocka_unit_test(test_replaced),   cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_refused_sites), cmocka_unit_test(test_bad_points), cmocka_unit_test(test_too_large),
	};
	/* Hundreds of perf events take the kernel a tenth of a second each to detach: what is tested is the other way.
	 */
	static const struct CMUnitTest many_tests[] = {cmocka_unit_test(test_many), cmocka_unit_test(test_room)};
	int failed;

	method = bed_method(argc, argv, 1);
	find_functions();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (method == METHOD_MULTI)
		failed += cmocka_run_group_tests(many_tests, NULL, NULL);
	return failed;
}
