/* SPDX-License-Identifier: Apache-2.0 */
/* hubs.c - each text of the file is followed, as xref_vote() does it, to the calls that it reaches first. Who gets many
 * different ones in one argument is a hub. */
#include "target/hubs.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "target/elf_names.h"
#include "target/xref_index.h"

#define PASSES_MAX      ((size_t)1 << 20) /* only a made-up file has more */
#define VOTES_TRIED_MAX 64                /* texts of one hub */
#define VOTES_MIN       3

/* A call that a text reaches. */
struct pass {
	uint64_t callee; /* address of the function; of an imported one that of its slot */
	int arg;
	size_t text; /* index into xref->texts */
	uint64_t addr;
};

struct survey {
	const struct xref *xref;
	const struct elf_image *elf;
	uint64_t end_ns; /* when to stop */
	size_t text;     /* that is followed now */
	XREF_ARRAY(struct pass) passes;
	XREF_ARRAY(struct elf_import_name) stubs; /* by the address of the stub */
	XREF_ARRAY(struct elf_import_name) slots; /* by the address of the slot */
};

/* ---- what texts tell */

static bool is_code(const char *text)
{
	if (!strncmp(text, "+OK", 3) || !strncmp(text, "-ERR", 4))
		return true;
	return text[0] >= '2' && text[0] <= '5' && text[1] >= '0' && text[1] <= '9' && text[2] >= '0' &&
	       text[2] <= '9' && (!text[3] || strchr(" -\r%", text[3]));
}

static unsigned score_text(const char *text)
{
	static const char *const words[] = {
	    "accept",  "auth",	"banner", "bounce", "connect", "defer",	    "deliver",	"denied", "fail",   "greylist",
	    "log in",  "login", "lost",	  "mailbox", "message", "password", "queue",	"quota",  "recipient", "refuse",
	    "reject",  "relay", "sender", "session", "ssl",	"time out", "timed out", "timeout", "tls",     "too many",
	};
	unsigned score = is_code(text) ? 2 : 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		score += strcasestr(text, words[i]) != NULL;
	return score;
}

/* is_sentence - more than a word, a key or a name */
static bool is_sentence(const char *text)
{
	return strchr(text, ' ') || strchr(text, '%');
}

/* ---- who gets which text */

static int compare_stubs(const void *left, const void *right)
{
	const struct elf_import_name *a = left, *b = right;

	return (a->stub > b->stub) - (a->stub < b->stub);
}

static int compare_slots(const void *left, const void *right)
{
	const struct elf_import_name *a = left, *b = right;

	return (a->slot > b->slot) - (a->slot < b->slot);
}

static void list_imports(struct survey *survey)
{
	struct elf_import_name import;

	for (size_t i = 0; !elf_import_name(survey->elf, i, &import); i++) {
		XREF_ADD(&survey->slots, import);
		if (import.stub)
			XREF_ADD(&survey->stubs, import);
	}
	if (survey->slots.count)
		qsort(survey->slots.items, survey->slots.count, sizeof(import), compare_slots);
	if (survey->stubs.count)
		qsort(survey->stubs.items, survey->stubs.count, sizeof(import), compare_stubs);
}

static const struct elf_import_name *import_of_stub(const struct survey *survey, uint64_t addr)
{
	const struct elf_import_name key = {.stub = addr};

	return survey->stubs.count
		   ? bsearch(&key, survey->stubs.items, survey->stubs.count, sizeof(key), compare_stubs)
		   : NULL;
}

static const struct elf_import_name *import_of_slot(const struct survey *survey, uint64_t addr)
{
	const struct elf_import_name key = {.slot = addr};

	return survey->slots.count
		   ? bsearch(&key, survey->slots.items, survey->slots.count, sizeof(key), compare_slots)
		   : NULL;
}

static bool is_function_start(const struct survey *survey, uint64_t addr)
{
	struct elf_range function;

	return !elf_function_at(survey->elf, addr, &function) && function.addr == addr;
}

static void note_pass(struct survey *survey, const struct x86_insn *insn, uint32_t registers)
{
	const struct elf_import_name *import = import_of_stub(survey, insn->target);

	for (int arg = 0; arg < 6 && survey->passes.count < PASSES_MAX; arg++)
		if (registers & X86_BIT(x86_argument(arg)))
			XREF_ADD(&survey->passes, (struct pass){.callee = import ? import->slot : insn->target,
								.arg = arg,
								.text = survey->text,
								.addr = insn->addr});
}

static bool see_call(void *context, const struct x86_insn *insn, uint32_t registers)
{
	struct survey *survey = context;
	bool is_direct = insn->kind == X86_CALL || (insn->kind == X86_JUMP && is_function_start(survey, insn->target));
	bool is_slot = (insn->kind == X86_CALL_INDIRECT || insn->kind == X86_JUMP_INDIRECT) &&
		       import_of_slot(survey, insn->target);

	if (is_direct || is_slot)
		note_pass(survey, insn, registers);
	return is_direct || is_slot;
}

