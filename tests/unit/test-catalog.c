/* SPDX-License-Identifier: Apache-2.0 */
/* test-catalog.c - the loader: tests/golden/catalog/good.toml becomes the right tables, each other file there the
 * message of its .err file, and a directory adds to and overrides what is compiled in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "catalog/catalog.h"
#include "catalog/embedded.h"
#include "golden.h"

static const struct embedded_file *embedded(const char *name)
{
	for (uint64_t i = 0; i < embedded_file_count; i++)
		if (!strcmp(embedded_files[i].name, name))
			return &embedded_files[i];
	fail_msg("%s is not compiled in", name);
	return NULL;
}

static void vocabulary(struct events *events, struct arena *mem)
{
	const struct embedded_file *file = embedded("events.toml");
	char err[512] = "";

	if (events_parse(events, file->name, file->text, file->len, mem, err))
		fail_msg("%s", err);
}

/* parse_golden - tests/golden/catalog/NAME */
static int parse_golden(struct server_def **out, const char *name, struct arena *mem, char err[static 512])
{
	char *path = arena_printf(mem, "%s/catalog/%s", GOLDEN_DIR, name), *text = arena_alloc(mem, 1 << 16);
	FILE *file = fopen(path, "r");
	struct events *events = arena_alloc(mem, sizeof(*events));
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, (1 << 16) - 1, file);
	fclose(file);
	vocabulary(events, mem);
	return catalog_parse_server(out, events, name, text, len, mem, err);
}

static int is_golden_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && !strcmp(entry->d_name + len - 5, ".toml") && strcmp(entry->d_name, "good.toml");
}

static void test_mistakes(void **state)
{
	struct dirent **entries;
	int count = scandir(GOLDEN_DIR "/catalog", &entries, is_golden_file, alphasort);

	(void)state;
	assert_true(count > 100);
	for (int i = 0; i < count; i++) {
		struct arena *mem = arena_new();
		struct server_def *server = NULL;
		const char *name = entries[i]->d_name;
		char err[512] = "";

		if (parse_golden(&server, name, mem, err) != -EINVAL)
			fail_msg("%s: taken", name);
		golden_check(arena_printf(mem, "catalog/%.*s.err", (int)strlen(name) - 5, name),
			     arena_printf(mem, "%s\n", err));
		arena_free(&mem);
		free(entries[i]);
	}
	free(entries);
}

static void check_head(const struct server_def *server)
{
	static const char *const events[] = {"auth.error",
					     "auth.failed",
					     "auth.login-completed",
					     "auth.success",
					     "delivery.active-connections",
					     "imap.active-connections",
					     "imap.command-time",
					     "imap.fetch",
					     "imap.select",
					     "message-ingest.lmtp",
					     "message.size",
					     "pop3.active-connections",
					     "pop3.quit",
					     "queue.count",
					     "smtp.error",
					     "smtp.quit",
					     "smtp.rejected"};

	assert_string_equal(server->name, "example");
	assert_string_equal(server->file, "good.toml");
	assert_int_equal(server->exe_cnt, 2);
	assert_string_equal(server->exe[1], "/opt/example/bin/*");
	assert_int_equal(server->object_cnt, 2);
	assert_string_equal(server->objects[0].name, "daemon");
	assert_string_equal(server->objects[1].file, "libexample.so*");
	assert_int_equal(server->objects[1].line, 9);
	assert_int_equal(server->slot_cnt, 2);
	assert_string_equal(server->slots[0].name, "verdict");
	assert_int_equal(server->probe_cnt, 12);
	assert_int_equal(server->event_cnt, sizeof(events) / sizeof(events[0]));
	for (size_t i = 0; i < server->event_cnt; i++)
		assert_string_equal(server->events[i]->name, events[i]);
}

