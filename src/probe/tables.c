/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - owns the content of the BPF maps: where the specs and rules of each file are, and which number a series,
 * a text or a layout has there. Those numbers are given once and never taken back, so that what is attached and
 * what has been counted stays valid over all later plans. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "probe/parts.h"

static int compare_labels(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void series_init(struct series_entry *entry, const struct plan_series *from, struct arena *mem)
{
	*entry = (struct series_entry){.key = arena_strdup(mem, from->key), .event = from->event};
	entry->label_cnt = from->label_cnt + 1;
	entry->labels = arena_array(mem, entry->label_cnt, sizeof(*entry->labels));
	entry->labels[0] = (struct label){"server", arena_strdup(mem, from->server->name)};
	for (size_t i = 0; i < from->label_cnt; i++)
		entry->labels[i + 1] =
		    (struct label){arena_strdup(mem, from->labels[i].name), arena_strdup(mem, from->labels[i].value)};
	qsort(entry->labels, entry->label_cnt, sizeof(*entry->labels), compare_labels);
}

/* series_number - of this series, made if it is new; or -ENOSPC */
static int series_number(struct probe_set *set, const struct plan_series *from)
{
	for (size_t i = 0; i < set->series_cnt; i++)
		if (!strcmp(set->series[i].key, from->key))
			return (int)i;
	if (set->series_cnt == PROBE_SERIES - PROBE_OWN_SERIES)
		return -ENOSPC;
	set->series = arena_grow(set->mem, set->series, set->series_cnt, &set->series_cap, sizeof(*set->series));
	series_init(&set->series[set->series_cnt], from, set->mem);
	return (int)set->series_cnt++;
}

static int needle_number(struct probe_set *set, const char *text)
{
	__u32 key = (__u32)set->needle_cnt;

	for (size_t i = 0; i < set->needle_cnt; i++)
		if (!strcmp(set->needles[i], text))
			return (int)i;
	if (set->needle_cnt == PROBE_NEEDLES)
		return -ENOSPC;
	strncpy(set->needles[key], text, PROBE_NEEDLE - 1);
	if (bpf_map_update_elem(set->needles_fd, &key, set->needles[key], BPF_ANY))
		return -errno;
	return (int)set->needle_cnt++;
}

static int layout_number(struct probe_set *set, const struct probe_layout *layout)
{
	__u32 key = (__u32)set->layout_cnt;

	for (size_t i = 0; i < set->layout_cnt; i++)
		if (!memcmp(&set->layouts[i], layout, sizeof(*layout)))
			return (int)i;
	if (set->layout_cnt == PROBE_LAYOUTS)
		return -ENOSPC;
	set->layouts[key] = *layout;
	if (bpf_map_update_elem(set->layouts_fd, &key, layout, BPF_ANY))
		return -errno;
	return (int)set->layout_cnt++;
}

/* ---- images */

static int translate_spec(struct probe_set *set, const struct plan *plan, struct probe_spec *spec)
{
	for (int i = spec->first_value; i < spec->value_cnt; i++) {
		struct probe_value *value = &spec->values[i];
		int number;

		switch (value->op) {
		case PROBE_OP_CONTAINS:
			number = needle_number(set, plan->needles[value->key]);
			value->key = (__u64)number;
			break;
		case PROBE_OP_FIELD_STR:
		case PROBE_OP_FIELD_NUMBER:
		case PROBE_OP_FIELD_HAS:
			number = layout_number(set, &plan->layouts[value->off]);
			value->off = number;
			break;
		default:
			continue;
		}
		if (number < 0)
			return number;
	}
	return 0;
}

static int translate_rule(struct probe_set *set, const struct plan *plan, struct probe_rule *rule)
{
	for (int i = 0; i < rule->act_cnt; i++) {
		int number;

		if (rule->acts[i].act != PROBE_DO_COUNT)
			continue;
		number = series_number(set, &plan->series[rule->acts[i].series]);
		if (number < 0)
			return number;
		rule->acts[i].series = (__u32)(PROBE_OWN_SERIES + number);
	}
	return 0;
}

static int image_add(struct image *image, struct probe_set *set, const struct plan *plan, const struct plan_spec *from)
{
	struct probe_spec *spec = &image->specs[image->spec_cnt];
	int ret;

	*spec = from->spec;
	spec->first_rule = (__u16)image->rule_cnt;
	spec->rule_cnt = (__u16)from->rule_cnt;
	ret = translate_spec(set, plan, spec);
	for (size_t i = 0; i < from->rule_cnt && !ret; i++) {
		image->rules[image->rule_cnt] = from->rules[i];
		ret = translate_rule(set, plan, &image->rules[image->rule_cnt++]);
	}
	for (size_t i = 0; i < from->case_cnt; i++) {
		image->cases[image->case_cnt] =
		    (struct probe_case_key){.value = from->cases[i].value, .spec = (__u32)image->spec_cnt};
		image->case_specs[image->case_cnt++] = from->cases[i].spec;
	}
	image->spec_cnt++;
	return ret;
}

int image_make(struct image *out, struct probe_set *set, const struct plan *plan, const struct plan_file *from,
	       struct arena *mem, char err[static 256])
{
	size_t rules = 0, cases = 0;
	int ret = 0;

	for (size_t i = 0; i < from->spec_cnt; i++) {
		rules += from->specs[i].rule_cnt;
		cases += from->specs[i].case_cnt;
	}
	*out = (struct image){
	    .specs = arena_array(mem, from->spec_cnt, sizeof(*out->specs)),
	    .rules = arena_array(mem, rules, sizeof(*out->rules)),
	    .cases = arena_array(mem, cases, sizeof(*out->cases)),
	    .case_specs = arena_array(mem, cases, sizeof(*out->case_specs)),
	};
	for (size_t i = 0; i < from->spec_cnt && !ret; i++)
		ret = image_add(out, set, plan, &from->specs[i]);
	if (ret)
		snprintf(err, 256, "%s: the tables for series, texts or layouts are full", from->file->path);
	return ret;
}

static bool same_bytes(const void *a, const void *b, size_t count, size_t size)
{
	return !count || !memcmp(a, b, count * size);
}

bool image_equal(const struct image *a, const struct image *b)
{
	return a->spec_cnt == b->spec_cnt && a->rule_cnt == b->rule_cnt && a->case_cnt == b->case_cnt &&
	       same_bytes(a->specs, b->specs, a->spec_cnt, sizeof(*a->specs)) &&
	       same_bytes(a->rules, b->rules, a->rule_cnt, sizeof(*a->rules)) &&
	       same_bytes(a->cases, b->cases, a->case_cnt, sizeof(*a->cases)) &&
	       same_bytes(a->case_specs, b->case_specs, a->case_cnt, sizeof(*a->case_specs));
}

/* ---- room in the maps */

/* take_room - the first run of `count` free entries; -ENOSPC if there is none */
static int take_room(bool *used, size_t size, size_t count, uint32_t *first)
{
	size_t run = 0;

	for (size_t i = 0; i < size; i++) {
		run = used[i] ? 0 : run + 1;
		if (run < count)
			continue;
		*first = (uint32_t)(i + 1 - count);
		memset(used + *first, true, count);
		return 0;
	}
	return count ? -ENOSPC : 0;
}

static int write_specs(const struct probe_set *set, const struct file_entry *file)
{
	const struct image *image = &file->image;

	for (size_t i = 0; i < image->rule_cnt; i++) {
		__u32 key = file->first_rule + (__u32)i;

		if (bpf_map_update_elem(set->rules_fd, &key, &image->rules[i], BPF_ANY))
			return -errno;
	}
	for (size_t i = 0; i < image->spec_cnt; i++) {
		__u32 key = file->first_spec + (__u32)i;
		struct probe_spec spec = image->specs[i];

		spec.first_rule = (__u16)(spec.first_rule + file->first_rule);
		if (spec.next != PROBE_NONE)
			spec.next = (__u16)(spec.next + file->first_spec);
		if (bpf_map_update_elem(set->specs_fd, &key, &spec, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int write_cases(const struct probe_set *set, const struct file_entry *file)
{
	for (size_t i = 0; i < file->image.case_cnt; i++) {
		struct probe_case_key key = file->image.cases[i];
		__u32 spec = file->image.case_specs[i] + file->first_spec;

		key.spec += file->first_spec;
		if (bpf_map_update_elem(set->cases_fd, &key, &spec, BPF_ANY))
			return -errno;
	}
	return 0;
}

int tables_write(struct probe_set *set, struct file_entry *file, char err[static 256])
{
	int ret = take_room(set->spec_used, PROBE_SPECS, file->image.spec_cnt, &file->first_spec);

	if (!ret) {
		ret = take_room(set->rule_used, PROBE_RULES, file->image.rule_cnt, &file->first_rule);
		if (ret)
			memset(set->spec_used + file->first_spec, false, file->image.spec_cnt);
	}
	if (ret) {
		snprintf(err, 256, "%s: no room left for its probes", file->file.path);
		return ret;
	}
	ret = write_specs(set, file);
	if (!ret)
		ret = write_cases(set, file);
	if (ret) {
		snprintf(err, 256, "%s: writing to the BPF maps: %s", file->file.path, strerror(-ret));
		tables_release(set, file);
	}
	return ret;
}

void tables_release(struct probe_set *set, struct file_entry *file)
{
	for (size_t i = 0; i < file->image.case_cnt; i++) {
		struct probe_case_key key = file->image.cases[i];

		key.spec += file->first_spec;
		bpf_map_delete_elem(set->cases_fd, &key);
	}
	memset(set->spec_used + file->first_spec, false, file->image.spec_cnt);
	memset(set->rule_used + file->first_rule, false, file->image.rule_cnt);
}
