// SPDX-License-Identifier: Apache-2.0
/* The plan is pure: a catalog text, a configuration and an open file go in; points, specs, series and reasons come out.
 * What the specs do when they are hit is for tests/bpf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "plan/explain.h"
#include "plan/parts.h"
#include "plan/plan.h"

#define HEAD                                                                                          \
	"[server]\nname = \"toy\"\nexe = [\"*/daemon\"]\n[object]\ndaemon = { file = \"daemon*\" }\n" \
	"other = { file = \"probes*\" }\n"                                                            \
	"[function.reply]\nvote = { arg = 1, min = 2, texts = [\"354 go ahead\", \"221 bye\", \"250 sender ok\"] }\n"
#define EVENTS                                                     \
	"toy.a = \"One.\"\ntoy.b = \"Two.\"\ntoy.c = \"Three.\"\n" \
	"toy.held = { kind = \"gauge\", unit = \"{thing}\", help = \"H\" }\n"
#define SENDER "[[probe]]\nobject = \"daemon\"\ncall = \"reply\"\narg1 = \"250 sender ok\"\n"
/* keeps the second object in use */
#define OTHER "[[probe]]\nobject = \"other\"\nsymbol = \"no_such_function\"\nevent = \"toy.c\"\n"

struct world {
	struct arena *mem;
	struct catalog catalog;
	struct server_def *server;
	struct config *config;
	struct target target;
	struct target_scan scan;
	struct target_file files[2];
	struct plan *plan;
};

static void world_open(struct world *w, const char *rows, const char *disabled)
{
	const struct config_flag flag = {"disabled-events", disabled};
	const struct config_input input = {.flags = &flag, .flag_cnt = disabled ? 1 : 0};
	char *text, err[512] = "";

	*w = (struct world){.mem = arena_new()};
	assert_int_equal(events_parse(&w->catalog.events, "events", EVENTS, strlen(EVENTS), w->mem, err), 0);
	text = arena_printf(w->mem, "%s%s", HEAD, rows);
	if (catalog_parse_server(&w->server, &w->catalog.events, "toy.toml", text, strlen(text), w->mem, err))
		fail_msg("%s", err);
	w->catalog.servers = &w->server;
	w->catalog.server_cnt = 1;
	assert_int_equal(config_load(&w->config, &input), 0);
	w->target = (struct target){.server = w->server, .pid = 1, .exe = "/daemon", .files = w->files};
	w->scan = (struct target_scan){.targets = &w->target, .target_cnt = 1};
}

static void world_file(struct world *w, unsigned object, const char *sample)
{
	char path[512];
	struct target_file *file = &w->files[w->target.file_cnt];

	snprintf(path, sizeof(path), "%s/%s", SAMPLES_DIR, sample);
	*file = (struct target_file){.object = &w->server->objects[object],
				     .path = sample,
				     .ino = 100 + w->target.file_cnt,
				     .fd = open(path, O_RDONLY)};
	assert_true(file->fd >= 0);
	w->target.file_cnt++;
}

static void world_plan(struct world *w)
{
	char err[256] = "";

	if (plan_build(&w->plan, w->config, &w->catalog, &w->scan, err))
		fail_msg("%s", err);
}

static void world_close(struct world *w)
{
	plan_free(&w->plan);
	config_free(&w->config);
	for (size_t i = 0; i < w->target.file_cnt; i++)
		close(w->files[i].fd);
	arena_free(&w->mem);
}

static void tell_point(const struct plan_file *file, const struct plan_point *point, struct buf *out)
{
	uint16_t spec = point->spec;

	buf_printf(out, "%s%s:", file->file->path, point->is_return ? " return" : "");
	for (size_t i = 0; i < point->event_cnt; i++)
		buf_printf(out, " %s", point->events[i]->name);
	for (; spec != PROBE_NONE; spec = file->specs[spec].spec.next)
		buf_printf(out, " [%u values, %zu rules, %zu cases]", file->specs[spec].spec.value_cnt,
			   file->specs[spec].rule_cnt, file->specs[spec].case_cnt);
	buf_putc(out, '\n');
}

