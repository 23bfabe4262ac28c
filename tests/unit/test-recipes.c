/* SPDX-License-Identifier: Apache-2.0 */
/* Functions without a name, found in samples that are stripped; what is right, their unstripped twins tell. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sample.h"
#include "target/arm64.h"
#include "target/elf_debug.h"
#include "target/xref.h"

struct indexed {
	struct elf_image *elf, *names; /* names: of the twin with symbols */
	struct xref *xref;
};

static struct indexed open_indexed(const char *name, const char *names)
{
	struct indexed out = {.elf = sample_open(name), .names = sample_open(names)};
	char err[256];

	if (xref_new(&out.xref, out.elf, err))
		fail_msg("%s: %s", name, err);
	return out;
}

static struct indexed open_stripped(const char *name)
{
	char stripped[64];

	snprintf(stripped, sizeof(stripped), "%s-stripped", name);
	return open_indexed(stripped, name);
}

static void close_indexed(struct indexed *indexed)
{
	xref_free(&indexed->xref);
	elf_free(&indexed->elf);
	elf_free(&indexed->names);
}

static size_t count_texts(const char *const *texts, size_t max)
{
	size_t count = 0;

	while (count < max && texts[count])
		count++;
	return count;
}

static void check(const char *what, const struct indexed *indexed, int ret, uint64_t addr, const char *err,
		  int want_ret, const char *want)
{
	uint64_t want_addr = want ? sample_addr(indexed->names, want) : 0;

	if (ret != want_ret || addr != want_addr || !err[0] != !ret)
		fail_msg("%s: got %d, %#llx (%s), want %d, %#llx", what, ret, (unsigned long long)addr, err, want_ret,
			 (unsigned long long)want_addr);
}

/* ---- uses */

struct uses_case {
	const char *texts[3], *without[2];
	int ret;
	const char *want;
};

static void check_uses(const char *file, const struct indexed *indexed, const struct uses_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char err[256] = "", what[128];
		uint64_t addr = 1;
		int ret = xref_uses(indexed->xref, cases[i].texts, count_texts(cases[i].texts, 3), cases[i].without,
				    count_texts(cases[i].without, 2), &addr, err);

		snprintf(what, sizeof(what), "%s %zu %s", file, i, cases[i].texts[0]);
		check(what, indexed, ret, addr, err, cases[i].ret, cases[i].want);
		for (const char *c = err; *c; c++)
			assert_true(*c >= ' ');
	}
}

static void test_uses(void **state)
{
	static const struct uses_case cases[] = {
	    {{"only one: %s\n"}, {0}, 0, "used_once"},
	    {{"only one"}, {0}, -ENOENT, NULL}, /* not the whole text */
	    {{"no such text\n"}, {0}, -ENOENT, NULL},
	    {{0}, {0}, -ENOENT, NULL},
	    {{"shared: %s\n"}, {0}, -ENOTUNIQ, NULL},
	    {{"shared: %s\n", "second: %s\n"}, {0}, 0, "used_shared"},
	    {{"third: %s\n", "shared: %s\n"}, {0}, 0, "used_other"},
	    {{"shared: %s\n"}, {"third: %s\n"}, 0, "used_shared"},
	    {{"shared: %s\n"}, {"no such text", "second: %s\n"}, 0, "used_other"},
	    {{"shared: %s\n"}, {"second: %s\n", "third: %s\n"}, -ENOENT, NULL},
	    {{"shared: %s\n", "only one: %s\n"}, {0}, -ENOENT, NULL},
	    {{"shared: %s\n", "no such text"}, {0}, -ENOENT, NULL},
	    {{"inlined twice: %s\n"}, {0}, -ENOTUNIQ, NULL},
	    {{"in the cold part: %s\n"}, {0}, 0, "used_cold"},
	    {{"still cold: %s\n", "in the cold part: %s\n"}, {0}, 0, "used_cold"},
	    {{"a head and the tail of a text"}, {0}, 0, "used_whole"},
	    {{"the tail of a text"}, {0}, 0, "used_tail"},
	    {{"last: %s\n"}, {0}, 0, "used_last"},
	    {{"before the jump: %s\n"}, {0}, 0, "used_jump"},
	    {{"last: %s\n", "before the jump: %s\n"}, {0}, -ENOENT, NULL},
	};
	static const char *const files[] = {"recipes-plain", "recipes-cet", "recipes-relr", "recipes-fixed"};

	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		struct indexed indexed = open_stripped(files[f]);

		check_uses(files[f], &indexed, cases, sizeof(cases) / sizeof(*cases));
		close_indexed(&indexed);
	}
}

