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
#define TEXTS_MAX       ((size_t)1 << 18)
#define ADDRS_MAX       16 /* of one text */
#define STUB_SIZE       16 /* bytes of a PLT stub */
#define NAMES_TRIED_MAX 16 /* of one function */
#define VOTES_MIN       3

#define MANY UINT64_MAX /* several callees */

/* A call that a text reaches. */
struct pass {
	uint64_t callee; /* address of the function; of an imported one that of its slot */
	int arg;
	size_t text; /* number of the text */
	uint64_t addr;
};

/* A text, and where it stands in the order of texts: the linker merges equal ones, but not all. */
struct numbered {
	const char *string;
	uint64_t addr;
};

struct survey {
	const struct xref *xref;
	const struct elf_image *elf;
	uint64_t end_ns; /* when to stop */
	/* All texts, by what they say and by their addresses. The number of a text is the place of its first address.
	 */
	struct numbered *texts;
	size_t text_cnt, text;  /* text: the number of the one that is followed now */
	uint64_t (*callees)[6]; /* by text and argument: who gets it there; 0 nobody, MANY several */
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
	    "accept", "auth",     "banner",    "bounce",  "connect", "defer",    "deliver", "denied",
	    "fail",   "greylist", "log in",    "login",   "lost",    "mailbox",  "message", "password",
	    "queue",  "quota",    "recipient", "refuse",  "reject",  "relay",    "sender",  "session",
	    "ssl",    "time out", "timed out", "timeout", "tls",     "too many",
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

	return survey->stubs.count ? bsearch(&key, survey->stubs.items, survey->stubs.count, sizeof(key), compare_stubs)
				   : NULL;
}

static const struct elf_import_name *import_of_slot(const struct survey *survey, uint64_t addr)
{
	const struct elf_import_name key = {.slot = addr};

	return survey->slots.count ? bsearch(&key, survey->slots.items, survey->slots.count, sizeof(key), compare_slots)
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
	uint64_t callee = import ? import->slot : insn->target, *known;

	for (int arg = 0; arg < 6 && survey->passes.count < PASSES_MAX; arg++) {
		if (!(registers & X86_BIT(x86_argument(arg))))
			continue;
		known = &survey->callees[survey->text][arg];
		*known = *known && *known != callee ? MANY : callee;
		XREF_ADD(&survey->passes,
			 (struct pass){.callee = callee, .arg = arg, .text = survey->text, .addr = insn->addr});
	}
}

static bool see_call(void *context, const struct x86_insn *insn, uint32_t registers)
{
	struct survey *survey = context;
	const struct elf_import_name *import;
	bool is_call = insn->kind == X86_CALL;

	if (insn->kind == X86_JUMP)
		is_call = import_of_stub(survey, insn->target) || is_function_start(survey, insn->target);
	if (insn->kind == X86_CALL_INDIRECT || insn->kind == X86_JUMP_INDIRECT) {
		import = import_of_slot(survey, insn->target);
		if (import && import->stub && insn->addr - import->stub < STUB_SIZE)
			return true; /* the stub's own jump is no call */
		is_call = import;
	}
	if (is_call)
		note_pass(survey, insn, registers);
	return is_call;
}

static int compare_numbered(const void *left, const void *right)
{
	const struct numbered *a = left, *b = right;
	int order = strcmp(a->string, b->string);

	return order ? order : (a->addr > b->addr) - (a->addr < b->addr);
}

/* number_texts - true: all of them */
static bool number_texts(struct survey *survey)
{
	const struct xref *xref = survey->xref;

	survey->texts = xrealloc_array(NULL, xref->texts.count, sizeof(*survey->texts));
	for (size_t i = 0; i < xref->texts.count && survey->text_cnt < TEXTS_MAX; i++)
		if (*xref->texts.items[i].string)
			survey->texts[survey->text_cnt++] =
			    (struct numbered){xref->texts.items[i].string, xref->texts.items[i].addr};
	if (survey->text_cnt)
		qsort(survey->texts, survey->text_cnt, sizeof(*survey->texts), compare_numbered);
	survey->callees = xrealloc_array(NULL, survey->text_cnt, sizeof(*survey->callees));
	memset(survey->callees, 0, survey->text_cnt * sizeof(*survey->callees));
	return survey->text_cnt < TEXTS_MAX;
}