/* without_numbers - what depends on the compiler */
static char *without_numbers(struct arena *mem, const char *reason)
{
	const char *found = strstr(reason, " at 0x"), *has = found ? strstr(found, " has ") : NULL;
	const char *bytes = has ? strstr(has, " bytes") : NULL;

	if (!bytes)
		return arena_strdup(mem, reason);
	return arena_printf(mem, "%.*s at 0xADDR has N%s", (int)(found - reason), reason, bytes);
}

/* tell - the plan in a line for each thing that matters here; points in the order of the catalog's rows, since their
 * addresses are the compiler's choice */
static void tell(const struct plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->file_cnt; i++)
		for (size_t spec = 0; spec < plan->files[i].spec_cnt; spec++)
			for (size_t k = 0; k < plan->files[i].point_cnt; k++)
				if (plan->files[i].points[k].spec == spec)
					tell_point(&plan->files[i], &plan->files[i].points[k], out);
	for (size_t i = 0; i < plan->gauge_cnt; i++) {
		const struct plan_gauge *gauge = &plan->gauges[i];

		for (size_t k = 0; k < gauge->end_event_cnt; k++)
			buf_printf(out, "end %s: %s [%u values, %zu rules]\n", gauge->key, gauge->end_events[k]->name,
				   gauge->end.spec.value_cnt, gauge->end.rule_cnt);
	}
	for (size_t i = 0; i < plan->series_cnt; i++)
		buf_printf(out, "series %s\n", plan->series[i].key);
	for (size_t i = 0; i < plan->miss_cnt; i++)
		buf_printf(out, "%s %s: %s\n", plan->misses[i].is_partial ? "partly" : "not",
			   plan->misses[i].event->name, without_numbers(plan->mem, plan->misses[i].reason));
}

