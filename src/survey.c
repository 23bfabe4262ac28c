/* SPDX-License-Identifier: Apache-2.0 */
#include "survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "target/elf_names.h"
#include "target/hubs.h"

/* What is printed is a catalog file, which has at most 256 KiB. Hubs come first and stop where the lists need room. */
#define SURVEY_MAX   ((size_t)240 << 10)
#define HUBS_ROOM    ((size_t)190 << 10)
#define LIST_ROOM    ((size_t)12 << 10) /* of one list of names */
#define HUBS_SHOWN   16                 /* with all that they get; of HUBS_LISTED more one line each */
#define HUBS_LISTED  40
#define TEXTS_SHOWN  200 /* of one hub */
#define TEXT_SHOWN   100 /* bytes of a text; a longer one is told by its beginning */
#define NAMES_MAX    ((size_t)1 << 18)
#define LINE_WIDTH   116
#define LOOK_NS      ((uint64_t)2000000000) /* of the processor, for finding hubs: no mail server needs so long */
#define PLACE_HOLDER "server.log-line"

/* What is being written about. */
struct page {
	struct buf *out;
	const struct elf_image *elf;
	const struct hubs *hubs;
};

/* ---- texts */

/* text_fits - how many bytes of the text a row can have: 0 none, because there are bytes that it cannot have */
static size_t text_fits(const char *text)
{
	size_t len = strlen(text);
	char head[TEXT_SHOWN + 1];

	if (len > TEXT_SHOWN)
		for (len = TEXT_SHOWN; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--; /* not in the middle of a character */
	memcpy(head, text, len);
	head[len] = '\0';
	if (!utf8_valid(head))
		return 0;
	for (const char *c = head; *c; c++)
		if ((*c > 0 && *c < ' ' && !strchr("\n\r\t", *c)) || *c == 0x7f)
			return 0;
	return len;
}

/* put_text - the first `len` bytes of a text as a string of TOML */
static void put_text(struct buf *out, const char *text, size_t len)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		static const char plain[] = "\n\r\t\"\\", escaped[] = "nrt\"\\";
		const char *at = strchr(plain, text[i]);

		if (at)
			buf_putc(out, '\\');
		buf_putc(out, at ? escaped[at - plain] : text[i]);
	}
	buf_putc(out, '"');
}

/* put_key - the key of a row that wants this text in the hub's argument */
static void put_key(struct buf *out, const struct hub *hub, const char *text)
{
	size_t len = text_fits(text);

	if (!len) {
		buf_printf(out, "(no row can have it) ");
		buf_visible(out, text, TEXT_SHOWN / 2);
		return;
	}
	buf_printf(out, "arg%d%s = ", hub->arg, text[len] ? "-prefix" : "");
	put_text(out, text, len);
}

/* put_glob - a name as a pattern that means itself */
static void put_glob(struct buf *out, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/";

	for (; *name; name++)
		buf_putc(out, strchr(plain, *name) ? *name : '?');
}

/* make_word - words of a-z and 0-9, joined by `joint`, of a name; "server" if it has none */
static void make_word(char *out, size_t size, const char *name, char joint)
{
	size_t len = 0;

	for (; *name && len + 2 < size; name++) {
		char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = c;
		else if (len && out[len - 1] != joint)
			out[len++] = joint;
	}
	while (len && out[len - 1] == joint)
		len--;
	out[len] = '\0';
	if (!len)
		snprintf(out, size, "server");
}

/* ---- the file */

/* put_exe - the name of the file and of the directory that it is in, as a glob */
static void put_exe(struct buf *out, const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *start = base;

	if (start > path)
		for (start--; start > path && start[-1] != '/';)
			start--;
	buf_puts(out, "*/");
	put_glob(out, *start == '/' ? base : start);
}

static void put_head(struct page *page, const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	const char *build_id = elf_build_id(page->elf);
	char name[32];

	buf_puts(page->out, "# What can be probed in ");
	buf_visible(page->out, base, 100);
	buf_printf(page->out, ", build id %s.\n", *build_id ? build_id : "none");
	buf_puts(
	    page->out,
	    "# It loads as it is, but counts no more than the calls of one hub. A hub is a function that gets many constant\n"
	    "# texts in one argument, as a log or the replies do. Lines with \"#\" and no space behind it can be taken as they\n"
	    "# are. How to go on: docs/NEW-SERVER.md; the language: docs/CATALOG.md; all events: `mailgauge events`.\n");
	if (page->hubs->is_cut)
		buf_puts(page->out,
			 "# The file has more than could be looked at: hubs, texts and calls may be missing.\n");
	make_word(name, sizeof(name), base, '-');
	buf_printf(page->out, "\n[server]\nname = \"%s\"\nexe = [\"", name);
	put_exe(page->out, path);
	buf_puts(page->out, "\"] # the program that an instance begins with; another one if that starts this\n"
			    "\n[object.daemon]\nfile = \"");
	put_glob(page->out, base);
	buf_puts(page->out, "\"\n");
}