/* The candidates are named, so that a recipe can be mended. */
static void test_candidates(void **state)
{
	struct indexed indexed = open_stripped("recipes-plain");
	const char *text = "shared: %s\n";
	char err[256], want[2][32];
	uint64_t addr;

	(void)state;
	assert_int_equal(xref_uses(indexed.xref, &text, 1, NULL, 0, &addr, err), -ENOTUNIQ);
	snprintf(want[0], 32, " %#llx", (unsigned long long)sample_addr(indexed.names, "used_shared"));
	snprintf(want[1], 32, " %#llx", (unsigned long long)sample_addr(indexed.names, "used_other"));
	assert_non_null(strstr(err, " 2 functions:"));
	assert_non_null(strstr(err, want[0]));
	assert_non_null(strstr(err, want[1]));
	close_indexed(&indexed);
}

/* Without unwind information nobody knows where functions begin: no recipe may say so. */
static void test_no_bounds(void **state)
{
	struct indexed indexed = open_stripped("recipes-bare");
	const char *text = "only one: %s\n";
	char err[256];
	uint64_t addr;

	(void)state;
	assert_int_equal(xref_uses(indexed.xref, &text, 1, NULL, 0, &addr, err), -ENOENT);
	assert_non_null(strstr(err, "not known"));
	assert_int_equal(xref_table(indexed.xref, "first driver", 3, &addr, err), -ENOENT);
	assert_int_equal(xref_function_size(indexed.xref, sample_addr(indexed.names, "used_once")), 0);
	close_indexed(&indexed);
}

static void test_parts(void **state)
{
	static const struct uses_case cases[] = {
	    {{"in the hot part"}, {0}, 0, "p_one"},
	    {{"comes back"}, {0}, 0, "p_one"},
	    {{"comes back", "in the hot part", "part of a part"}, {0}, 0, "p_one"},
	    {{"in the hot part"}, {"part of a part"}, -ENOENT, NULL},
	    {{"of both"}, {0}, -ENOENT, NULL},
	    {{"called"}, {0}, 0, "p_called"},
	};
	struct indexed indexed = open_indexed("parts.so", "parts.so");

	(void)state;
	check_uses("parts.so", &indexed, cases, sizeof(cases) / sizeof(*cases));
	assert_int_equal(xref_function_size(indexed.xref, sample_addr(indexed.elf, "p_one_part")), 0);
	assert_int_equal(xref_function_size(indexed.xref, sample_addr(indexed.elf, "p_one_deep")), 0);
	assert_int_equal(xref_function_size(indexed.xref, sample_addr(indexed.elf, "p_shared")), 0);
	assert_int_equal(xref_function_size(indexed.xref, sample_addr(indexed.elf, "p_one")), 12);
	close_indexed(&indexed);
}

/* ---- tables */

struct table_case {
	const char *text;
	unsigned slot;
	int ret;
	const char *want;
};

static void check_tables(const char *file, const struct indexed *indexed, const struct table_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char err[256] = "", what[128];
		uint64_t addr = 1;
		int ret = xref_table(indexed->xref, cases[i].text, cases[i].slot, &addr, err);

		snprintf(what, sizeof(what), "%s %s %u", file, cases[i].text, cases[i].slot);
		check(what, indexed, ret, addr, err, cases[i].ret, cases[i].want);
	}
}