static const struct {
	const char *name, *rows, *disabled, *want;
} cases[] = {
    {"a call with a constant text: one site, one rule, compared relative to the site",
     SENDER "event = \"toy.a\"\n" OTHER, NULL,
     "daemon-plain: toy.a [1 values, 1 rules, 0 cases]\nseries toy toy.a\n"
     "not toy.c: no running process has it, nor is it on disk\n"},
    {"disabled: not attached, no series", SENDER "event = \"toy.a\"\n" OTHER, "toy.a,toy.c",
     "not toy.a: disabled in the configuration\nnot toy.c: disabled in the configuration\n"},
    {"a disabled rule before others stays, so that its hits do not fall through",
     SENDER "rules = [ { if = 'arg2 == 1', count = \"toy.a\" }, { count = \"toy.b\" } ]\n" OTHER, "toy.a,toy.c",
     "daemon-plain: toy.b [2 values, 2 rules, 0 cases]\nseries toy toy.b\n"
     "not toy.a: disabled in the configuration\nnot toy.c: disabled in the configuration\n"},
    {"a disabled rule behind the others goes",
     SENDER "rules = [ { if = 'arg2 == 1', count = \"toy.a\" }, { count = \"toy.b\" } ]\n" OTHER, "toy.b,toy.c",
     "daemon-plain: toy.a [2 values, 1 rules, 0 cases]\nseries toy toy.a\n"
     "not toy.b: disabled in the configuration\nnot toy.c: disabled in the configuration\n"},
    {"process names multiply the rules", SENDER "who = [\"one\", \"two\"]\nevent = \"toy.a\"\n" OTHER, "toy.c",
     "daemon-plain: toy.a [2 values, 2 rules, 0 cases]\nseries toy toy.a\n"
     "not toy.c: disabled in the configuration\n"},
    {"labels make series",
     SENDER "rules = [ { if = 'arg2 == 1', count = \"toy.a\", labels = { why = \"x\" } },"
	    " { count = \"toy.a\", labels = { why = \"y\" } } ]\n" OTHER,
     "toy.c",
     "daemon-plain: toy.a [2 values, 2 rules, 0 cases]\nseries toy toy.a why=x\nseries toy toy.a why=y\n"
     "not toy.c: disabled in the configuration\n"},
    {"what nobody asks for is not remembered",
     "[slot]\nseen = \"s\"\n" SENDER "rules = [ { remember = \"seen[tid] = 1\" } ]\n"
     "[[probe]]\nobject = \"daemon\"\ncall = \"reply\"\narg1 = \"221 bye\"\nrules = [ { if = 'seen[tid] == 1', count = \"toy.a\" } ]\n" OTHER,
     "toy.a,toy.c", "not toy.a: disabled in the configuration\nnot toy.c: disabled in the configuration\n"},
    {"what somebody asks for is, also at a place that counts nothing",
     "[slot]\nseen = \"s\"\n" SENDER "rules = [ { remember = \"seen[tid] = 1\" } ]\n"
     "[[probe]]\nobject = \"daemon\"\ncall = \"reply\"\narg1 = \"221 bye\"\nrules = [ { if = 'seen[tid] == 1', count = \"toy.a\" } ]\n" OTHER,
     "toy.c",
     "daemon-plain: [2 values, 1 rules, 0 cases]\ndaemon-plain: toy.a [3 values, 1 rules, 0 cases]\nseries toy toy.a\n"
     "not toy.c: disabled in the configuration\n"},
    {"an alternative serves where the first way finds nothing",
     "[[probe]]\nid = \"x\"\nobject = \"daemon\"\nsymbol = \"no_such\"\nevent = \"toy.a\"\n" SENDER
     "instead-of = \"x\"\nevent = \"toy.a\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.a [1 values, 1 rules, 0 cases]\nseries toy toy.a\n"
     "not toy.c: disabled in the configuration\n"},
    {"and not where it finds something",
     SENDER "id = \"x\"\nevent = \"toy.a\"\n[[probe]]\nobject = \"daemon\"\ncall = \"reply\"\narg1 = \"221 bye\"\n"
	    "instead-of = \"x\"\nevent = \"toy.a\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.a [1 values, 1 rules, 0 cases]\nseries toy toy.a\nnot toy.c: disabled in the configuration\n"},
    {"rows at one place are a chain", SENDER "event = \"toy.a\"\n" SENDER "event = \"toy.b\"\n" OTHER, "toy.c",
     "daemon-plain: toy.a toy.b [1 values, 1 rules, 0 cases] [1 values, 1 rules, 0 cases]\n"
     "series toy toy.a\nseries toy toy.b\nnot toy.c: disabled in the configuration\n"},
    {"rows that select are the cases of one switch, before the others",
     SENDER "event = \"toy.b\"\n" SENDER "select = 'str arg2 == \"x\"'\nevent = \"toy.a\"\n" SENDER
	    "select = 'str arg2 == \"y\"'\nevent = \"toy.a\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.a toy.b [2 values, 0 rules, 2 cases] [1 values, 1 rules, 0 cases]\n"
     "series toy toy.b\nseries toy toy.a\nnot toy.c: disabled in the configuration\n"},
    {"a text that nobody passes",
     "[[probe]]\nobject = \"daemon\"\ncall = \"reply\"\narg1 = \"299 nothing\"\nevent = \"toy.a\"\n" SENDER
     "event = \"toy.b\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.b [1 values, 1 rules, 0 cases]\nseries toy toy.b\n"
     "not toy.a: the file does not use the text \"299 nothing\"\nnot toy.c: disabled in the configuration\n"},
    {"the function itself, and a constant that it is given: one place, a rule for each address",
     "[[probe]]\nobject = \"daemon\"\nfunction = \"reply\"\narg1 = [\"221 bye\", \"354 go ahead\"]\nevent = \"toy.a\"\n" SENDER
     "event = \"toy.b\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.a [1 values, 2 rules, 0 cases]\ndaemon-plain: toy.b [1 values, 1 rules, 0 cases]\n"
     "series toy toy.a\nseries toy toy.b\nnot toy.c: disabled in the configuration\n"},
    {"a function of another size is refused",
     "[function.small]\nsize = [1, 3]\nvote = { arg = 1, min = 2, texts = [\"354 go ahead\", \"221 bye\"] }\n"
     "[[probe]]\nobject = \"daemon\"\nfunction = \"small\"\nevent = \"toy.a\"\n" SENDER "event = \"toy.b\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.b [1 values, 1 rules, 0 cases]\nseries toy toy.b\n"
     "not toy.a: function small: what was found at 0xADDR has N bytes, not 1 to 3\n"
     "not toy.c: disabled in the configuration\n"},
    {"what not every build has is not missed",
     "[function.table]\ntable = { text = \"no such table\", slot = 1 }\n"
     "[[probe]]\noptional = true\nobject = \"daemon\"\nfunction = \"table\"\nevent = \"toy.a\"\n" SENDER
     "event = \"toy.a\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.a [1 values, 1 rules, 0 cases]\nseries toy toy.a\n"
     "not toy.c: disabled in the configuration\n"},
    {"what is not there is told",
     "[[probe]]\nobject = \"daemon\"\nstub = \"no_such_import\"\nevent = \"toy.a\"\n" SENDER
     "rules = [ { if = \"[&no_such_variable] == 1\", count = \"toy.b\" } ]\n" OTHER,
     "toy.c",
     "not toy.a: the file has no stub for an imported function no_such_import\n"
     "not toy.b: the file has no variable no_such_variable\nnot toy.c: disabled in the configuration\n"},
    {"the end of a process",
     SENDER "rules = [ { hold = \"toy.held\" } ]\n[[probe]]\nexit = \"toy.held\"\nevent = \"toy.a\"\n" OTHER, "toy.c",
     "daemon-plain: toy.held [1 values, 1 rules, 0 cases]\nend toy toy.held: toy.a [0 values, 1 rules]\n"
     "series toy toy.a\nnot toy.c: disabled in the configuration\n"},
    {"is known also when the gauge is disabled",
     SENDER "rules = [ { hold = \"toy.held\" } ]\n[[probe]]\nexit = \"toy.held\"\nevent = \"toy.a\"\n" OTHER,
     "toy.c,toy.held",
     "daemon-plain: [1 values, 1 rules, 0 cases]\nend toy toy.held: toy.a [0 values, 1 rules]\nseries toy toy.a\n"
     "not toy.c: disabled in the configuration\nnot toy.held: disabled in the configuration\n"},
    {"nothing is held for the sake of what is disabled",
     SENDER "rules = [ { hold = \"toy.held\" } ]\n[[probe]]\nexit = \"toy.held\"\nevent = \"toy.a\"\n" OTHER, "toy.*",
     "not toy.a: disabled in the configuration\nnot toy.c: disabled in the configuration\n"
     "not toy.held: disabled in the configuration\n"},
    {"and not where nobody knows what is held",
     "[[probe]]\nobject = \"daemon\"\nsymbol = \"no_such\"\nrules = [ { hold = \"toy.held\" } ]\n"
     "[[probe]]\nexit = \"toy.held\"\nevent = \"toy.a\"\n" SENDER "event = \"toy.b\"\n" OTHER,
     "toy.c",
     "daemon-plain: toy.b [1 values, 1 rules, 0 cases]\nseries toy toy.b\n"
     "not toy.a: no place is known where a process begins to hold it\n"
     "not toy.c: disabled in the configuration\nnot toy.held: the file has no function no_such\n"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct buf got;

		buf_init(&got, 65536);
		world_open(&w, cases[i].rows, cases[i].disabled);
		world_file(&w, 0, "daemon-plain");
		world_plan(&w);
		tell(w.plan, &got);
		if (strcmp(buf_text(&got), cases[i].want))
			fail_msg("%s:\ngot:\n%swant:\n%s", cases[i].name, buf_text(&got), cases[i].want);
		buf_free(&got);
		world_close(&w);
	}
}