static void check_calls(const struct server_def *server)
{
	const struct probe_def *row = &server->probes[0];
	const struct function_def *callee = row->function;

	assert_string_equal(row->id, "welcome");
	assert_int_equal(row->where, WHERE_CALL);
	assert_int_equal(row->when, WHEN_ENTRY);
	assert_ptr_equal(row->object, &server->objects[0]);
	assert_int_equal(row->line, 43);
	assert_int_equal(row->constant.arg, 1);
	assert_int_equal(row->constant.text_cnt, 3);
	assert_string_equal(row->constant.texts[1], "235 Hello");
	assert_false(row->constant.is_prefix[1]);
	assert_string_equal(row->constant.texts[2], "235 2.");
	assert_true(row->constant.is_prefix[2]);
	assert_int_equal(row->rule_cnt, 1);
	assert_int_equal(row->rules[0].cond_cnt, 0);
	assert_int_equal(row->rules[0].act_cnt, 1);
	assert_string_equal(row->rules[0].acts[0].event->name, "auth.success");
	assert_int_equal(row->select, -1);
	assert_int_equal(row->value_cnt, 0);

	assert_string_equal(callee->name, "reply");
	assert_string_equal(callee->import, "reply");
	assert_string_equal(callee->symbols[0], "reply_v2");
	assert_int_equal(callee->vote_arg, 1);
	assert_int_equal(callee->vote_min, 2);
	assert_int_equal(callee->vote_text_cnt, 3);
	assert_string_equal(callee->vote_texts[2], "250 Ok");

	row = &server->probes[2]; /* every call */
	assert_int_equal(row->constant.arg, -1);
	assert_string_equal(row->function->name, "notice");
	assert_null(row->function->import);
	assert_int_equal(row->function->vote_text_cnt, 0);
}

static void check_alternative(const struct server_def *server)
{
	const struct probe_def *row = &server->probes[1];

	assert_ptr_equal(row->instead_of, &server->probes[0]);
	assert_int_equal(row->index, 1);
	assert_int_equal(row->where, WHERE_SYMBOL);
	assert_null(row->function);
	assert_int_equal(row->symbol_cnt, 2);
	assert_string_equal(row->symbols[0], "send_text_v2");
	assert_int_equal(row->who_cnt, 2);
	assert_string_equal(row->who[0], "exampled");
	assert_string_equal(row->who[1], "example-submiss"); /* as the kernel cuts it */
	assert_int_equal(row->rule_cnt, 2);
	assert_int_equal(row->rules[0].act_cnt, 2);
	assert_string_equal(row->rules[0].acts[1].event->name, "smtp.quit");
	assert_int_equal(row->rules[1].cond_cnt, 2);
	assert_int_equal(row->rules[1].conds[1].number, 16);
}

static void check_return(const struct server_def *server)
{
	const struct probe_def *row = &server->probes[4];
	const struct act_def *act = row->rules[1].acts;

	assert_int_equal(row->when, WHEN_RETURN);
	assert_string_equal(row->if_symbol, "session_v2");
	assert_null(row->unless_symbol);
	assert_int_equal(row->rule_cnt, 4);
	assert_string_equal(row->values[1].name, "result");
	assert_int_equal(row->values[1].kind, VALUE_TRUNC);
	assert_string_equal(row->rules[1].conds[1].text, "example-submiss");
	assert_int_equal(row->rules[1].act_cnt, 2);
	assert_int_equal(act[0].label_cnt, 2); /* sorted by name */
	assert_string_equal(act[0].labels[0].name, "mechanism");
	assert_string_equal(act[0].labels[0].value, "plain");
	assert_string_equal(act[0].labels[1].name, "reason");
	assert_int_equal(act[1].kind, ACT_FORGET);
	assert_ptr_equal(act[1].slot, &server->slots[0]);
	assert_string_equal(row->values[act[1].key].name, "request_of_thread");
	assert_int_equal(row->rules[2].act_cnt, 0);
	assert_int_equal(row->rules[2].cond_cnt, 1);
}

static void check_fields(const struct server_def *server)
{
	const struct probe_def *row = &server->probes[3];
	const struct layout_def *layout = row->values[1].layout;
	const struct act_def *act = row->rules[0].acts;

	assert_string_equal(row->values[1].name, "mech");
	assert_int_equal(row->values[1].kind, VALUE_FIELD_STR);
	assert_string_equal(row->values[1].key, "mechanism");
	assert_string_equal(layout->name, "fields");
	assert_int_equal(layout->parent.value, 32);
	assert_null(layout->parent.constant);
	assert_string_equal(layout->array.constant->load, "session_name");
	assert_string_equal(layout->array.constant->agree, "session_rename");
	assert_string_equal(layout->array.constant->object, "library");
	assert_int_equal(layout->number.constant->case_cnt, 2);
	assert_string_equal(layout->number.constant->cases[0].if_symbol, "session_v2");
	assert_int_equal(layout->number.constant->cases[0].value, 16);
	assert_null(layout->number.constant->cases[1].if_symbol);
	assert_int_equal(layout->type_number.value, 1);
	assert_int_equal(row->rules[0].act_cnt, 2);
	assert_int_equal(act[1].kind, ACT_REMEMBER);
	assert_int_equal(act[1].value, 1); /* mech: what is stored is its hash */

	row = &server->probes[5];
	assert_int_equal(row->values[row->select].kind, VALUE_STR);
	assert_string_equal(row->select_text, "login_finished");
}

