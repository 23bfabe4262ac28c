/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sample.h"

static void test_properties(void **state)
{
	static const struct {
		const char *file, *build_id; /* NULL: some other one */
		bool is_fixed;
	} cases[] = {
	    {"probes.so", "0123456789abcdef", false},
	    {"fixed", NULL, true},
	    {"daemon-fixed", NULL, true},
	    {"daemon-static", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct elf_image *elf = sample_open(cases[i].file);

		assert_int_equal(elf_machine(elf), EM_X86_64);
		assert_int_equal(elf_is_fixed(elf), cases[i].is_fixed);
		if (cases[i].build_id)
			assert_string_equal(elf_build_id(elf), cases[i].build_id);
		elf_free(&elf);
		assert_null(elf);
	}
}

static void test_symbols(void **state)
{
	static const struct {
		const char *file, *name;
		int ret;
		uint64_t size;
	} cases[] = {
	    {"probes.so", "n_push", 0, 3},
	    {"probes.so", "l_none", 0, 3},
	    {"probes.so", "n_push_", -ENOENT, 0},
	    {"probes.so", "n_pus", -ENOENT, 0},
	    {"probes.so", "", -ENOENT, 0},
	    {"probes.so", "variable", -ENOENT, 0},      /* no code */
	    {"probes.so", "resolver_user", -ENOENT, 0}, /* an IFUNC */
	    {"calls.so", "report", -ENOENT, 0},         /* not defined here */
	    {"calls.so", "reply", 0, 1},                /* hidden: only in .symtab */
	    {"calls-stripped.so", "reply", -ENOENT, 0},
	    {"calls-stripped.so", "c_plain", 0, 27},
	    {"daemon-plain", "main", -ENOENT, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct elf_image *elf = sample_open(cases[i].file);
		struct elf_symbol symbol = {0};
		int ret = elf_symbol(elf, cases[i].name, &symbol);

		if (ret != cases[i].ret || symbol.size != cases[i].size)
			fail_msg("%s %s: got %d, size %u", cases[i].file, cases[i].name, ret, (unsigned)symbol.size);
		elf_free(&elf);
	}
}

/* The call at m_plain goes to the stub of `report`, the one at m_slot through its slot: the instructions tell. */
static void test_imports(void **state)
{
	struct elf_image *elf = sample_open("calls.so"), *bare = sample_open("calls-stripped.so");
	uint64_t plain = sample_addr(elf, "m_plain"), slot = sample_addr(elf, "m_slot"), got;
	int32_t distance;

	(void)state;
	memcpy(&distance, elf_bytes(elf, plain + 1, 4), 4);
	assert_int_equal(elf_import_stub(elf, "report", &got), 0);
	assert_int_equal(got, plain + 5 + (uint64_t)(int64_t)distance);
	memcpy(&distance, elf_bytes(elf, slot + 2, 4), 4);
	assert_int_equal(elf_import_slot(bare, "report", &got), 0);
	assert_int_equal(got, slot + 6 + (uint64_t)(int64_t)distance);
	assert_int_equal(elf_import_stub(elf, "repor", &got), -ENOENT);
	assert_int_equal(elf_import_slot(elf, "reply", &got), -ENOENT);
	elf_free(&elf);
	elf_free(&bare);
}

/* Each PLT variant has its stubs; -fno-plt has slots only. */
static void test_plt_variants(void **state)
{
	static const struct {
		const char *file;
		int stub_ret, slot_ret;
	} cases[] = {
	    {"daemon-plain", 0, 0}, {"daemon-cet", 0, 0},   {"daemon-noplt", -ENOENT, 0},
	    {"daemon-relr", 0, 0},  {"daemon-fixed", 0, 0}, {"daemon-static", -ENOENT, -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct elf_image *elf = sample_open(cases[i].file);
		uint64_t addr;

		if (elf_import_stub(elf, "puts", &addr) != cases[i].stub_ret ||
		    elf_import_slot(elf, "puts", &addr) != cases[i].slot_ret)
			fail_msg("%s: stub or slot of puts", cases[i].file);
		elf_free(&elf);
	}
}

static void check_functions(const struct elf_image *elf, const char *const *names, const struct elf_image *symbols)
{
	size_t count;
	const struct elf_range *all = elf_functions(elf, &count);

	for (size_t i = 1; i < count; i++)
		assert_true(all[i - 1].addr + all[i - 1].size <= all[i].addr);
	for (; *names; names++) {
		struct elf_symbol symbol;
		struct elf_range range;

		assert_int_equal(elf_symbol(symbols, *names, &symbol), 0);
		assert_int_equal(elf_function_at(elf, symbol.addr, &range), 0);
		assert_int_equal(range.addr, symbol.addr);
		assert_int_equal(range.size, symbol.size);
		assert_int_equal(elf_function_at(elf, symbol.addr + symbol.size - 1, &range), 0);
		assert_int_equal(range.addr, symbol.addr);
	}
}

static void test_functions(void **state)
{
	static const char *const names[] = {"reply", "c_plain", "c_hot", "c_hot_cold", "c_votes", NULL};
	struct elf_image *elf = sample_open("calls.so"), *bare = sample_open("calls-stripped.so");
	struct elf_range range;

	(void)state;
	check_functions(elf, names, elf);
	check_functions(bare, names, elf);
	assert_int_equal(elf_function_at(elf, 0, &range), -ENOENT);
	elf_free(&elf);
	elf_free(&bare);
}

static void test_strings_and_bytes(void **state)
{
	struct elf_image *elf = sample_open("calls.so");
	struct elf_symbol symbol;
	struct elf_range text;
	uint64_t offset;

	(void)state;
	assert_int_equal(elf_symbol(elf, "c_plain", &symbol), 0);
	assert_null(elf_string(elf, symbol.addr)); /* code */
	assert_null(elf_string(elf, 0x7fffffff));
	assert_null(elf_bytes(elf, symbol.addr, SIZE_MAX));
	assert_null(elf_bytes(elf, UINT64_MAX, 1));
	assert_non_null(elf_bytes(elf, symbol.addr, symbol.size));
	assert_int_equal(elf_offset(elf, symbol.addr, &offset), 0);
	assert_int_equal(elf_offset(elf, 0, &offset), -ENOENT); /* the headers are no code */
	assert_true(elf_text(elf, 0, &text) >= 2);
	elf_free(&elf);
}

/* ---- files that are broken, or lie */

static Elf64_Ehdr *head_of(unsigned char *data)
{
	return (void *)data;
}

static Elf64_Phdr *program_header(unsigned char *data, uint32_t type)
{
	Elf64_Phdr *ph = (void *)(data + head_of(data)->e_phoff);

	while (ph->p_type != type)
		ph++;
	return ph;
}

static Elf64_Shdr *section(unsigned char *data, const char *name)
{
	Elf64_Shdr *sh = (void *)(data + head_of(data)->e_shoff);
	const char *names = (const char *)data + sh[head_of(data)->e_shstrndx].sh_offset;

	while (strcmp(names + sh->sh_name, name) != 0)
		sh++;
	return sh;
}

static Elf64_Dyn *dynamic(unsigned char *data, int64_t tag)
{
	Elf64_Dyn *dyn = (void *)(data + program_header(data, PT_DYNAMIC)->p_offset);

	while (dyn->d_tag != tag)
		dyn++;
	return dyn;
}

static Elf64_Sym *symbol_entry(unsigned char *data, const char *name)
{
	Elf64_Sym *sym = (void *)(data + section(data, ".dynsym")->sh_offset);
	const char *names = (const char *)data + section(data, ".dynstr")->sh_offset;

	while (strcmp(names + sym->st_name, name) != 0)
		sym++;
	return sym;
}

static void not_elf(unsigned char *data)
{
	data[0] = 'X';
}
static void other_class(unsigned char *data)
{
	data[EI_CLASS] = ELFCLASS32;
}
static void other_machine(unsigned char *data)
{
	head_of(data)->e_machine = EM_386;
}
static void other_type(unsigned char *data)
{
	head_of(data)->e_type = ET_REL;
}
static void far_program_headers(unsigned char *data)
{
	head_of(data)->e_phoff = UINT64_MAX - 8;
}
static void many_program_headers(unsigned char *data)
{
	head_of(data)->e_phnum = 0xffff;
}
static void odd_program_headers(unsigned char *data)
{
	head_of(data)->e_phentsize = 1;
}
static void no_program_headers(unsigned char *data)
{
	head_of(data)->e_phnum = 0;
	head_of(data)->e_shnum = 0;
}
static void large_segment(unsigned char *data)
{
	program_header(data, PT_LOAD)[1].p_filesz = UINT64_MAX;
}
static void high_segment(unsigned char *data)
{
	program_header(data, PT_LOAD)[1].p_vaddr = UINT64_MAX - 1;
}
static void overlapping_segments(unsigned char *data)
{
	Elf64_Phdr *ph = program_header(data, PT_LOAD);

	ph[1].p_vaddr = ph[0].p_vaddr + 1;
}

static void repeated_segment(unsigned char *data) /* could make little of a file look like much */
{
	Elf64_Phdr *ph = program_header(data, PT_LOAD);

	while (ph[1].p_type == PT_LOAD)
		ph++;
	ph->p_offset = 0; /* the last one, so that it overlaps no other in memory */
	ph->p_filesz = head_of(data)->e_shoff;
}

static void no_section_headers(unsigned char *data)
{
	head_of(data)->e_shoff = 0;
	head_of(data)->e_shnum = 0;
}
static void far_section_headers(unsigned char *data)
{
	head_of(data)->e_shoff = UINT64_MAX - 8;
}
static void many_sections(unsigned char *data)
{
	head_of(data)->e_shnum = 0;
	((Elf64_Shdr *)(void *)(data + head_of(data)->e_shoff))->sh_size = UINT64_MAX / 32;
}
static void no_section_names(unsigned char *data)
{
	head_of(data)->e_shstrndx = 0xfff0;
}
static void far_section_names(unsigned char *data)
{
	section(data, ".shstrtab")->sh_offset = UINT64_MAX;
}
static void large_text_section(unsigned char *data)
{
	section(data, ".text")->sh_size = UINT64_MAX;
}
static void far_symtab(unsigned char *data)
{
	section(data, ".symtab")->sh_offset = UINT64_MAX - 7;
}
static void long_symtab(unsigned char *data)
{
	section(data, ".symtab")->sh_size = UINT64_MAX;
}
static void wrong_symtab_link(unsigned char *data)
{
	section(data, ".symtab")->sh_link = 0;
}
static void large_strtab(unsigned char *data)
{
	dynamic(data, DT_STRSZ)->d_un.d_val = UINT64_MAX;
}
static void large_relocations(unsigned char *data)
{
	dynamic(data, DT_RELASZ)->d_un.d_val = UINT64_MAX;
}
static void many_buckets(unsigned char *data)
{
	*(uint32_t *)(void *)(data + section(data, ".gnu.hash")->sh_offset) = 0xffffffff;
}
static void large_bloom(unsigned char *data)
{
	((uint32_t *)(void *)(data + section(data, ".gnu.hash")->sh_offset))[2] = 0xffffffff;
}
static void far_dynamic(unsigned char *data)
{
	program_header(data, PT_DYNAMIC)->p_offset = UINT64_MAX - 7;
}
static void large_symbol(unsigned char *data)
{
	symbol_entry(data, "c_plain")->st_size = UINT64_MAX;
}
static void far_symbol(unsigned char *data)
{
	symbol_entry(data, "c_plain")->st_value = 0x7fffffffffff;
}
static void wrong_symbol_name(unsigned char *data)
{
	symbol_entry(data, "c_plain")->st_name = 0xffffffff;
}

static unsigned char *eh_frame(unsigned char *data)
{
	return data + section(data, ".eh_frame")->sh_offset;
}
static void cyclic_eh_frame(unsigned char *data)
{
	uint32_t *words = (uint32_t *)(void *)eh_frame(data);

	words[1] = 4; /* the first entry, a CIE, becomes a function whose CIE is itself */
}
static void endless_eh_frame(unsigned char *data)
{
	memset(eh_frame(data), 0, section(data, ".eh_frame")->sh_size);
}
static void huge_entry(unsigned char *data)
{
	memset(eh_frame(data), 0xff, 12);
}
static void far_cie(unsigned char *data)
{
	uint32_t *words = (uint32_t *)(void *)(eh_frame(data) + 4 + *(uint32_t *)(void *)eh_frame(data));

	words[1] = 0xfffffff0;
}
static void garbled_eh_frame(unsigned char *data)
{
	memset(eh_frame(data) + 8, 0xee, section(data, ".eh_frame")->sh_size - 8);
}
static void far_eh_frame(unsigned char *data)
{
	Elf64_Phdr *ph = program_header(data, PT_GNU_EH_FRAME);

	((uint32_t *)(void *)(data + ph->p_offset))[1] = 0x7fffffff;
}

/* The program does not trust a file, and makes of a lie at most that something is not found. */
static void test_broken(void **state)
{
	enum { SYMBOL = 1, STUB = 2, LOCAL = 4, FUNCTION = 8, ALL = 15 }; /* what must still be found */
	static const struct {
		const char *what;
		void (*damage)(unsigned char *data);
		int ret, found;
	} cases[] = {
#define CASE(name, ret, found) {#name, name, ret, found}
	    CASE(not_elf, -ENOEXEC, 0),
	    CASE(other_class, -ENOEXEC, 0),
	    CASE(other_machine, -ENOEXEC, 0),
	    CASE(other_type, -ENOEXEC, 0),
	    CASE(far_program_headers, -EBADMSG, 0),
	    CASE(many_program_headers, -EBADMSG, 0),
	    CASE(odd_program_headers, -EBADMSG, 0),
	    CASE(no_program_headers, -EBADMSG, 0),
	    CASE(large_segment, -EBADMSG, 0),
	    CASE(high_segment, -EBADMSG, 0),
	    CASE(overlapping_segments, -EBADMSG, 0),
	    CASE(repeated_segment, -EBADMSG, 0),
	    CASE(no_section_headers, 0, SYMBOL | STUB | FUNCTION),
	    CASE(far_section_headers, 0, SYMBOL | STUB | FUNCTION),
	    CASE(many_sections, 0, SYMBOL | STUB | FUNCTION),
	    CASE(no_section_names, 0, ALL),
	    CASE(far_section_names, 0, ALL),
	    CASE(large_text_section, 0, SYMBOL | STUB | LOCAL | FUNCTION),
	    CASE(far_symtab, 0, SYMBOL | STUB | FUNCTION),
	    CASE(long_symtab, 0, SYMBOL | STUB | FUNCTION),
	    CASE(wrong_symtab_link, 0, SYMBOL | STUB | FUNCTION),
	    CASE(large_strtab, 0, LOCAL | SYMBOL | FUNCTION), /* by .symtab */
	    CASE(large_relocations, 0, SYMBOL | LOCAL | FUNCTION),
	    CASE(many_buckets, 0, ALL),
	    CASE(large_bloom, 0, ALL),
	    CASE(far_dynamic, 0, SYMBOL | LOCAL | FUNCTION),
	    CASE(large_symbol, 0, ALL), /* the one of .symtab is right */
	    CASE(far_symbol, 0, ALL),
	    CASE(wrong_symbol_name, 0, ALL),
	    CASE(cyclic_eh_frame, 0, SYMBOL | STUB | LOCAL),
	    CASE(endless_eh_frame, 0, SYMBOL | STUB | LOCAL),
	    CASE(huge_entry, 0, SYMBOL | STUB | LOCAL),
	    CASE(far_cie, 0, ALL),
	    CASE(garbled_eh_frame, 0, SYMBOL | STUB | LOCAL),
	    CASE(far_eh_frame, 0, SYMBOL | STUB | LOCAL),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t size;
		unsigned char *data = sample_read("calls.so", &size);
		struct elf_image *elf;
		struct elf_symbol symbol;
		struct elf_range range;
		uint64_t addr;
		char err[256] = "";
		int ret, found = 0;

		cases[i].damage(data);
		ret = elf_open_mem(&elf, data, size, err);
		if (ret != cases[i].ret || !err[0] != !ret)
			fail_msg("%s: got %d (%s), want %d", cases[i].what, ret, err, cases[i].ret);
		if (!ret) {
			found |= elf_symbol(elf, "reply", &symbol) ? 0 : LOCAL;
			found |= elf_import_stub(elf, "report", &addr) ? 0 : STUB;
			if (!elf_symbol(elf, "c_plain", &symbol)) {
				found |= SYMBOL;
				if (!elf_function_at(elf, symbol.addr, &range) && range.addr == symbol.addr)
					found |= FUNCTION;
			}
		}
		if (found != cases[i].found)
			fail_msg("%s: found %d, want %d", cases[i].what, found, cases[i].found);
		elf_free(&elf);
		free(data);
	}
}

/* A lie in the only symbol table: the symbol is not there. */
static void test_broken_symbol(void **state)
{
	void (*const damages[])(unsigned char *data) = {large_symbol, far_symbol, wrong_symbol_name};

	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		size_t size;
		unsigned char *data = sample_read("calls-stripped.so", &size);
		struct elf_image *elf;
		struct elf_symbol symbol;
		char err[256];

		damages[i](data);
		assert_int_equal(elf_open_mem(&elf, data, size, err), 0);
		assert_int_equal(elf_symbol(elf, "c_plain", &symbol), -ENOENT);
		assert_int_equal(elf_symbol(elf, "c_far", &symbol), 0);
		elf_free(&elf);
		free(data);
	}
}

/* touch - ask for everything; sanitizers watch */
static void touch(const unsigned char *data, size_t size)
{
	struct elf_image *elf;
	struct elf_symbol symbol;
	struct elf_range range;
	uint64_t addr;
	char err[256];
	int ret = elf_open_mem(&elf, data, size, err);

	if (ret) {
		assert_true(ret == -ENOEXEC || ret == -EBADMSG);
		assert_null(elf);
		return;
	}
	elf_symbol(elf, "reply", &symbol);
	elf_import_stub(elf, "report", &addr);
	elf_import_slot(elf, "report", &addr);
	for (size_t i = 0; i < elf_text(elf, i, &range); i++)
		assert_non_null(elf_bytes(elf, range.addr, range.size));
	elf_free(&elf);
}

static void test_truncated(void **state)
{
	size_t size;
	unsigned char *data = sample_read("calls.so", &size);

	(void)state;
	for (size_t len = 0; len < size; len += len < 2048 ? 1 : 61) {
		unsigned char *part = malloc(len ? len : 1); /* so that a byte too far is seen */

		assert_non_null(part);
		memcpy(part, data, len);
		touch(part, len);
		free(part);
	}
	free(data);
}

static void test_random(void **state)
{
	size_t size;
	unsigned char *data = sample_read("calls-stripped.so", &size), *copy = malloc(size);
	uint64_t random = 1;

	(void)state;
	assert_non_null(copy);
	for (int round = 0; round < 3000; round++) {
		memcpy(copy, data, size);
		for (int i = 0; i < 1 + round % 40; i++) { /* mostly the headers, where a byte says much */
			random = random * 6364136223846793005 + 1442695040888963407;
			copy[(random >> 33) % (i % 2 ? size : 1024)] = (unsigned char)(random >> 56);
		}
		touch(copy, size);
	}
	for (size_t i = 0; i < size; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		copy[i] = (unsigned char)(random >> 56);
	}
	touch(copy, size);
	free(copy);
	free(data);
}

static void test_open_fd(void **state)
{
	struct elf_image *elf;
	char path[512], err[256];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/calls.so", SAMPLES_DIR);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) { /* the position of fd does not matter */
		assert_int_equal(elf_open_fd(&elf, fd, err), 0);
		elf_free(&elf);
	}
	close(fd);

	fd = open(SAMPLES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(elf_open_fd(&elf, fd, err), -EINVAL);
	close(fd);

	assert_int_equal(elf_open_fd(&elf, -1, err), -EINVAL);

	fd = memfd_create("sample", MFD_CLOEXEC);
	assert_int_equal(elf_open_fd(&elf, fd, err), -ENOEXEC); /* empty */
	assert_int_equal(ftruncate(fd, (off_t)ELF_FILE_MAX + 1), 0);
	assert_int_equal(elf_open_fd(&elf, fd, err), -EFBIG);
	assert_null(elf);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_properties), cmocka_unit_test(test_symbols),
	    cmocka_unit_test(test_imports),    cmocka_unit_test(test_plt_variants),
	    cmocka_unit_test(test_functions),  cmocka_unit_test(test_strings_and_bytes),
	    cmocka_unit_test(test_broken),     cmocka_unit_test(test_broken_symbol),
	    cmocka_unit_test(test_truncated),  cmocka_unit_test(test_random),
	    cmocka_unit_test(test_open_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