/* The same row finds its one event in every build of the same program. */
static void test_builds(void **state)
{
	static const char *const builds[] = {"daemon-plain", "daemon-cet",   "daemon-noplt",  "daemon-relr",
					     "daemon-fixed", "daemon-frame", "daemon-static", "daemon-bare"};

	(void)state;
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		struct world w;

		world_open(&w, SENDER "event = \"toy.a\"\n" OTHER, "toy.c");
		world_file(&w, 0, builds[i]);
		world_plan(&w);
		if (w.plan->file_cnt != 1 || w.plan->files[0].point_cnt != 1)
			fail_msg("%s: %zu points, %s", builds[i], w.plan->file_cnt ? w.plan->files[0].point_cnt : 0,
				 w.plan->miss_cnt ? w.plan->misses[0].reason : "no reason");
		world_close(&w);
	}
}

/* One inode that two targets see is one file of the plan; two inodes are two. */
static void test_files(void **state)
{
	struct world w;
	struct target targets[2];

	(void)state;
	world_open(&w, SENDER "event = \"toy.a\"\n" OTHER, "toy.c");
	world_file(&w, 0, "daemon-plain");
	targets[0] = targets[1] = w.target;
	targets[1].pid = 2;
	w.scan.targets = targets;
	w.scan.target_cnt = 2;
	world_plan(&w);
	assert_int_equal(w.plan->file_cnt, 1);
	assert_int_equal(w.plan->files[0].point_cnt, 1);
	plan_free(&w.plan);

	world_file(&w, 0, "daemon-cet");
	targets[0] = w.target;
	w.scan.target_cnt = 1;
	world_plan(&w);
	assert_int_equal(w.plan->file_cnt, 2);
	assert_int_equal(w.plan->files[1].point_cnt, 1);
	assert_int_equal(w.plan->series_cnt, 1);
	world_close(&w);
}