/* follow_texts - true: all of them */
static bool follow_texts(struct survey *survey)
{
	const struct xref *xref = survey->xref;
	size_t mask_size = xref->labels.count * sizeof(uint32_t), next = 0;
	struct flow_work work = {.masks = xrealloc_array(NULL, xref->labels.count, sizeof(*work.masks))};
	bool is_all = true;

	for (size_t i = 0; i < xref->texts.count && is_all; i++) {
		uint64_t addr = xref->texts.items[i].addr;

		if (!*xref->texts.items[i].string)
			continue;
		memset(work.masks, 0, mask_size);
		survey->text = i;
		while (next < xref->constants.count && xref->constants.items[next].value < addr)
			next++;
		for (; next < xref->constants.count && xref->constants.items[next].value == addr && is_all; next++)
			is_all = !flow_forward(xref, xref->constants.items[next].addr, &work, see_call, survey);
		is_all = is_all && survey->passes.count < PASSES_MAX && clock_ns(CLOCK_MONOTONIC) < survey->end_ns;
	}
	free(work.masks);
	return is_all;
}

/* ---- hubs */

static int compare_passes(const void *left, const void *right)
{
	const struct pass *a = left, *b = right;

	if (a->callee != b->callee)
		return a->callee < b->callee ? -1 : 1;
	if (a->arg != b->arg)
		return a->arg - b->arg;
	if (a->text != b->text)
		return a->text < b->text ? -1 : 1;
	return (a->addr > b->addr) - (a->addr < b->addr);
}

static int compare_texts(const void *left, const void *right)
{
	const struct hub_text *a = left, *b = right;

	return strcmp(a->text, b->text);
}

static int compare_scores(const void *left, const void *right)
{
	const struct hub_text *a = left, *b = right;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return strcmp(a->text, b->text);
}

/* merge_texts - one text can stand at several addresses */
static void merge_texts(struct hub *hub)
{
	size_t kept = 0;

	qsort(hub->texts, hub->text_cnt, sizeof(*hub->texts), compare_texts);
	for (size_t i = 0; i < hub->text_cnt; i++) {
		if (kept && !strcmp(hub->texts[kept - 1].text, hub->texts[i].text))
			hub->texts[kept - 1].call_cnt += hub->texts[i].call_cnt;
		else
			hub->texts[kept++] = hub->texts[i];
	}
	hub->text_cnt = kept;
}

/* read_hub - what the passes of one callee in one argument make */
static void read_hub(struct hub *hub, const struct xref *xref, const struct pass *passes, size_t count)
{
	*hub = (struct hub){.arg = passes->arg, .texts = xrealloc_array(NULL, count, sizeof(*hub->texts))};
	for (size_t i = 0; i < count; i++) {
		if (i && passes[i].text == passes[i - 1].text) {
			hub->texts[hub->text_cnt - 1].call_cnt += passes[i].addr != passes[i - 1].addr;
			continue;
		}
		hub->texts[hub->text_cnt++] =
		    (struct hub_text){.text = xref->texts.items[passes[i].text].string, .call_cnt = 1};
	}
	merge_texts(hub);
	for (size_t i = 0; i < hub->text_cnt; i++) {
		hub->texts[i].score = score_text(hub->texts[i].text);
		hub->score += hub->texts[i].score && is_sentence(hub->texts[i].text);
	}
	qsort(hub->texts, hub->text_cnt, sizeof(*hub->texts), compare_scores);
}

static bool is_better(const struct hub *hub, const struct hub *other)
{
	return hub->score != other->score ? hub->score > other->score : hub->text_cnt > other->text_cnt;
}

static unsigned count_edges(const struct xref *xref, uint64_t dst)
{
	size_t count, calls = 0;
	const struct edge *edge = edges_to(xref, dst, &count);

	for (; dst && count; count--, edge++)
		calls += edge->kind != EDGE_TABLE && edge->kind != EDGE_BRANCH;
	return (unsigned)calls;
}

/* name_hub - false when it is nobody's function */
static bool name_hub(struct hub *hub, const struct survey *survey, uint64_t callee)
{
	const struct elf_import_name *import = import_of_slot(survey, callee);

	if (!import) {
		hub->callee = callee;
		hub->call_cnt = count_edges(survey->xref, callee);
		return is_function_start(survey, callee);
	}
	hub->import = import->name;
	hub->callee = import->stub;
	hub->slot = import->slot;
	hub->call_cnt = count_edges(survey->xref, import->stub) + count_edges(survey->xref, import->slot);
	hub->call_cnt -= import->stub && hub->call_cnt; /* the stub's own jump */
	return true;
}

/* take_callee - the best of its arguments, if that makes a hub */
static void take_callee(struct hubs *hubs, size_t *cap, const struct survey *survey, const struct pass *passes,
			size_t count)
{
	struct hub best = {0}, hub;

	for (size_t i = 0, end; i < count; i = end) {
		for (end = i; end < count && passes[end].arg == passes[i].arg;)
			end++;
		if (end - i < HUB_TEXTS_MIN)
			continue;
		read_hub(&hub, survey->xref, passes + i, end - i);
		if (hub.text_cnt >= HUB_TEXTS_MIN && (!best.texts || is_better(&hub, &best))) {
			free(best.texts);
			best = hub;
		} else {
			free(hub.texts);
		}
	}
	if (!best.texts)
		return;
	if (!name_hub(&best, survey, passes->callee)) {
		free(best.texts);
		return;
	}
	if (hubs->count == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		hubs->items = xrealloc_array(hubs->items, *cap, sizeof(*hubs->items));
	}
	hubs->items[hubs->count++] = best;
}