static void check_label_sets(const struct server_def *server)
{
	const struct label_set *set = &server->label_sets[0];

	assert_int_equal(server->label_set_cnt, 2);
	assert_string_equal(set->name, "mechanism");
	assert_int_equal(set->value_cnt, 4);
	assert_string_equal(set->values[0], "PLAIN");
	assert_string_equal(set->values[1], "LOGIN");
	assert_string_equal(set->values[2], "SCRAM");
	assert_string_equal(set->values[3], "unknown");
	assert_int_equal(set->other, 3);
	assert_int_equal(set->text_cnt, 4);
	assert_string_equal(set->texts[1].text, "LOGIN");
	assert_int_equal(set->texts[1].value, 1);
	assert_string_equal(set->texts[2].text, "xplain");
	assert_int_equal(set->texts[2].value, 0);
	assert_string_equal(set->texts[3].text, "SCRAM SHA");
	assert_int_equal(set->texts[3].value, 2);

	set = &server->label_sets[1]; /* where the other value is among the values, it is the last all the same */
	assert_int_equal(set->value_cnt, 2);
	assert_string_equal(set->values[0], "no");
	assert_string_equal(set->values[1], "yes");
	assert_int_equal(set->other, 1);
	assert_int_equal(set->text_cnt, 3);
	assert_int_equal(set->texts[0].value, 1);
	assert_int_equal(set->texts[1].value, 0);
	assert_string_equal(set->texts[2].text, "2");
	assert_int_equal(set->texts[2].value, 0);
}

static void check_gauges(const struct server_def *server)
{
	const struct seed_def *seed = &server->seeds[0];
	const struct directory_def *directory = server->directories;

	assert_int_equal(server->seed_cnt, 1);
	assert_string_equal(seed->event->name, "imap.active-connections");
	assert_int_equal(seed->who_cnt, 2);
	assert_string_equal(seed->who[1], "imap-with-a-lon");
	assert_int_equal(seed->accepted, 1);
	assert_int_equal(seed->paired, -1);
	assert_int_equal(server->directory_cnt, 3);
	assert_string_equal(directory[0].event->name, "queue.count");
	assert_string_equal(directory[0].path, "incoming/..hidden");
	assert_true(directory[0].is_executable);
	assert_int_equal(directory[0].label_cnt, 1);
	assert_string_equal(directory[0].labels[0].name, "queue");
	assert_string_equal(directory[0].labels[0].value, "incoming");
	assert_false(directory[1].is_executable);
	assert_int_equal(directory[2].label_cnt, 0);
}

static void check_moving(const struct server_def *server)
{
	const struct choice_def *choice = &server->choices[0];
	const struct probe_def *row = &server->probes[7];
	const struct act_def *act = row->rules[0].acts;

	assert_int_equal(server->choice_cnt, 1);
	assert_string_equal(choice->name, "command");
	assert_int_equal(choice->text_cnt, 3);
	assert_string_equal(choice->texts[1].text, "EXAMINE");
	assert_ptr_equal(choice->texts[1].event, choice->texts[0].event);
	assert_string_equal(choice->texts[2].text, "UID FETCH");
	assert_string_equal(choice->texts[2].event->name, "imap.fetch");

	assert_int_equal(row->rules[0].act_cnt, 1);
	assert_int_equal(act->kind, ACT_CHOOSE);
	assert_ptr_equal(act->choice, choice);
	assert_int_equal(row->values[act->value].kind, VALUE_UPPER);
	assert_int_equal(act->label_cnt, 1);
	assert_int_equal(act->dim_cnt, 1);
	assert_ptr_equal(act->dims[0].set, &server->label_sets[1]);
	assert_int_equal(row->values[act->dims[0].value].kind, VALUE_RECALL);

	act = row->rules[1].acts;
	assert_int_equal(row->rules[1].act_cnt, 3);
	assert_int_equal(act[0].kind, ACT_ADD);
	assert_int_equal(act[0].label_cnt, 1);
	assert_int_equal(act[1].kind, ACT_HOLD);
	assert_int_equal(act[1].label_cnt, 0);
	assert_string_equal(act[2].event->name, "pop3.active-connections");
	assert_int_equal(server->probes[8].rules[0].acts[0].number, -1);
	assert_int_equal(server->probes[9].rules[0].acts[0].dim_cnt, 2); /* of a row with "event" */

	row = &server->probes[11];
	act = row->rules[0].acts;
	assert_int_equal(row->rules[0].act_cnt, 2);
	assert_int_equal(act[0].kind, ACT_OBSERVE);
	assert_string_equal(act[0].event->name, "imap.command-time");
	assert_int_equal(act[0].event->bound_cnt, 11);
	assert_string_equal(row->values[act[0].value].name, "span request[pid] now");
	assert_string_equal(row->values[act[1].value].name, "(arg2 * 1024)");
	assert_int_equal(act[1].dim_cnt, 1);
	assert_string_equal(row->values[act[1].dims[0].value].name, "head 9 str arg3");
}