/* A file that is no program costs its own events only. */
static void test_broken_file(void **state)
{
	struct world w;
	char err[64];

	(void)state;
	world_open(&w, SENDER "event = \"toy.a\"\n" OTHER, NULL);
	world_file(&w, 0, "daemon-plain");
	world_file(&w, 1, ".made");
	world_plan(&w);
	assert_int_equal(w.plan->files[0].point_cnt, 1);
	assert_int_equal(w.plan->miss_cnt, 1);
	assert_string_equal(w.plan->misses[0].event->name, "toy.c");
	assert_int_equal(w.plan->misses[0].why, WHY_UNRESOLVED);
	snprintf(err, sizeof(err), "%.60s", w.plan->misses[0].reason);
	assert_true(*err != '\0');
	world_close(&w);
}

/* find_replier - where the function that greets senders is in this build */
static uint64_t find_replier(char *build_id, size_t size)
{
	const char *const texts[] = {"250 sender ok"};
	int fd = open(SAMPLES_DIR "/daemon-plain", O_RDONLY);
	struct elf_image *elf;
	struct xref *xref;
	char err[256];
	uint64_t addr;

	assert_int_equal(elf_open_fd(&elf, fd, err), 0);
	assert_int_equal(xref_new(&xref, elf, err), 0);
	assert_int_equal(xref_uses(xref, texts, 1, NULL, 0, &addr, err), 0);
	snprintf(build_id, size, "%s", elf_build_id(elf));
	assert_true(strlen(build_id) >= 16);
	xref_free(&xref);
	elf_free(&elf);
	close(fd);
	return addr;
}

/* A function that was recorded elsewhere in this very build is refused; in other builds nobody has looked. */
static void test_recorded(void **state)
{
	static const struct {
		bool is_this_build, is_right;
		size_t points;
	} rows[] = {{true, true, 1}, {true, false, 0}, {false, false, 1}};
	char build_id[ELF_BUILD_ID_MAX * 2 + 1];
	uint64_t addr = find_replier(build_id, sizeof(build_id));

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;
		char row[1024];

		snprintf(row, sizeof(row),
			 "[function.known]\nuses = { texts = [\"250 sender ok\"] }\nrecorded = { \"%s\" = %llu }\n"
			 "[[probe]]\nobject = \"daemon\"\nfunction = \"known\"\nevent = \"toy.a\"\n" SENDER
			 "event = \"toy.b\"\n" OTHER,
			 rows[i].is_this_build ? build_id : "0123456789abcdef",
			 (unsigned long long)(rows[i].is_right ? addr : 1));
		world_open(&w, row, "toy.c");
		world_file(&w, 0, "daemon-plain");
		world_plan(&w);
		assert_int_equal(w.plan->files[0].point_cnt, rows[i].points + 1);
		if (!rows[i].points)
			assert_non_null(strstr(w.plan->misses[0].reason, "but recorded at 0x1 for this build"));
		world_close(&w);
	}
}