static bool is_known(const struct hub *hub)
{
	return hub->import || hub->symbol || hub->vote_cnt;
}

/* hub_name - what the catalog calls it; unlike any other by its number, if need be */
static void hub_name(char out[static 64], const struct page *page, const struct hub *hub)
{
	const char *name = hub->import ? hub->import : hub->symbol;
	size_t number = (size_t)(hub - page->hubs->items) + 1;
	char other[48];

	if (!name) {
		snprintf(out, 64, "hub_%zu", number);
		return;
	}
	make_word(out, 48, name, '_');
	for (const struct hub *before = page->hubs->items; before < hub; before++) {
		make_word(other, sizeof(other),
			  before->import   ? before->import
			  : before->symbol ? before->symbol
					   : "",
			  '_');
		if (!strcmp(out, other)) {
			snprintf(out + strlen(out), 16, "_%zu", number);
			return;
		}
	}
}

static void put_hub_head(struct page *page, const struct hub *hub)
{
	buf_printf(page->out, "\n# ---- Hub %zu: %zu different texts in argument %d of ",
		   (size_t)(hub - page->hubs->items) + 1, hub->text_cnt, hub->arg);
	if (hub->import)
		buf_printf(page->out, "%s, which is imported", hub->import);
	else if (hub->symbol)
		buf_printf(page->out, "%s", hub->symbol);
	else
		buf_printf(page->out, "a function without a name at %#llx", (unsigned long long)hub->callee);
	buf_printf(page->out, "; %u calls\n", hub->call_cnt);
}

static void put_function(struct page *page, const struct hub *hub, const char *name, const char *off)
{
	struct buf *out = page->out;

	buf_printf(out, "%s[function.%s]\n%s", off, name, off);
	if (hub->import || hub->symbol) {
		buf_printf(out, "%s = \"%s\"\n", hub->import ? "import" : "symbol",
			   hub->import ? hub->import : hub->symbol);
		return;
	}
	buf_printf(out, "vote = { arg = %d, min = %u, texts = [", hub->arg, hub->vote_min);
	for (size_t i = 0; i < hub->vote_cnt; i++) {
		buf_printf(out, "%s\n%s\t", i ? "," : "", off);
		put_text(out, hub->votes[i], strlen(hub->votes[i]));
	}
	buf_puts(out, "] }\n");
}

static void put_row(struct page *page, const struct hub *hub, const char *name, bool is_active)
{
	const char *off = is_active ? "" : "#";

	buf_printf(page->out, "\n%s[[probe]]\n%sobject = \"daemon\"\n%scall = \"%s\"\n", off, off, off, name);
	for (size_t i = 0; i < hub->text_cnt && !is_active; i++)
		if (text_fits(hub->texts[i].text)) {
			buf_putc(page->out, '#');
			put_key(page->out, hub, hub->texts[i].text);
			buf_putc(page->out, '\n');
			break;
		}
	buf_printf(page->out, "%sevent = \"%s\" # %s\n", off, PLACE_HOLDER,
		   is_active ? "right if this is the log: every line. Otherwise replace it" : "to be replaced");
}

/* put_calls - how many calls a row with this text would have */
static void put_calls(struct page *page, const struct hub_text *text)
{
	char said[64];

	snprintf(said, sizeof(said), "%u call%s", text->call_cnt, text->call_cnt == 1 ? "" : "s");
	if (text->undecided_cnt)
		snprintf(said + strlen(said), 32, ", %u undecided", text->undecided_cnt);
	buf_printf(page->out, "#   %-21s ", said);
}

static void put_texts(struct page *page, const struct hub *hub)
{
	size_t i;

	for (i = 0; i < hub->text_cnt && i < TEXTS_SHOWN && page->out->len < HUBS_ROOM; i++) {
		put_calls(page, &hub->texts[i]);
		put_key(page->out, hub, hub->texts[i].text);
		buf_putc(page->out, '\n');
	}
	if (i < hub->text_cnt)
		buf_printf(page->out, "#   ... and %zu more texts\n", hub->text_cnt - i);
}

static void put_hub(struct page *page, const struct hub *hub, bool is_active)
{
	const char *off = is_active ? "" : "#";
	char name[64];

	put_hub_head(page, hub);
	if (is_known(hub)) {
		hub_name(name, page, hub);
		put_function(page, hub, name, off);
		put_row(page, hub, name, is_active);
		buf_printf(page->out, "# Calls with a constant text, and the key of a row of such calls:\n");
	} else {
		buf_puts(page->out, "# It has too few texts of its own to be found by a vote.\n");
	}
	put_texts(page, hub);
}