static int compare_hubs(const void *left, const void *right)
{
	const struct hub *a = left, *b = right;

	if (is_better(a, b) || is_better(b, a))
		return is_better(a, b) ? -1 : 1;
	return a->callee != b->callee ? (a->callee < b->callee ? -1 : 1) : 0;
}

static void take_callees(struct hubs *hubs, struct survey *survey)
{
	const struct pass *passes = survey->passes.items;
	size_t count = survey->passes.count, cap = 0;

	if (!count)
		return;
	qsort(survey->passes.items, count, sizeof(*passes), compare_passes);
	for (size_t i = 0, end; i < count; i = end) {
		for (end = i; end < count && passes[end].callee == passes[i].callee;)
			end++;
		take_callee(hubs, &cap, survey, passes + i, end - i);
	}
	if (hubs->count)
		qsort(hubs->items, hubs->count, sizeof(*hubs->items), compare_hubs);
}

/* ---- names */

/* find_symbols - the names of those hubs that have one */
static void find_symbols(struct hubs *hubs, const struct elf_image *elf)
{
	struct elf_symbol_name symbol;
	struct elf_symbol found;

	for (size_t at = 0; !elf_symbol_name(elf, &at, &symbol);)
		for (size_t i = 0; i < hubs->count && i < HUBS_NAMED_MAX; i++) {
			struct hub *hub = &hubs->items[i];

			if (!hub->import && !hub->symbol && hub->callee == symbol.addr &&
			    !elf_symbol(elf, symbol.name, &found) && found.addr == symbol.addr)
				hub->symbol = symbol.name;
		}
}

/* is_own - does this text, in this argument, go to no other function? */
static bool is_own(const struct hub *hub, const struct xref *xref, const char *text)
{
	uint64_t addr;
	char err[256];

	return !xref_vote(xref, hub->arg, &text, 1, 1, &addr, err) && addr == hub->callee;
}

static bool is_ballot(const char *text)
{
	size_t len = strlen(text);

	if (len < 4 || len > 100)
		return false;
	for (const char *c = text; *c; c++)
		if ((*c < ' ' && !strchr("\n\r\t", *c)) || *c > '~') /* also those above 127 */
			return false;
	return true;
}

static void find_votes(struct hub *hub, const struct survey *survey)
{
	const struct xref *xref = survey->xref;
	uint64_t addr;
	char err[256];

	for (size_t i = 0; i < hub->text_cnt && i < VOTES_TRIED_MAX && hub->vote_cnt < HUB_VOTES_MAX; i++)
		if (clock_ns(CLOCK_MONOTONIC) < survey->end_ns && is_ballot(hub->texts[i].text) && is_own(hub, xref, hub->texts[i].text))
			hub->votes[hub->vote_cnt++] = hub->texts[i].text;
	hub->vote_min = (unsigned)(hub->vote_cnt + 1) / 2;
	if (hub->vote_cnt < VOTES_MIN ||
	    xref_vote(xref, hub->arg, hub->votes, hub->vote_cnt, hub->vote_min, &addr, err) || addr != hub->callee)
		hub->vote_cnt = 0;
}

int hubs_find(struct hubs **out, const struct xref *xref, const struct elf_image *elf, uint64_t end_ns,
	      char err[static 256])
{
	struct survey survey = {.xref = xref, .elf = elf, .end_ns = end_ns};
	struct hubs *hubs;

	*out = NULL;
	if (elf_machine(elf) != EM_X86_64) {
		snprintf(err, 256, "values in code of this machine (%u) cannot be followed yet", elf_machine(elf));
		return -EOPNOTSUPP;
	}
	hubs = xrealloc_array(NULL, 1, sizeof(*hubs));
	*hubs = (struct hubs){0};
	list_imports(&survey);
	hubs->is_cut = !follow_texts(&survey);
	take_callees(hubs, &survey);
	find_symbols(hubs, elf);
	for (size_t i = 0; i < hubs->count && i < HUBS_NAMED_MAX; i++)
		if (!hubs->items[i].import && !hubs->items[i].symbol)
			find_votes(&hubs->items[i], &survey);
	hubs->is_cut |= clock_ns(CLOCK_MONOTONIC) >= end_ns;
	free(survey.passes.items);
	free(survey.slots.items);
	free(survey.stubs.items);
	*out = hubs;
	return 0;
}

void hubs_free(struct hubs **hubs)
{
	if (!*hubs)
		return;
	for (size_t i = 0; i < (*hubs)->count; i++)
		free((*hubs)->items[i].texts);
	free((*hubs)->items);
	free(*hubs);
	*hubs = NULL;
}