/* Where an emulated call is fatal, none is probed, and the plan says why. */
static void test_shadow_stack(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, SENDER "event = \"toy.a\"\n" OTHER, "toy.c");
	world_file(&w, 0, "daemon-plain");
	w.scan.calls_are_fatal = true;
	world_plan(&w);
	assert_int_equal(w.plan->files[0].point_cnt, 0);
	assert_int_equal(w.plan->series_cnt, 0);
	assert_string_equal(w.plan->misses[0].event->name, "toy.a");
	assert_non_null(strstr(w.plan->misses[0].reason, "shadow stack"));
	world_close(&w);
}

static void test_json(void **state)
{
	struct world w;
	struct buf got;

	(void)state;
	buf_init(&got, 65536);
	world_open(&w, "[[cost]]\nfor = 'a toy'\nhits = 7\n" SENDER "event = \"toy.a\"\n" OTHER, NULL);
	world_file(&w, 0, "daemon-plain");
	world_plan(&w);
	/* what depends on the compiler */
	w.plan->files[0].build_id = "abc";
	w.plan->files[0].points[0].site.offset = 4660;
	strcpy(w.plan->files[0].points[0].site.text, "call 0x1234");
	explain_json(&got, w.plan);
	assert_string_equal(
	    buf_text(&got),
	    "{\"points\":[{\"server\":\"toy\",\"events\":[\"toy.a\"],\"file\":\"daemon-plain\",\"deleted\":false,"
	    "\"build_id\":\"abc\",\"inode\":100,\"offset\":4660,\"when\":\"entry\",\"instruction\":\"call 0x1234\","
	    "\"cost\":\"emulated\"}],\"ends\":[],\"missing\":[{\"server\":\"toy\",\"event\":\"toy.c\",\"why\":\"no-file\","
	    "\"partial\":false,\"file\":\"probes*\",\"reason\":\"no running process has it, nor is it on disk\"}],"
	    "\"series\":[{\"server\":\"toy\",\"event\":\"toy.a\",\"labels\":{},\"looked_up\":[],\"count\":1}],\"costs\":[{\"server\":\"toy\",\"for\":\"a toy\",\"hits\":7}]}\n");
	buf_reset(&got);
	explain_table(&got, w.plan);
	assert_non_null(strstr(buf_text(&got), "0x00001234  emulated entry   call 0x1234"));
	assert_non_null(strstr(buf_text(&got), "toy  measured: 7 hits for a toy\n"));
	assert_non_null(strstr(buf_text(&got), "not counted: toy  toy.c: probes*: no running process has it"));
	buf_free(&got);
	world_close(&w);
}

/* ---- blocks of cells, gauges, directories */

#define MORE                                                                                                                \
	"more.a = 'A.'\nmore.b = 'B.'\nmore.time = { help = 'T.', kind = 'histogram', unit = 's', bounds = [0.5, 1, 2] }\n" \
	"more.open = { help = 'O.', kind = 'gauge', unit = '{x}' }\nmore.files = { help = 'F.', kind = 'gauge', unit = '{x}' }\n"

#define TABLES                                                                           \
	"[label.agent]\nvalues = ['one', 'two']\nalso = { uno = 'one' }\n"               \
	"[label.code]\nvalues = ['2', '4', '5']\nother = 'none'\n"                       \
	"[choice.command]\nA = 'more.a'\nB = 'more.b'\nC = 'more.a'\n"                   \
	"[[seed]]\nevent = 'more.open'\nwho = 'daemon'\nclients = 'accepted - paired'\n" \
	"[[directory]]\nevent = 'more.files'\nlabels = { queue = 'hold' }\npath = 'hold'\n"