static void test_good(void **state)
{
	struct arena *mem = arena_new();
	struct server_def *server = NULL;
	char err[512] = "";

	(void)state;
	if (parse_golden(&server, "good.toml", mem, err))
		fail_msg("%s", err);
	check_head(server);
	check_calls(server);
	check_alternative(server);
	check_return(server);
	check_fields(server);
	check_label_sets(server);
	check_gauges(server);
	check_moving(server);
	arena_free(&mem);
}

/* The examples of docs/CATALOG.md are a catalog and a vocabulary. */
static void test_document(void **state)
{
	struct arena *mem = arena_new();
	char *text = arena_alloc(mem, 1 << 16), err[512] = "", *begin, *end;
	FILE *file = fopen(GOLDEN_DIR "/../../docs/CATALOG.md", "r");
	struct server_def *server = NULL;
	struct events events;

	(void)state;
	assert_non_null(file);
	text[fread(text, 1, (1 << 16) - 1, file)] = '\0';
	fclose(file);
	begin = strstr(text, "```toml\n");
	assert_non_null(begin);
	begin += strlen("```toml\n");
	end = strstr(begin, "```");
	assert_non_null(end);
	vocabulary(&events, mem);
	if (catalog_parse_server(&server, &events, "example.toml", begin, (size_t)(end - begin), mem, err))
		fail_msg("%s", err);
	assert_int_equal(server->probe_cnt, 15);
	assert_int_equal(server->event_cnt, 13);

	begin = strstr(end + 1, "```toml\n"); /* and what stands behind it a vocabulary */
	assert_non_null(begin);
	begin += strlen("```toml\n");
	end = strstr(begin, "```");
	assert_non_null(end);
	if (events_parse(&events, "events.toml", begin, (size_t)(end - begin), mem, err))
		fail_msg("%s", err);
	assert_int_equal(events.count, 4);
	arena_free(&mem);
}

static void test_embedded(void **state)
{
	struct catalog *catalog = NULL;
	char err[512] = "";

	(void)state;
	if (catalog_load(&catalog, NULL, err))
		fail_msg("%s", err);
	assert_int_equal(catalog->server_cnt, embedded_file_count - 1); /* all but the vocabulary */
	for (size_t i = 0; i < catalog->server_cnt; i++) {
		const struct server_def *server = catalog->servers[i];

		assert_true(server->event_cnt > 0);
		assert_ptr_equal(catalog_find(catalog, server->name), server);
		assert_true(i == 0 || strcmp(catalog->servers[i - 1]->name, server->name) < 0);
	}
	catalog_free(&catalog);
	assert_null(catalog);
	catalog_free(&catalog);
}

/* ---- a directory beside what is compiled in */

struct directory {
	char path[64];
};