/* follow_texts - true: all of them */
static bool follow_texts(struct survey *survey)
{
	const struct xref *xref = survey->xref;
	struct flow_work work = {.masks = xrealloc_array(NULL, xref->labels.count, sizeof(*work.masks))};
	bool is_all = true;

	for (size_t i = 0; i < survey->text_cnt && is_all; i++) {
		uint64_t addr = survey->texts[i].addr;

		if (!i || strcmp(survey->texts[i].string, survey->texts[i - 1].string) != 0)
			survey->text = i;
		memset(work.masks, 0, xref->labels.count * sizeof(*work.masks));
		for (size_t k = first_constant(xref, addr);
		     k < xref->constants.count && xref->constants.items[k].value == addr && is_all; k++)
			is_all = !flow_forward(xref, xref->constants.items[k].addr, &work, see_call, survey);
		is_all =
		    is_all && survey->passes.count < PASSES_MAX && clock_ns(CLOCK_PROCESS_CPUTIME_ID) < survey->end_ns;
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

static int compare_scores(const void *left, const void *right)
{
	const struct hub_text *a = left, *b = right;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return strcmp(a->text, b->text);
}

/* add_call - count one of the calls that a text reaches, unless it turns out that other values arrive there */
static void add_call(struct hub_text *text, const struct survey *survey, const struct pass *pass)
{
	uint64_t addrs[ADDRS_MAX];
	struct wanted wanted = {.items = addrs};
	unsigned arriving = ARRIVES_UNKNOWN;

	for (size_t i = pass->text; i < survey->text_cnt && wanted.count < ADDRS_MAX; i++) {
		if (strcmp(survey->texts[i].string, text->text) != 0)
			break;
		addrs[wanted.count++] = survey->texts[i].addr;
	}
	if (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < survey->end_ns)
		arriving = flow_arriving(survey->xref, pass->addr, x86_argument(pass->arg), &wanted);
	text->call_cnt += arriving != ARRIVES_OTHER;
	text->undecided_cnt += arriving != ARRIVES_OTHER && arriving != ARRIVES_WANTED;
}

/* read_hub - what the passes of one callee in one argument make */
static void read_hub(struct hub *hub, const struct survey *survey, const struct pass *passes, size_t count)
{
	*hub = (struct hub){.arg = passes->arg, .texts = xrealloc_array(NULL, count, sizeof(*hub->texts))};
	for (size_t i = 0; i < count; i++) {
		struct hub_text *text;

		if (i && passes[i].text == passes[i - 1].text)
			continue;
		text = &hub->texts[hub->text_cnt++];
		*text = (struct hub_text){.text = survey->texts[passes[i].text].string,
					  .is_own = survey->callees[passes[i].text][hub->arg] == passes->callee};
		text->score = score_text(text->text);
		hub->score += text->score && is_sentence(text->text);
	}
}

/* finish_hub - the calls of the hub's texts, and their order */
static void finish_hub(struct hub *hub, const struct survey *survey, const struct pass *passes, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		bool is_next = i && passes[i].text != passes[i - 1].text;

		at += is_next;
		if (!i || is_next || passes[i].addr != passes[i - 1].addr)
			add_call(&hub->texts[at], survey, &passes[i]);
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
	if (!strcmp(import->name, "__stack_chk_fail")) /* takes nothing: what is in the registers is left over */
		return false;
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
	size_t first = 0, last = 0;

	for (size_t i = 0, end; i < count; i = end) {
		for (end = i; end < count && passes[end].arg == passes[i].arg;)
			end++;
		read_hub(&hub, survey, passes + i, end - i);
		if (hub.text_cnt >= HUB_TEXTS_MIN && (!best.texts || is_better(&hub, &best))) {
			free(best.texts);
			best = hub;
			first = i;
			last = end;
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
	finish_hub(&best, survey, passes + first, last - first);
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
	unsigned tried[HUBS_NAMED_MAX] = {0};
	struct elf_symbol_name symbol;
	struct elf_symbol found;

	for (size_t at = 0; !elf_symbol_name(elf, &at, &symbol);)
		for (size_t i = 0; i < hubs->count && i < HUBS_NAMED_MAX; i++) {
			struct hub *hub = &hubs->items[i];

			if (hub->import || hub->symbol || hub->callee != symbol.addr || tried[i]++ >= NAMES_TRIED_MAX)
				continue;
			if (!elf_symbol(elf, symbol.name, &found) && found.addr == symbol.addr)
				hub->symbol = symbol.name;
		}
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

static void find_votes(struct hub *hub, const struct xref *xref)
{
	uint64_t addr;
	char err[256];

	for (size_t i = 0; i < hub->text_cnt && hub->vote_cnt < HUB_VOTES_MAX; i++)
		if (hub->texts[i].is_own && is_ballot(hub->texts[i].text))
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
	hubs->is_cut = !number_texts(&survey);
	hubs->is_cut |= !follow_texts(&survey);
	take_callees(hubs, &survey);
	find_symbols(hubs, elf);
	for (size_t i = 0; i < hubs->count && i < HUBS_NAMED_MAX; i++)
		if (!hubs->items[i].import && !hubs->items[i].symbol && clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns)
			find_votes(&hubs->items[i], xref);
	hubs->is_cut |= clock_ns(CLOCK_PROCESS_CPUTIME_ID) >= end_ns;
	free(survey.passes.items);
	free(survey.texts);
	free(survey.callees);
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
