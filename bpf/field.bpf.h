/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* field.bpf.h - finds a field by its name in a keyed list and in the lists of its parents; knows no server: the
 * layout comes from map `layouts`. */
#ifndef MAILGAUGE_FIELD_BPF_H
#define MAILGAUGE_FIELD_BPF_H

#include "text.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_LAYOUTS);
	__type(key, __u32);
	__type(value, struct probe_layout);
} layouts SEC(".maps");

struct walk {
	const struct probe_layout *layout;
	__u64 object;           /* whose fields are looked at; 0: the end */
	__u64 field;            /* the next field of this object */
	__u64 key;              /* hash of the wanted name */
	__u32 field_size, left; /* fields of this object that are still to be looked at */
	int err;
	bool found;
};

/* walk_open - look up where the object's fields are */
static __always_inline void walk_open(struct walk *walk)
{
	__u64 array = 0, word = 0;

	walk->left = 0;
	walk->err |= read_user(&array, 8, walk->object + walk->layout->array);
	walk->err |= read_user(&word, 8, walk->object + walk->layout->array + 8);
	if (!array)
		return;
	walk->field_size = word;
	walk->err |= read_user(&walk->field, 8, array);
	walk->err |= read_user(&word, 8, array + 8);
	word = walk->field_size ? word / walk->field_size : 0;
	walk->left = word < PROBE_FIELD_COUNT ? word : PROBE_FIELD_COUNT;
}

/* walk_step - a step of bpf_loop: look at one field, or go up to the parent */
static long walk_step(__u32 step, void *data)
{
	struct walk *walk = data;
	__u64 name = 0, hash = 0;

	(void)step;
	if (!walk->object || walk->err)
		return 1;
	if (!walk->left) {
		walk->err |= read_user(&walk->object, 8, walk->object + walk->layout->parent);
		if (!walk->object)
			return 1;
		walk_open(walk);
		return 0;
	}
	walk->err |= read_user(&name, 8, walk->field + walk->layout->key);
	walk->err |= hash_user_text(&hash, name, PROBE_STRING, 0);
	if (hash == walk->key) {
		walk->found = true;
		return 1;
	}
	walk->field += walk->field_size;
	walk->left--;
	return 0;
}

/* find_field - PROBE_OP_FIELD_*: *out is the value, or 0 if there is no such field; 0 or -errno */
__noinline int find_field(__u64 *out, __u64 object, const struct probe_value *value)
{
	struct walk walk = {.object = object};
	__u64 type = 0, text = 0;
	__u32 which;
	long err;

	if (!out || !value)
		return 0;
	*out = 0;
	which = value->off;
	walk.layout = bpf_map_lookup_elem(&layouts, &which);
	walk.key = value->key;
	if (!walk.layout || !object)
		return 0;
	walk_open(&walk);
	bpf_loop(PROBE_FIELD_LEVELS * (PROBE_FIELD_COUNT + 1), walk_step, &walk, 0);
	if (!walk.found)
		return walk.err;
	if (value->op == PROBE_OP_FIELD_HAS) {
		*out = 1;
		return 0;
	}
	err = read_user(&type, 4, walk.field + walk.layout->type);
	if (err)
		return err;
	if (value->op == PROBE_OP_FIELD_NUMBER)
		return (__u32)type == walk.layout->type_number ? read_user(out, 8, walk.field + walk.layout->number)
							       : 0;
	if ((__u32)type != walk.layout->type_text)
		return 0;
	err = read_user(&text, 8, walk.field + walk.layout->text);
	return err ? err : hash_user_text(out, text, value->size ? value->size + 1 : PROBE_STRING, 0);
}
#endif