/* put_hubs - the first that a row can name is active */
static void put_hubs(struct page *page)
{
	const struct hubs *hubs = page->hubs;
	bool has_active = false;
	size_t i;

	for (i = 0; i < hubs->count && i < HUBS_SHOWN && page->out->len < HUBS_ROOM; i++) {
		bool is_active = !has_active && is_known(&hubs->items[i]);

		put_hub(page, &hubs->items[i], is_active);
		has_active |= is_active;
	}
	if (!has_active)
		buf_printf(page->out,
			   "\n# No hub was found that has a name or texts of its own. A file must have a row:\n"
			   "[[probe]]\nobject = \"daemon\"\nsymbol = \"main\"\nevent = \"%s\" # to be replaced\n",
			   PLACE_HOLDER);
	if (i < hubs->count)
		buf_puts(page->out, "\n# ---- More functions that get constant texts\n");
	for (size_t listed = 0; i < hubs->count && listed < HUBS_LISTED; i++, listed++) {
		const struct hub *hub = &hubs->items[i];
		const char *name = hub->import ? hub->import : hub->symbol;

		buf_printf(page->out, "#   %zu in argument %d of ", hub->text_cnt, hub->arg);
		if (name)
			buf_puts(page->out, name);
		else
			buf_printf(page->out, "%#llx", (unsigned long long)hub->callee);
		buf_puts(page->out, ", such as ");
		buf_visible(page->out, hub->texts[0].text, TEXT_SHOWN / 2);
		buf_putc(page->out, '\n');
	}
}

/* ---- lists of names */

struct names {
	const char **items;
	size_t count, cap;
};

static void add_name(struct names *names, const char *name)
{
	if (names->count == NAMES_MAX)
		return;
	if (names->count == names->cap) {
		names->cap = names->cap ? 2 * names->cap : 256;
		names->items = xrealloc_array(names->items, names->cap, sizeof(*names->items));
	}
	names->items[names->count++] = name;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* put_names - sorted, each once, in lines; frees the list */
static void put_names(struct page *page, const char *title, struct names *names)
{
	size_t start = page->out->len, line = start, i;

	if (names->count) {
		qsort(names->items, names->count, sizeof(*names->items), compare_names);
		buf_printf(page->out, "\n# ---- %s", title);
		line = 0;
	}
	for (i = 0; i < names->count && page->out->len - start < LIST_ROOM; i++) {
		if (i && !strcmp(names->items[i], names->items[i - 1]))
			continue;
		if (!line || page->out->len - line + strlen(names->items[i]) > LINE_WIDTH) {
			buf_puts(page->out, "\n#  ");
			line = page->out->len;
		}
		buf_printf(page->out, " %s", names->items[i]);
	}
	if (i < names->count)
		buf_printf(page->out, "\n#   ... and %zu more", names->count - i);
	if (names->count)
		buf_putc(page->out, '\n');
	free(names->items);
}

static void put_all_names(struct page *page)
{
	struct names imports = {0}, functions = {0}, variables = {0};
	struct elf_import_name import;
	struct elf_symbol_name symbol;

	for (size_t i = 0; !elf_import_name(page->elf, i, &import); i++)
		add_name(&imports, import.name);
	for (size_t i = 0; !elf_symbol_name(page->elf, &i, &symbol);)
		add_name(symbol.is_function ? &functions : &variables, symbol.name);
	put_names(page, "Functions with a name: `symbol = \"NAME\"` probes entry or return", &functions);
	put_names(page, "Variables with a name: `&NAME` in an expression", &variables);
	put_names(
	    page,
	    "Imported functions: `import = \"NAME\"` in a [function], for its calls; `stub = \"NAME\"` for its return",
	    &imports);
}

/* survey_write - everything about one file. 0 or -errno with a reason in err. */
static int survey_write(struct buf *out, const char *path, const struct elf_image *elf, char err[static 256])
{
	struct page page = {.out = out, .elf = elf};
	struct xref *xref = NULL;
	struct hubs *hubs = NULL;
	int ret = xref_new(&xref, elf, err);

	if (!ret)
		ret = hubs_find(&hubs, xref, elf, clock_ns(CLOCK_PROCESS_CPUTIME_ID) + LOOK_NS, err);
	if (!ret) {
		page.hubs = hubs;
		put_head(&page, path);
		put_hubs(&page);
		put_all_names(&page);
	}
	hubs_free(&hubs);
	xref_free(&xref);
	return ret;
}

int command_survey(const struct cli *cli)
{
	int fd = open(cli->survey_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = EXIT_FAILURE;
	struct elf_image *elf = NULL;
	struct buf out;
	char err[256];

	buf_init(&out, SURVEY_MAX);
	if (fd < 0) {
		log_error("%s: %m", cli->survey_file);
	} else if (elf_open_fd(&elf, fd, err) || survey_write(&out, cli->survey_file, elf, err)) {
		log_error("%s: %s", cli->survey_file, err);
	} else if (buf_failed(&out)) {
		log_error("the output is too large");
	} else if (fwrite(buf_text(&out), 1, out.len, stdout) != out.len || fflush(stdout)) {
		log_error("writing the output: %m");
	} else {
		ret = EXIT_SUCCESS;
	}
	buf_free(&out);
	elf_free(&elf);
	if (fd >= 0)
		close(fd);
	return ret;
}