static void put(const struct directory *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* put_server - NAME.toml with one row that counts auth.success, and `more` behind it */
static void put_server(const struct directory *dir, const char *file, const char *name, const char *more)
{
	char text[512], path[128];

	snprintf(path, sizeof(path), "%s.toml", file);
	snprintf(text, sizeof(text),
		 "[server]\nname = '%s'\nexe = '*/%sd'\n[object.d]\nfile = 'd'\n"
		 "[[probe]]\nobject = 'd'\nsymbol = 'f'\nevent = 'auth.success'\n%s",
		 name, name, more);
	put(dir, path, text);
}

static int make_directory(void **state)
{
	struct directory *dir = malloc(sizeof(*dir));

	if (!dir)
		return -1;
	snprintf(dir->path, sizeof(dir->path), "/tmp/test-catalog-XXXXXX");
	*state = dir;
	return mkdtemp(dir->path) ? 0 : -1;
}

static int remove_directory(void **state)
{
	struct directory *dir = *state;
	struct dirent **entries;
	int count = scandir(dir->path, &entries, NULL, NULL);

	for (int i = 0; i < count; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", dir->path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' || strcmp(entries[i]->d_name, ".hidden.toml") == 0)
			remove(path);
		free(entries[i]);
	}
	free(entries);
	rmdir(dir->path);
	free(dir);
	return 0;
}

static void test_directory_adds(void **state)
{
	const struct directory *dir = *state;
	struct catalog *catalog = NULL;
	const struct server_def *server;
	char err[512] = "";

	put(dir, "tiny.toml",
	    "[server]\nname = 'tiny'\nexe = ['*/tinyd', '/opt/tiny/*']\n[object.d]\nfile = 'd'\n"
	    "[[probe]]\nobject = 'd'\nsymbol = 'f'\nevent = ['own.event', 'auth.success']\n");
	put(dir, "events.toml", "own.event = 'Events of our own.'\n");
	put(dir, "notes.txt", "[not toml");
	put(dir, ".hidden.toml", "[not toml");
	if (catalog_load(&catalog, dir->path, err))
		fail_msg("%s", err);
	assert_int_equal(catalog->server_cnt, embedded_file_count);
	server = catalog_find(catalog, "tiny");
	assert_non_null(server);
	assert_int_equal(server->event_cnt, 2);
	assert_true(catalog_server_counts(server, events_find(&catalog->events, "own.event")));
	assert_true(catalog_server_counts(server, events_find(&catalog->events, "auth.success")));
	assert_false(catalog_server_counts(server, events_find(&catalog->events, "auth.failed")));
	assert_ptr_equal(catalog_match_exe(catalog, "/usr/sbin/tinyd"), server);
	assert_ptr_equal(catalog_match_exe(catalog, "/opt/tiny/a/b"), server);
	assert_null(catalog_match_exe(catalog, "/usr/sbin/tinyd2"));
	assert_null(catalog_match_exe(catalog, ""));
	assert_null(catalog_find(catalog, "tin"));
	catalog_free(&catalog);
}

static void test_directory_replaces(void **state)
{
	const struct directory *dir = *state;
	struct catalog *catalog = NULL;
	char err[512] = "", name[128] = "";

	/* Of what is compiled in, whatever that is, the first. */
	assert_int_equal(catalog_load(&catalog, NULL, err), 0);
	assert_true(catalog->server_cnt > 0);
	snprintf(name, sizeof(name), "%s", catalog->servers[0]->name);
	assert_true(catalog->servers[0]->probe_cnt > 1);
	catalog_free(&catalog);

	put_server(dir, name, name, "");
	if (catalog_load(&catalog, dir->path, err))
		fail_msg("%s", err);
	assert_int_equal(catalog->server_cnt, embedded_file_count - 1);
	assert_int_equal(catalog_find(catalog, name)->probe_cnt, 1);
	catalog_free(&catalog);
}

/* want_refused - catalog_load fails with `ret` and "DIR/" `want`, or just `want` if that is about the directory */
static void want_refused(const struct directory *dir, int ret, const char *want)
{
	struct catalog *catalog = NULL;
	char err[512] = "", all[512];

	assert_int_equal(catalog_load(&catalog, dir->path, err), ret);
	assert_null(catalog);
	snprintf(all, sizeof(all), "%s%s", dir->path, want);
	assert_string_equal(err, all);
}

static void test_directory_refused(void **state)
{
	const struct directory *dir = *state;
	const struct directory nowhere = {"/tmp/test-catalog-no-such-directory"};
	char path[256], *big = malloc(262146);

	want_refused(&nowhere, -ENOENT, ": No such file or directory");

	put(dir, "events.toml", "own.a = 'A.'\nauth.success = 'Again.'\n");
	want_refused(dir, -EINVAL, "/events.toml:2:6: event \"auth.success\" exists already");
	put(dir, "events.toml", "");

	put_server(dir, "other", "tiny", "");
	want_refused(dir, -EINVAL, "/other.toml:2:8: the file of server \"tiny\" must have the name tiny.toml");
	put_server(dir, "other", "other", "x = 1\n");
	want_refused(dir, -EINVAL, "/other.toml:10:1: unknown key \"x\"");

	assert_non_null(big);
	memset(big, '#', 262145);
	big[262145] = '\0';
	put(dir, "other.toml", big);
	free(big);
	want_refused(dir, -EFBIG, "/other.toml: more than 262144 bytes");

	snprintf(path, sizeof(path), "%s/other.toml", dir->path);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	want_refused(dir, -EINVAL, "/other.toml: no regular file");
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	want_refused(dir, -EINVAL, "/other.toml: no regular file");
	assert_int_equal(remove(path), 0);
	assert_int_equal(symlink("gone", path), 0);
	want_refused(dir, -ENOENT, "/other.toml: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_document),
	    cmocka_unit_test(test_embedded),
	    cmocka_unit_test_setup_teardown(test_directory_adds, make_directory, remove_directory),
	    cmocka_unit_test_setup_teardown(test_directory_replaces, make_directory, remove_directory),
	    cmocka_unit_test_setup_teardown(test_directory_refused, make_directory, remove_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
