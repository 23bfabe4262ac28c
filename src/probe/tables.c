/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - owns what the BPF maps have of each file: its specs, rules and cases, and where they are. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "probe/parts.h"

/* ---- images */

static void translate_values(const struct numbers *numbers, struct probe_value *values, size_t first, size_t count)
{
	for (size_t i = first; i < count; i++) {
		struct probe_value *value = &values[i];

		switch (value->op) {
		case PROBE_OP_CONTAINS:
			value->key = numbers->needles[value->key];
			break;
		case PROBE_OP_FIELD_STR:
		case PROBE_OP_FIELD_NUMBER:
		case PROBE_OP_FIELD_HAS:
			value->off = (__s32)numbers->layouts[value->off];
			break;
		case PROBE_OP_CLASS:
			value->off = (__s32)numbers->classes[value->off];
			break;
		}
	}
}

static void translate_act(const struct numbers *numbers, struct probe_act *act)
{
	switch (act->act) {
	case PROBE_DO_COUNT:
		act->series = numbers->series[act->series];
		break;
	case PROBE_DO_OBSERVE:
		act->series = numbers->series[act->series];
		act->slot = (__u16)numbers->bounds[act->slot];
		break;
	case PROBE_DO_HOLD:
	case PROBE_DO_RELEASE:
		act->slot = (__u16)numbers->gauges[act->slot];
		break;
	}
}

static void image_add(struct image *image, const struct numbers *numbers, const struct plan_spec *from)
{
	struct probe_spec *spec = &image->specs[image->spec_cnt];

	*spec = from->spec;
	spec->first_rule = (__u16)image->rule_cnt;
	spec->rule_cnt = (__u16)from->rule_cnt;
	translate_values(numbers, spec->values, spec->first_value, spec->value_cnt);
	for (size_t i = 0; i < from->rule_cnt; i++) {
		struct probe_rule *rule = &image->rules[image->rule_cnt++];

		*rule = from->rules[i];
		for (int k = 0; k < rule->act_cnt; k++)
			translate_act(numbers, &rule->acts[k]);
	}
	for (size_t i = 0; i < from->case_cnt; i++) {
		image->cases[image->case_cnt] =
		    (struct probe_case_key){.value = from->cases[i].value, .spec = (__u32)image->spec_cnt};
		image->case_specs[image->case_cnt++] = from->cases[i].spec;
	}
	image->spec_cnt++;
}

void image_make(struct image *out, const struct numbers *numbers, const struct plan_file *from, struct arena *mem)
{
	size_t rules = 0, cases = 0;

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
	for (size_t i = 0; i < from->spec_cnt; i++)
		image_add(out, numbers, &from->specs[i]);
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

/* ---- the ends of processes */

static int end_write(const struct probe_set *set, const struct numbers *numbers, const struct plan_spec *from,
		     __u32 gauge)
{
	struct probe_end end = {.value_cnt = from->spec.value_cnt, .rule_cnt = (__u32)from->rule_cnt};

	memcpy(end.values, from->spec.values, sizeof(end.values));
	translate_values(numbers, end.values, 0, end.value_cnt);
	for (size_t i = 0; i < from->rule_cnt && i < PROBE_END_RULES; i++) {
		end.rules[i] = from->rules[i];
		for (int k = 0; k < end.rules[i].act_cnt; k++)
			translate_act(numbers, &end.rules[i].acts[k]);
	}
	return bpf_map_update_elem(set->ends_fd, &gauge, &end, BPF_ANY) ? -errno : 0;
}

int ends_write(const struct probe_set *set, const struct numbers *numbers, const struct plan *plan,
	       char err[static 256])
{
	int ret = 0;

	for (size_t i = 0; i < plan->gauge_cnt && !ret; i++)
		ret = end_write(set, numbers, &plan->gauges[i].end, numbers->gauges[i]);
	if (ret)
		snprintf(err, 256, "writing to the BPF maps: %s", strerror(-ret));
	return ret;
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