#define BLOCKS                                                                                                       \
	SENDER                                                                                                       \
	"let = ['agent = str arg1', 'code = head 1 str arg2']\n"                                                     \
	"rules = [ { if = 'arg3 == 1', count = 'toy.a', by = { agent = 'agent', code = 'code' } },\n"                \
	"{ if = 'arg3 == 2', choose = { command = 'agent' }, hold = 'more.open' },\n"                                \
	"{ if = 'arg3 == 3', observe = { 'more.time' = 'arg4' }, by = { code = 'code' }, release = 'more.open' },\n" \
	"{ if = 'arg3 == 4', add = 'more.files', labels = { queue = 'hold' } },\n"                                   \
	"{ subtract = 'more.files', labels = { queue = 'hold' } } ]\n"

static void world_of_blocks(struct world *w, const char *disabled)
{
	char err[512] = "", *text;

	world_open(w, SENDER "event = \"toy.a\"\n" OTHER, disabled);
	assert_int_equal(events_add(&w->catalog.events, "more", MORE, strlen(MORE), w->mem, err), 0);
	text = arena_printf(w->mem, "%s%s%s%s", HEAD, TABLES, BLOCKS, OTHER);
	if (catalog_parse_server(&w->server, &w->catalog.events, "toy.toml", text, strlen(text), w->mem, err))
		fail_msg("%s", err);
	w->target.server = w->server;
	world_file(w, 0, "daemon-plain");
	world_plan(w);
}

static const struct plan_series *series_of(const struct plan *plan, const char *key)
{
	for (size_t i = 0; i < plan->series_cnt; i++)
		if (!strcmp(plan->series[i].key, key))
			return &plan->series[i];
	fail_msg("no series %s", key);
	return NULL;
}

static const struct probe_value *cell_of(const struct plan_spec *spec, const struct probe_act *act, int cell)
{
	assert_true(act->cells[cell] < PROBE_SPEC_VALUES);
	assert_int_equal(spec->spec.values[act->cells[cell]].op, PROBE_OP_CLASS);
	return &spec->spec.values[act->cells[cell]];
}

static uint32_t number_of(const struct plan *plan, const struct probe_value *value, const char *text)
{
	const struct plan_classes *classes = &plan->classes[value->off];

	for (size_t i = 0; i < classes->count; i++)
		if (classes->items[i].value == text_hash(text))
			return classes->items[i].number;
	return (uint32_t)(value->key >> 32);
}