static void test_tables(void **state)
{
	static const struct table_case cases[] = {
	    {"first driver", 3, 0, "first_init"},        {"first driver", 4, 0, "first_serve"},
	    {"second driver", 3, 0, "second_init"},      {"second driver", 4, 0, "second_serve"},
	    {"first drive", 3, -ENOENT, NULL},           {"driver", 3, -ENOENT, NULL},
	    {"first driver", 0, -ENOENT, NULL},         /* the text itself */
	    {"first driver", 1, -ENOENT, NULL},         /* points at data */
	    {"first driver", 2, -ENOENT, NULL},         /* no pointer */
	    {"without functions", 4, -ENOENT, NULL},    /* a null pointer */
	    {"without functions", 1000, -ENOENT, NULL}, /* beyond all tables */
	    {"first driver", 0xffffffff, -ENOENT, NULL}, {"in two tables", 3, 0, "first_init"},
	    {"in two tables", 4, -ENOTUNIQ, NULL},       {"in equal tables", 4, 0, "first_serve"},
	    {"only one: %s\n", 1, -ENOENT, NULL}, /* a text of code only */
	};
	static const char *const files[] = {"recipes-plain", "recipes-cet", "recipes-relr", "recipes-fixed"};

	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		struct indexed indexed = open_stripped(files[f]);

		check_tables(files[f], &indexed, cases, sizeof(cases) / sizeof(*cases));
		close_indexed(&indexed);
	}
}

/* ---- other properties of functions and names */

static void test_sizes(void **state)
{
	static const char *const names[] = {"used_once", "used_shared", "used_cold", "first_init", "main"};
	struct indexed indexed = open_stripped("recipes-plain");

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct elf_symbol symbol;

		assert_int_equal(elf_symbol(indexed.names, names[i], &symbol), 0);
		assert_int_equal(xref_function_size(indexed.xref, symbol.addr), symbol.size);
		assert_int_equal(xref_function_size(indexed.xref, symbol.addr + 1), 0);
	}
	assert_int_equal(xref_function_size(indexed.xref, sample_addr(indexed.names, "used_cold.cold")), 0);
	assert_int_equal(xref_function_size(indexed.xref, 0), 0);
	close_indexed(&indexed);
}

static void test_data_symbols(void **state)
{
	static const struct {
		const char *file, *name;
		int ret;
	} cases[] = {
	    {"recipes-plain", "errors", 0},
	    {"recipes-plain", "counters", 0},
	    {"recipes-plain", "drivers", 0},
	    {"recipes-plain", "thread_errors", -ENOENT},
	    {"recipes-plain", "main", -ENOENT},
	    {"recipes-plain", "error", -ENOENT},
	    {"recipes-plain", "printf", -ENOENT},
	    {"recipes-plain", "options", 0}, /* local */
	    {"recipes-plain-stripped", "options", -ENOENT},
	    {"recipes-plain-stripped", "errors", 0},
	    {"recipes-plain-stripped", "counters", 0},
	    {"recipes-fixed-stripped", "errors", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct elf_image *elf = sample_open(cases[i].file), *twin = sample_open("recipes-plain");
		uint64_t addr = 0, twin_addr = 0;
		int ret = elf_data_symbol(elf, cases[i].name, &addr);

		if (ret != cases[i].ret)
			fail_msg("%s %s: got %d", cases[i].file, cases[i].name, ret);
		if (!ret && !strncmp(cases[i].file, "recipes-plain", 13)) {
			assert_int_equal(elf_data_symbol(twin, cases[i].name, &twin_addr), 0);
			assert_int_equal(addr, twin_addr);
		}
		elf_free(&elf);
		elf_free(&twin);
	}
}

/* A stub is what calls go to: with .plt.sec that is the second one, without it the first. */
static void test_stubs(void **state)
{
	static const char *const files[] = {"recipes-plain", "recipes-cet", "recipes-relr", "recipes-fixed"};

	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		struct indexed indexed = open_stripped(files[f]);
		struct xref_query query = {.arg = -1};
		struct xref_site *sites;
		size_t count;
		char err[256];

		assert_int_equal(elf_import_stub(indexed.elf, "puts", &query.callee), 0);
		if (xref_sites(indexed.xref, &query, &sites, &count, err))
			fail_msg("%s: %s", files[f], err);
		assert_int_equal(count, 4);           /* recipes.c has four calls of it */
		if (!strcmp(files[f], "recipes-cet")) /* endbr64 */
			assert_memory_equal(elf_bytes(indexed.elf, query.callee, 4), "\xf3\x0f\x1e\xfa", 4);
		free(sites);
		close_indexed(&indexed);
	}
}

/* ---- numbers */

static const char *const marks[] = {"m_five",   "m_seven",  "m_zero",     "m_minus", "m_wide_minus",
				    "m_high",   "m_merged", "m_variable", "m_after", "m_copied",
				    "m_pushed", "m_tail",   NULL};

