// SPDX-License-Identifier: Apache-2.0
#include "base/toml.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

// Errors come back as values: nothing here throws over the border to C.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

extern "C" {
#include "base/arena.h"
}

namespace
{

constexpr int depth_max = 32;
constexpr const char *too_deep = "nested too deeply";

struct reader {
	struct arena *mem;
	const char *bad; // what is wrong, nullptr while all is well
	unsigned bad_line, bad_col;

	void fail(const char *why, const toml::source_position &at)
	{
		if (bad)
			return;
		bad = why;
		bad_line = at.line;
		bad_col = at.column;
	}

	int refuse(const char *file, char *err, size_t err_size) const
	{
		snprintf(err, err_size, "%s:%u:%u: %s", file, bad_line, bad_col, bad);
		return -EINVAL;
	}

	const char *text(std::string_view s, const toml::source_position &at)
	{
		if (s.find('\0') != std::string_view::npos)
			fail("a NUL character is not allowed here", at);
		return arena_strndup(mem, s.data(), s.size());
	}

	void convert(toml_node &out, const toml::node &in, int depth);
	void convert_table(toml_node &out, const toml::table &in, int depth);
	void convert_array(toml_node &out, const toml::array &in, int depth);
};

void reader::convert_table(toml_node &out, const toml::table &in, int depth)
{
	auto *items = static_cast<toml_node *>(arena_array(mem, in.size(), sizeof(toml_node)));
	size_t n = 0;

	for (auto &&[key, value] : in) {
		const auto &at = key.source().begin;

		items[n].key = text(key.str(), at);
		items[n].key_line = at.line;
		items[n].key_col = at.column;
		convert(items[n++], value, depth + 1);
	}
	// toml++ keeps tables sorted by name; messages and lists should follow the file.
	std::stable_sort(items, items + n, [](const toml_node &a, const toml_node &b) {
		return a.key_line != b.key_line ? a.key_line < b.key_line : a.key_col < b.key_col;
	});
	out.items = items;
	out.count = n;
}

void reader::convert_array(toml_node &out, const toml::array &in, int depth)
{
	auto *items = static_cast<toml_node *>(arena_array(mem, in.size(), sizeof(toml_node)));
	size_t n = 0;

	for (auto &&value : in)
		convert(items[n++], value, depth + 1);
	out.items = items;
	out.count = n;
}

void reader::convert(toml_node &out, const toml::node &in, int depth)
{
	const auto &at = in.source().begin;

	out.line = at.line;
	out.col = at.column;
	out.kind = TOML_OTHER;
	if (depth > depth_max) {
		fail(too_deep, at);
	} else if (const auto *table = in.as_table()) {
		out.kind = TOML_TABLE;
		convert_table(out, *table, depth);
	} else if (const auto *array = in.as_array()) {
		out.kind = TOML_ARRAY;
		convert_array(out, *array, depth);
	} else if (const auto *string = in.as_string()) {
		out.kind = TOML_STRING;
		out.string = text(string->get(), at);
	} else if (const auto *integer = in.as_integer()) {
		out.kind = TOML_INTEGER;
		out.integer = integer->get();
	} else if (const auto *number = in.as_floating_point()) {
		out.kind = TOML_FLOAT;
		out.number = number->get();
	} else if (const auto *boolean = in.as_boolean()) {
		out.kind = TOML_BOOL;
		out.boolean = boolean->get();
	}
}

// skip_string - the offset behind the string whose opening quote stands at `at`
size_t skip_string(std::string_view text, size_t at)
{
	char quote = text[at];
	bool is_long = text.substr(at, 3) == std::string(3, quote);

	for (at += is_long ? 3 : 1; at < text.size(); at++) {
		if (quote == '"' && text[at] == '\\')
			at++;
		else if (!is_long && (text[at] == quote || text[at] == '\n'))
			return text[at] == quote ? at + 1 : at;
		else if (is_long && text.substr(at, 3) == std::string(3, quote))
			return at + 3;
	}
	return text.size();
}

// find_trap - the two things on which toml++ 3.3 does not end well are refused before it sees them; what is wrong and
// its offset, or nullptr.
// A dotted key of any number of parts becomes nested tables, which it frees by recursion (it limits only how deeply
// values nest): 200 kB of "a.a.a..." end the process. And outside of strings and comments the letters U+00A1..U+0499
// lead to an undefined branch of is_non_ascii_horizontal_whitespace(); TOML allows only ASCII there.
const char *find_trap(std::string_view text, size_t &at)
{
	constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
	int dots = 0;

	for (at = text.substr(0, 3) == byte_order_mark ? 3 : 0; at < text.size(); at++) {
		char c = text[at];

		if (c == '"' || c == '\'')
			at = skip_string(text, at) - 1;
		else if (c == '#')
			at = std::min(text.find('\n', at), text.size()) - 1;
		else if (c & 0x80)
			return "only strings and comments may have characters outside of ASCII";
		else if (c == '.' && ++dots >= depth_max)
			return too_deep;
		else if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos)
			dots = 0;
	}
	return nullptr;
}

toml::source_position place_of(std::string_view text, size_t at)
{
	auto before = text.substr(0, at);
	auto line = before.substr(before.rfind('\n') + 1); // npos + 1 is 0
	auto is_first_byte = [](char c) { return (c & 0xc0) != 0x80; };

	return {static_cast<uint32_t>(1 + std::count(before.begin(), before.end(), '\n')),
		static_cast<uint32_t>(1 + std::count_if(line.begin(), line.end(), is_first_byte))};
}

} // namespace

extern "C" int toml_parse(const struct toml_node **out, const char *file, const char *text, size_t len,
			  struct arena *mem, char *err, size_t err_size)
{
	const std::string_view all(text, len);
	reader r{mem, nullptr, 0, 0};
	size_t at;

	if (const char *why = find_trap(all, at)) {
		r.fail(why, place_of(all, at));
		return r.refuse(file, err, err_size);
	}
	toml::parse_result parsed = toml::parse(all);
	if (!parsed) {
		std::string why(parsed.error().description());

		r.fail(why.c_str(), parsed.error().source().begin);
		return r.refuse(file, err, err_size);
	}
	auto *root = static_cast<toml_node *>(arena_alloc(mem, sizeof(toml_node)));
	r.convert(*root, parsed.table(), 0);
	if (r.bad)
		return r.refuse(file, err, err_size);
	*out = root;
	return 0;
}

extern "C" const struct toml_node *toml_get(const struct toml_node *table, const char *key)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->items[i].key && !strcmp(table->items[i].key, key))
			return &table->items[i];
	return nullptr;
}

extern "C" const char *toml_kind_name(enum toml_kind kind)
{
	switch (kind) {
	case TOML_TABLE:
		return "a table";
	case TOML_ARRAY:
		return "an array";
	case TOML_STRING:
		return "a string";
	case TOML_INTEGER:
		return "an integer";
	case TOML_FLOAT:
		return "a number";
	case TOML_BOOL:
		return "true or false";
	case TOML_OTHER:
		break;
	}
	return "a date or time";
}