static void test_blocks(void **state)
{
	const struct plan_series *counted, *chosen, *times, *files;
	const struct probe_act *act;
	const struct plan_spec *spec;
	struct world w;

	(void)state;
	world_of_blocks(&w, "toy.c");
	spec = &w.plan->files[0].specs[0];
	assert_int_equal(spec->rule_cnt, 5);

	/* values of agent: one, two, other; of code: 2, 4, 5, none */
	counted = series_of(w.plan, "toy toy.a agent code");
	assert_int_equal(counted->cell_cnt, 3 * 4);
	act = &spec->rules[0].acts[0];
	assert_ptr_equal(&w.plan->series[act->series], counted);
	assert_int_equal(act->operand, 1);
	assert_int_equal((uint32_t)cell_of(spec, act, 0)->key, 4);
	assert_int_equal((uint32_t)cell_of(spec, act, 1)->key, 1);
	assert_int_equal(act->cells[2], PROBE_SPEC_VALUES);
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 0), "two"), 1);
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 0), "uno"), 0);
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 0), "three"), 2);
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 1), "9"), 3);

	chosen = series_of(w.plan, "toy command");
	assert_int_equal(chosen->cell_cnt, 2);
	act = &spec->rules[1].acts[0];
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 0), "C"), 0);
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 0), "B"), 1);
	assert_int_equal(number_of(w.plan, cell_of(spec, act, 0), "D"), PROBE_NO_CLASS);
	assert_int_equal(spec->rules[1].acts[1].act, PROBE_DO_HOLD);
	assert_string_equal(w.plan->gauges[spec->rules[1].acts[1].slot].key, "toy more.open");

	/* three bounds, what is above them, the sum: for each code */
	times = series_of(w.plan, "toy more.time code");
	assert_int_equal(times->event_cells, 5);
	assert_int_equal(times->cell_cnt, 4 * 5);
	act = &spec->rules[2].acts[0];
	assert_int_equal(act->act, PROBE_DO_OBSERVE);
	assert_int_equal((uint32_t)cell_of(spec, act, 0)->key, 5);
	assert_int_equal(w.plan->bounds[act->slot].cnt, 3);
	assert_int_equal(w.plan->bounds[act->slot].upper[0], 500000000);
	assert_int_equal(w.plan->bounds[act->slot].upper[2], 2000000000);
	assert_int_equal(spec->rules[2].acts[1].act, PROBE_DO_RELEASE);

	files = series_of(w.plan, "toy more.files queue=hold");
	assert_true(files->is_level);
	assert_int_equal((int64_t)spec->rules[3].acts[0].operand, 1);
	assert_int_equal((int64_t)spec->rules[4].acts[0].operand, -1);
	assert_ptr_equal(&w.plan->series[spec->rules[4].acts[0].series], files);
	assert_int_equal(w.plan->directory_cnt, 1);
	assert_ptr_equal(&w.plan->series[w.plan->directories[0].series], files);
	assert_int_equal(w.plan->seed_cnt, 1);
	assert_int_equal(w.plan->seeds[0].gauge, 0);
	assert_int_equal(plan_count_cells(w.plan), 12 + 2 + 20 + 1);
	assert_int_equal(plan_count_series(w.plan), 12 + 2 + 4 + 1 + 1);
	world_close(&w);
}

/* Of a choice only what is enabled is found; gauges that are disabled are neither begun nor kept. */
static void test_disabled_blocks(void **state)
{
	const struct plan_spec *spec;
	struct world w;

	(void)state;
	world_of_blocks(&w, "toy.*,more.a,more.open,more.files,more.time");
	spec = &w.plan->files[0].specs[0];
	assert_int_equal(spec->rule_cnt, 2); /* the first one keeps its hits from the second */
	assert_int_equal(spec->rules[0].act_cnt, 0);
	assert_int_equal(spec->rules[1].act_cnt, 1);
	assert_int_equal(number_of(w.plan, cell_of(spec, &spec->rules[1].acts[0], 0), "A"), PROBE_NO_CLASS);
	assert_int_equal(number_of(w.plan, cell_of(spec, &spec->rules[1].acts[0], 0), "B"), 1);
	assert_true(series_of(w.plan, "toy command")->disabled[0]);
	assert_false(series_of(w.plan, "toy command")->disabled[1]);
	assert_int_equal(w.plan->seed_cnt + w.plan->directory_cnt + w.plan->gauge_cnt, 0);
	assert_int_equal(w.plan->files[0].points[0].event_cnt, 1);
	assert_string_equal(w.plan->files[0].points[0].events[0]->name, "more.b");
	world_close(&w);
}

/* Where nothing tells that sessions end, those that were there before us are not counted either. */
static void test_seed_of_nothing(void **state)
{
	struct world w;

	(void)state;
	world_of_blocks(&w, NULL);
	w.target.file_cnt = 0;
	plan_free(&w.plan);
	world_plan(&w);
	assert_int_equal(w.plan->seed_cnt, 0);
	assert_int_equal(w.plan->gauge_cnt, 0);
	assert_int_equal(w.plan->directory_cnt, 1);
	w.target.file_cnt = 1; /* which is open */
	world_close(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_builds),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_broken_file),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_recorded),
	    cmocka_unit_test(test_shadow_stack),
	    cmocka_unit_test(test_blocks),
	    cmocka_unit_test(test_disabled_blocks),
	    cmocka_unit_test(test_seed_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