static void test_numbers(void **state)
{
	/* where what is passed is not known, every number may be; "nowhere" has no mark */
	static const struct {
		int64_t numbers[2];
		size_t count;
		const char *want;
	} cases[] = {
	    {{5}, 1, "m_five m_merged? m_variable? nowhere? m_copied m_pushed? m_tailt"},
	    {{7}, 1, "m_seven m_merged? m_variable? nowhere? m_pushed?"},
	    {{5, 7}, 2, "m_five m_seven m_merged m_variable? nowhere? m_copied m_pushed? m_tailt"},
	    {{0}, 1, "m_zero m_variable? nowhere? m_pushed?"},
	    {{-1}, 1, "m_minus m_wide_minus m_variable? nowhere? m_pushed?"},
	    {{0xffffffff}, 1, "m_minus m_wide_minus m_variable? nowhere? m_pushed?"},
	    {{0x100000005}, 1, "m_high m_variable? nowhere? m_pushed?"},
	    {{99}, 1, "m_variable? nowhere? m_pushed?"},
	};
	struct indexed indexed = open_indexed("numbers.so", "numbers.so");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct xref_query query = {.callee = sample_addr(indexed.elf, "take"),
					   .numbers = cases[i].numbers,
					   .number_cnt = cases[i].count};
		struct xref_site *sites;
		size_t count;
		char err[256] = "", got[256] = "";
		int ret = xref_sites(indexed.xref, &query, &sites, &count, err);

		for (size_t k = 0; k < count; k++) {
			const char *name = "nowhere";

			for (size_t m = 0; marks[m]; m++)
				if (sample_addr(indexed.elf, marks[m]) == sites[k].insn.addr)
					name = marks[m];
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%s%s", k ? " " : "", name,
				 sites[k].is_decided ? "" : "?", sites[k].is_tail ? "t" : "");
		}
		if (ret || strcmp(got, cases[i].want) != 0)
			fail_msg("%zu: got %d \"%s\" (%s), want \"%s\"", i, ret, got, err, cases[i].want);
		free(sites);
	}
	close_indexed(&indexed);
}

/* A callee that nothing but other numbers reaches. */
static void test_no_number(void **state)
{
	struct indexed indexed = open_indexed("numbers.so", "numbers.so");
	int64_t number = 1;
	struct xref_query query = {.callee = sample_addr(indexed.elf, "n_plain"), .numbers = &number, .number_cnt = 1};
	struct xref_site *sites;
	size_t count;
	char err[256] = "";

	(void)state;
	assert_int_equal(xref_sites(indexed.xref, &query, &sites, &count, err), -ENOENT);
	assert_string_equal(err, "nothing calls the function");
	query.arg = 6;
	assert_int_equal(xref_sites(indexed.xref, &query, &sites, &count, err), -EINVAL);
	close_indexed(&indexed);
}

/* ---- arm64 */

static void test_arm64(void **state)
{
	static const struct uses_case cases[] = {
	    {{"only one"}, {0}, 0, "used_once"},           {{"shared"}, {0}, -ENOTUNIQ, NULL},
	    {{"shared", "second"}, {0}, 0, "used_shared"}, {{"shared"}, {"second"}, 0, "used_other"},
	    {{"no such text"}, {0}, -ENOENT, NULL},
	};
	static const struct table_case tables[] = {
	    {"first driver", 2, 0, "first_serve"},
	    {"second driver", 1, 0, "used_once"},
	    {"second driver", 2, 0, "used_shared"},
	    {"first driver", 1, -ENOENT, NULL},
	};
	static const char *const files[] = {"arm64-pie", "arm64-relr", "arm64-fixed"};

	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		struct indexed indexed = open_stripped(files[f]);

		check_uses(files[f], &indexed, cases, sizeof(cases) / sizeof(*cases));
		check_tables(files[f], &indexed, tables, sizeof(tables) / sizeof(*tables));
		close_indexed(&indexed);
	}
}

