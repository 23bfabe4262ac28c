/* SPDX-License-Identifier: Apache-2.0 */
/* function.c - reads how functions are found: [function.*]. */
#include <string.h>

#include "base/arena.h"
#include "catalog/server.h"

#define SIZE_MAX_BYTES (1 << 30)
#define TABLE_SLOTS    64

/* read_items - the values of all `count` keys of a table that must have them */
static int read_items(struct reader *reader, const struct toml_node *node, const char *const *keys, size_t count,
		      const struct toml_node **items)
{
	int ret = read_keys(reader, node, keys, count);

	for (size_t i = 0; !ret && i < count; i++)
		if (!(items[i] = toml_get(node, keys[i])))
			ret = fail_missing(reader, node, keys[i]);
	return ret;
}

/* read_vote - { arg = 1, min = 3, texts = [...] } */
static int read_vote(struct reader *reader, const struct toml_node *node, struct function_def *function)
{
	static const char *const keys[] = {"arg", "min", "texts"};
	const struct toml_node *items[3];
	struct string_array texts;
	int64_t arg, min;
	int ret = read_items(reader, node, KEYS(keys), items);

	if (!ret)
		ret = read_integer(reader, items[0], 0, 5, &arg);
	if (!ret)
		ret = read_texts(reader, items[2], TEXT_LENGTH, &texts);
	if (!ret)
		ret = read_integer(reader, items[1], 1, (int64_t)texts.count, &min);
	if (ret)
		return ret;
	function->vote_arg = (int)arg;
	function->vote_min = (unsigned)min;
	function->vote_texts = texts.items;
	function->vote_text_cnt = texts.count;
	return 0;
}

/* read_uses - { texts = [...], without = [...] } */
static int read_uses(struct reader *reader, const struct toml_node *node, struct function_def *function)
{
	static const char *const keys[] = {"texts", "without"};
	struct string_array texts, without = {0};
	const struct toml_node *items, *none;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	items = toml_get(node, "texts");
	none = toml_get(node, "without");
	if (!items)
		return fail_missing(reader, node, "texts");
	ret = read_texts(reader, items, TEXT_LENGTH, &texts);
	if (!ret && none)
		ret = read_texts(reader, none, TEXT_LENGTH, &without);
	for (size_t i = 0; !ret && i < without.count; i++)
		for (size_t k = 0; !ret && k < texts.count; k++)
			if (!strcmp(without.items[i], texts.items[k]))
				ret = fail_value(reader, none, "no function both uses and lacks %s",
						 shown(reader, texts.items[k]));
	if (ret)
		return ret;
	function->use_texts = texts.items;
	function->use_text_cnt = texts.count;
	function->without_texts = without.items;
	function->without_text_cnt = without.count;
	return 0;
}

/* read_table - { text = "...", slot = 6 } */
static int read_table(struct reader *reader, const struct toml_node *node, struct function_def *function)
{
	static const char *const keys[] = {"text", "slot"};
	const struct toml_node *items[2];
	int64_t slot;
	int ret = read_items(reader, node, KEYS(keys), items);

	if (!ret)
		ret = read_text(reader, items[0], TEXT_LENGTH, &function->table_text);
	if (!ret)
		ret = read_integer(reader, items[1], 1, TABLE_SLOTS, &slot);
	if (!ret)
		function->table_slot = (unsigned)slot;
	return ret;
}

/* read_size - [MIN, MAX] */
static int read_size(struct reader *reader, const struct toml_node *node, struct function_def *function)
{
	int64_t min, max;
	int ret = read_kind(reader, node, TOML_ARRAY);

	if (!ret && node->count != 2)
		ret = fail_value(reader, node, "two numbers are wanted here: the least and the most bytes");
	if (!ret)
		ret = read_integer(reader, &node->items[0], 1, SIZE_MAX_BYTES, &min);
	if (!ret)
		ret = read_integer(reader, &node->items[1], min, SIZE_MAX_BYTES, &max);
	if (ret)
		return ret;
	function->size_min = (uint64_t)min;
	function->size_max = (uint64_t)max;
	return 0;
}

/* read_recorded - { BUILDID = ADDRESS, ... } */
static int read_recorded(struct reader *reader, const struct toml_node *node, struct function_def *function)
{
	int ret = read_kind(reader, node, TOML_TABLE);

	if (!ret && (!node->count || node->count > LIST_MAX))
		ret = fail_value(reader, node, "1 to %d builds are wanted here, not %zu", LIST_MAX, node->count);
	if (ret)
		return ret;
	function->recorded = arena_array(reader->mem, node->count, sizeof(*function->recorded));
	for (size_t i = 0; !ret && i < node->count; i++) {
		const struct toml_node *item = &node->items[i];
		int64_t addr;

		if (strlen(item->key) < 16 || strspn(item->key, "0123456789abcdef") != strlen(item->key))
			return fail_key(reader, item, "%s is no build id: 16 or more digits of 0-9a-f",
					shown(reader, item->key));
		ret = read_integer(reader, item, 1, INT64_MAX, &addr);
		if (!ret)
			function->recorded[function->recorded_cnt++] = (struct recorded_def){item->key, (uint64_t)addr};
	}
	return ret;
}

int read_function(struct server_tables *tables, const struct toml_node *node)
{
	static const struct {
		const char *key;
		int (*read)(struct reader *reader, const struct toml_node *node, struct function_def *function);
	} parts[] = {{"vote", read_vote},
		     {"uses", read_uses},
		     {"table", read_table},
		     {"size", read_size},
		     {"recorded", read_recorded}};
	static const char *const keys[] = {"import", "symbol", "vote", "uses", "table", "size", "recorded"};
	struct function_def *function = &tables->functions[tables->function_cnt++];
	struct reader *reader = tables->reader;
	const struct toml_node *symbol, *size;
	struct string_array symbols = {0};
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	*function = (struct function_def){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	symbol = toml_get(node, "symbol");
	size = toml_get(node, "size");
	ret = read_optional(reader, toml_get(node, "import"), TEXT_LENGTH, &function->import);
	if (!ret && symbol)
		ret = read_texts(reader, symbol, TEXT_LENGTH, &symbols);
	function->symbols = symbols.items;
	function->symbol_cnt = symbols.count;
	for (size_t i = 0; !ret && i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct toml_node *part = toml_get(node, parts[i].key);

		if (part)
			ret = parts[i].read(reader, part, function);
	}
	if (ret)
		return ret;
	if (size && !function->vote_text_cnt && !function->use_text_cnt && !function->table_text)
		return fail_key(reader, size, "\"size\" is there only with \"vote\", \"uses\" or \"table\"");
	if (!function->import && !symbol && !function->vote_text_cnt && !function->use_text_cnt &&
	    !function->table_text)
		return fail_missing(reader, node, "import\", \"symbol\", \"vote\", \"uses\" or \"table");
	return 0;
}

int find_function(struct server_tables *tables, const struct toml_node *node, const struct function_def **out)
{
	struct nearest nearest;
	int ret = read_kind(tables->reader, node, TOML_STRING);

	if (ret)
		return ret;
	nearest_init(&nearest, node->string);
	for (size_t i = 0; i < tables->function_cnt; i++) {
		*out = &tables->functions[i];
		if (!strcmp((*out)->name, node->string))
			return 0;
		nearest_offer(&nearest, (*out)->name);
	}
	return fail_value(tables->reader, node, "unknown function %s%s", shown(tables->reader, node->string),
			  hint(tables->reader, &nearest));
}