/* Words as an assembler writes them, all at 0x10000. */
static void test_arm64_decode(void **state)
{
	enum { PAGE_IN_X1 = 0x12000 };
	static const struct {
		uint32_t word;
		enum arm64_kind kind;
		uint64_t target, constant;
		bool forgets_x1;
	} cases[] = {
	    {0x94000002, ARM64_CALL, 0x10008, 0, true},    /* bl .+8 */
	    {0x97ffffff, ARM64_CALL, 0xfffc, 0, true},     /* bl .-4 */
	    {0x14000002, ARM64_JUMP, 0x10008, 0, false},   /* b .+8 */
	    {0x54000040, ARM64_BRANCH, 0x10008, 0, false}, /* b.eq .+8 */
	    {0xb4000041, ARM64_BRANCH, 0x10008, 0, false}, /* cbz x1, .+8 */
	    {0x35ffffe1, ARM64_BRANCH, 0xfffc, 0, false},  /* cbnz w1, .-4 */
	    {0x36180041, ARM64_BRANCH, 0x10008, 0, false}, /* tbz w1, #3, .+8 */
	    {0x37ffffe1, ARM64_BRANCH, 0xfffc, 0, false},  /* tbnz w1, #31, .-4 */
	    {0x91004020, ARM64_PLAIN, 0, 0x12010, false},  /* add x0, x1, #16 */
	    {0x91404020, ARM64_PLAIN, 0, 0x22000, false},  /* add x0, x1, #16, lsl #12 */
	    {0x91004040, ARM64_PLAIN, 0, 0, false},        /* add x0, x2, #16: not known */
	    {0x11004020, ARM64_PLAIN, 0, 0, false},        /* add w0, w1, #16 */
	    {0x10000040, ARM64_PLAIN, 0, 0x10008, false},  /* adr x0, .+8 */
	    {0x70ffffe0, ARM64_PLAIN, 0, 0xffff, false},   /* adr x0, .-1 */
	    {0x10000041, ARM64_PLAIN, 0, 0x10008, false},  /* adr x1, .+8 */
	    {0xaa0203e1, ARM64_PLAIN, 0, 0, true},         /* mov x1, x2 */
	    {0xaa0103e2, ARM64_PLAIN, 0, 0, false},        /* mov x2, x1 */
	    {0xf9400441, ARM64_PLAIN, 0, 0, true},         /* ldr x1, [x2, #8] */
	    {0xf9000441, ARM64_PLAIN, 0, 0, false},        /* str x1, [x2, #8] */
	    {0xf8008441, ARM64_PLAIN, 0, 0, false},        /* str x1, [x2], #8 */
	    {0xf8008422, ARM64_PLAIN, 0, 0, true},         /* str x2, [x1], #8 */
	    {0xb9800441, ARM64_PLAIN, 0, 0, true},         /* ldrsw x1, [x2, #4] */
	    {0xa9400443, ARM64_PLAIN, 0, 0, true},         /* ldp x3, x1, [x2] */
	    {0xa9000443, ARM64_PLAIN, 0, 0, false},        /* stp x3, x1, [x2] */
	    {0xa8810823, ARM64_PLAIN, 0, 0, true},         /* stp x3, x2, [x1], #16 */
	    {0x3dc00041, ARM64_PLAIN, 0, 0, false},        /* ldr q1, [x2] */
	    {0xd63f0040, ARM64_PLAIN, 0, 0, true},         /* blr x2 */
	    {0xd503201f, ARM64_PLAIN, 0, 0, false},        /* nop */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct arm64_registers registers = {0};
		struct arm64_insn page = arm64_decode(0xd0000001, 0x10000, &registers); /* adrp x1, .+0x2000 */
		struct arm64_insn insn;

		assert_false(page.has_constant);
		assert_int_equal(registers.values[1], PAGE_IN_X1);
		insn = arm64_decode(cases[i].word, 0x10000, &registers);
		if (insn.kind != cases[i].kind || insn.target != cases[i].target ||
		    insn.constant != cases[i].constant || insn.has_constant != (cases[i].constant != 0) ||
		    !(registers.known & 2) != cases[i].forgets_x1)
			fail_msg("%zu: %#x: kind %d, target %#llx, constant %#llx, known %#x", i, cases[i].word,
				 insn.kind, (unsigned long long)insn.target, (unsigned long long)insn.constant,
				 registers.known);
	}
}

/* ---- separate debug files */

static char root_dir[] = "/tmp/test-recipes-XXXXXX";

static void make_dirs(const char *path)
{
	char part[512];

	for (const char *slash = strchr(path + strlen(root_dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		assert_true(!mkdir(part, 0755) || errno == EEXIST);
	}
}

/* put - a file of these bytes at `path` below the root; "" nothing */
static void put(const char *path, const void *data, size_t size)
{
	char full[512];
	FILE *file;

	if (!*path)
		return;
	snprintf(full, sizeof(full), "%s%s", root_dir, path);
	make_dirs(full);
	file = fopen(full, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
}

static void take_away(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root_dir, path);
	if (*path)
		assert_int_equal(unlink(full), 0);
}

static void no_damage(unsigned char *data, size_t size)
{
	(void)size;
	(void)data;
}
static void other_id(unsigned char *data, size_t size)
{
	unsigned char *note = memmem(data, size, "\3\0\0\0GNU", 8); /* type and name; the id follows */

	assert_non_null(note);
	note[8]++;
}
static void no_magic(unsigned char *data, size_t size)
{
	(void)size;
	data[0] = 0;
}
static void many_sections(unsigned char *data, size_t size)
{
	(void)size;
	((Elf64_Ehdr *)(void *)data)->e_shnum = 0xffff;
}
static void far_sections(unsigned char *data, size_t size)
{
	(void)size;
	((Elf64_Ehdr *)(void *)data)->e_shoff = UINT64_MAX - 8;
}
static Elf64_Shdr *symtab(unsigned char *data)
{
	Elf64_Shdr *sh = (void *)(data + ((Elf64_Ehdr *)(void *)data)->e_shoff);

	while (sh->sh_type != SHT_SYMTAB)
		sh++;
	return sh;
}
static void no_symtab(unsigned char *data, size_t size)
{
	(void)size;
	symtab(data)->sh_type = SHT_PROGBITS;
}
static void huge_symtab(unsigned char *data, size_t size)
{
	(void)size;
	symtab(data)->sh_size = UINT64_MAX - 7;
}
static void long_symtab(unsigned char *data, size_t size)
{
	(void)size;
	symtab(data)->sh_size = 1 << 20;
}
static void wrong_link(unsigned char *data, size_t size)
{
	(void)size;
	symtab(data)->sh_link = 0xffff;
}
static void wrong_strings(unsigned char *data, size_t size)
{
	(void)size;
	symtab(data)->sh_link = 1;
}
static void far_names(unsigned char *data, size_t size)
{
	(void)size;
	Elf64_Shdr *sh = symtab(data);
	Elf64_Sym *sym = (void *)(data + sh->sh_offset);

	for (size_t i = 0; i < sh->sh_size / sizeof(*sym); i++)
		sym[i].st_name = 0xffffffff;
}

static void test_debug(void **state)
{
#define BY_LINK_1 "/usr/bin/recipes.debug"
#define BY_LINK_2 "/usr/bin/.debug/recipes.debug"
#define BY_LINK_3 "/usr/lib/debug/usr/bin/recipes.debug"
#define BY_ID     "id" /* /usr/lib/debug/.build-id/... */
	static const struct {
		const char *file, *at;
		void (*damage)(unsigned char *data, size_t size);
		int ret;
		bool is_found; /* the symbol */
		const char *why;
	} cases[] = {
	    {"recipes-plain-stripped", "", no_damage, -ENOENT, false, ""},
	    {"recipes-plain-stripped", BY_ID, no_damage, 0, true, ".build-id/"},
	    {"recipes-linked", BY_ID, no_damage, 0, true, ".build-id/"},
	    {"recipes-plain-stripped", BY_LINK_1, no_damage, -ENOENT, false, ""}, /* it has no link */
	    {"recipes-linked", BY_LINK_1, no_damage, 0, true, BY_LINK_1},
	    {"recipes-linked", BY_LINK_2, no_damage, 0, true, BY_LINK_2},
	    {"recipes-linked", BY_LINK_3, no_damage, 0, true, BY_LINK_3},
	    {"recipes-linked", BY_LINK_3, no_magic, -EBADMSG, false, "checksum"},
	    {"recipes-linked", BY_LINK_3, far_names, -EBADMSG, false, "checksum"},
	    {"recipes-linked", BY_ID, other_id, -EBADMSG, false, "build id"},
	    {"recipes-linked", BY_ID, no_magic, -EBADMSG, false, "broken"},
	    {"recipes-linked", BY_ID, many_sections, -EBADMSG, false, "broken"},
	    {"recipes-linked", BY_ID, far_sections, -EBADMSG, false, "broken"},
	    {"recipes-linked", BY_ID, no_symtab, -EBADMSG, false, "no symbols"},
	    {"recipes-linked", BY_ID, huge_symtab, -EFBIG, false, "too large"},
	    {"recipes-linked", BY_ID, long_symtab, -EBADMSG, false, "broken"},
	    {"recipes-linked", BY_ID, wrong_link, -EBADMSG, false, "broken"},
	    {"recipes-linked", BY_ID, wrong_strings, -EBADMSG, false, "broken"},
	    {"recipes-linked", BY_ID, far_names, 0, false, ".build-id/"},
	};
	int root_fd;

	(void)state;
	assert_non_null(mkdtemp(root_dir));
	root_fd = open(root_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct elf_image *elf = sample_open(cases[i].file), *names = sample_open("recipes-plain");
		struct elf_symbol symbol = {0};
		char text[256], id_path[256], id[64];
		const char *at = cases[i].at;
		size_t size;
		unsigned char *data = sample_read("recipes.debug", &size);
		int ret;

		snprintf(id, sizeof(id), "%s", elf_build_id(elf));
		snprintf(id_path, sizeof(id_path), "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
		if (!strcmp(at, BY_ID))
			at = id_path;
		cases[i].damage(data, size);
		put(at, data, size);
		ret = elf_debug_find(elf, root_fd, "/usr/bin/recipes-plain", getuid(), text);
		if (ret != cases[i].ret || !strstr(text, cases[i].why))
			fail_msg("%zu: got %d (%s), want %d (%s)", i, ret, text, cases[i].ret, cases[i].why);
		ret = elf_symbol(elf, "used_cold.cold", &symbol);
		assert_int_equal(!ret, cases[i].is_found);
		if (!ret)
			assert_int_equal(symbol.addr, sample_addr(names, "used_cold.cold"));
		assert_int_equal(elf_symbol(elf, "used_cold", &symbol), 0); /* of .dynsym, in any case */
		take_away(at);
		free(data);
		elf_free(&elf);
		elf_free(&names);
	}
	close(root_fd);
}

/* What is there, but no debug file: nothing is opened that could have side effects, or believed that others wrote. */
static void test_debug_refused(void **state)
{
	struct elf_image *elf = sample_open("recipes-linked");
	char path[512], text[256], full[1024];
	size_t size;
	unsigned char *data = sample_read("recipes.debug", &size);
	int root_fd = open(root_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", elf_build_id(elf),
		 elf_build_id(elf) + 2);
	snprintf(full, sizeof(full), "%s%s", root_dir, path);
	make_dirs(full);
	assert_int_equal(mkfifo(full, 0644), 0);
	assert_int_equal(elf_debug_find(elf, root_fd, "/usr/bin/recipes-plain", getuid(), text), -ENOENT);
	unlink(full);
	assert_int_equal(symlink("../../../../../../../../../../../../../../etc/passwd", full), 0);
	assert_int_equal(elf_debug_find(elf, root_fd, "/usr/bin/recipes-plain", getuid(), text), -ENOENT);
	unlink(full);
	put(path, data, size);
	if (!getuid()) { /* only root can give a file away */
		assert_int_equal(chown(full, 12345, 12345), 0);
		assert_int_equal(elf_debug_find(elf, root_fd, "/usr/bin/recipes-plain", 0, text), -EPERM);
		assert_int_equal(elf_debug_find(elf, root_fd, "/usr/bin/recipes-plain", 12345, text), 0);
	}
	unlink(full);
	close(root_fd);
	free(data);
	elf_free(&elf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_uses),         cmocka_unit_test(test_candidates),
	    cmocka_unit_test(test_no_bounds),    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_tables),       cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_data_symbols), cmocka_unit_test(test_stubs),
	    cmocka_unit_test(test_numbers),      cmocka_unit_test(test_no_number),
	    cmocka_unit_test(test_arm64),        cmocka_unit_test(test_arm64_decode),
	    cmocka_unit_test(test_debug),        cmocka_unit_test(test_debug_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
