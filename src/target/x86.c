/* SPDX-License-Identifier: Apache-2.0 */
#include "target/x86.h"

#include <Zydis/Zydis.h>
#include <stdio.h>

int x86_argument(int arg)
{
	static const int registers[] = {X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9};

	return arg >= 0 && arg < 6 ? registers[arg] : X86_NO_REGISTER;
}

static enum x86_map map_of(const ZydisDecodedInstruction *insn)
{
	if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return X86_MAP_VECTOR;
	switch (insn->opcode_map) {
	case ZYDIS_OPCODE_MAP_DEFAULT:
		return X86_MAP_ONE_BYTE;
	case ZYDIS_OPCODE_MAP_0F:
		return X86_MAP_0F;
	default:
		return X86_MAP_OTHER;
	}
}

static void read_prefixes(struct x86_insn *out, const ZydisDecodedInstruction *insn)
{
	for (unsigned i = 0; i < insn->raw.prefix_count; i++) {
		switch (insn->raw.prefixes[i].value) {
		case 0x66:
			out->has_66 = true;
			break;
		case 0xf0:
			out->has_lock = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			out->has_segment = true;
			break;
		}
	}
	if (out->map != X86_MAP_VECTOR && insn->attributes & ZYDIS_ATTRIB_HAS_REX)
		out->rex = (unsigned char)(0x40 | insn->raw.rex.W << 3 | insn->raw.rex.R << 2 | insn->raw.rex.X << 1 |
					   insn->raw.rex.B);
}

/* is_rip_relative - is the memory operand d(%rip)? */
static bool is_rip_relative(const ZydisDecodedInstruction *insn)
{
	return insn->attributes & ZYDIS_ATTRIB_HAS_MODRM && insn->raw.modrm.mod == 0 && insn->raw.modrm.rm == 5;
}

static enum x86_kind kind_of_one_byte(const ZydisDecodedInstruction *insn)
{
	switch (insn->opcode) {
	case 0xe8:
		return X86_CALL;
	case 0xe9:
	case 0xeb:
		return X86_JUMP;
	case 0xc2:
	case 0xc3:
	case 0xca:
	case 0xcb:
	case 0xcf:
		return X86_RETURN;
	case 0xcc: /* int3 */
	case 0xf4: /* hlt */
		return X86_TRAP;
	case 0xff:
		if (insn->raw.modrm.reg == 2 || insn->raw.modrm.reg == 3)
			return X86_CALL_INDIRECT;
		if (insn->raw.modrm.reg == 4 || insn->raw.modrm.reg == 5)
			return X86_JUMP_INDIRECT;
		return X86_PLAIN;
	default:
		return insn->raw.imm[0].is_relative ? X86_BRANCH : X86_PLAIN;
	}
}

static enum x86_kind kind_of(const struct x86_insn *out, const ZydisDecodedInstruction *insn)
{
	if (out->map == X86_MAP_ONE_BYTE)
		return kind_of_one_byte(insn);
	if (out->map != X86_MAP_0F)
		return X86_PLAIN;
	if (insn->opcode == 0x0b || insn->opcode == 0xb9 || insn->opcode == 0xff) /* ud2, ud1, ud0 */
		return X86_TRAP;
	return insn->raw.imm[0].is_relative ? X86_BRANCH : X86_PLAIN;
}

static void find_target(struct x86_insn *out, const ZydisDecodedInstruction *insn)
{
	uint64_t next = out->addr + out->len;

	switch (out->kind) {
	case X86_CALL:
	case X86_JUMP:
	case X86_BRANCH:
		out->target = next + insn->raw.imm[0].value.u;
		break;
	case X86_CALL_INDIRECT:
	case X86_JUMP_INDIRECT:
		if (is_rip_relative(insn))
			out->target = next + (uint64_t)insn->raw.disp.value;
		else if (insn->raw.modrm.mod == 0 && insn->raw.modrm.rm == 4 && insn->raw.sib.base == 5 &&
			 insn->raw.sib.scale == 3)
			out->table = (uint64_t)insn->raw.disp.value;
		break;
	default:
		break;
	}
}

static void find_constant(struct x86_insn *out, const ZydisDecodedInstruction *insn, bool is_fixed)
{
	bool is_wide = out->rex & 8;

	out->constant_reg = X86_NO_REGISTER;
	if (out->map != X86_MAP_ONE_BYTE)
		return;
	if (out->opcode == 0x8d && is_wide && is_rip_relative(insn)) {
		out->constant_reg = insn->raw.modrm.reg | (out->rex & 4 ? 8 : 0);
		out->constant = out->addr + out->len + (uint64_t)insn->raw.disp.value;
	} else if (is_fixed && out->opcode >= 0xb8 && out->opcode <= 0xbf && !out->has_66) {
		out->constant_reg = (out->opcode & 7) | (out->rex & 1 ? 8 : 0);
		out->constant = insn->raw.imm[0].value.u;
	} else if (is_fixed && out->opcode == 0xc7 && is_wide && insn->raw.modrm.mod == 3) {
		out->constant_reg = insn->raw.modrm.rm | (out->rex & 1 ? 8 : 0);
		out->constant = insn->raw.imm[0].value.u;
	}
}

bool x86_decode(const unsigned char *code, size_t size, uint64_t addr, bool is_fixed, struct x86_insn *out)
{
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	*out = (struct x86_insn){.addr = addr};
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, &insn)))
		return false;
	out->len = insn.length;
	out->map = map_of(&insn);
	out->opcode = insn.opcode;
	out->is_nop = insn.mnemonic == ZYDIS_MNEMONIC_NOP;
	if (insn.attributes & ZYDIS_ATTRIB_HAS_MODRM) {
		out->modrm_mod = insn.raw.modrm.mod;
		out->modrm_reg = insn.raw.modrm.reg;
	}
	read_prefixes(out, &insn);
	out->kind = kind_of(out, &insn);
	find_target(out, &insn);
	find_constant(out, &insn, is_fixed);
	return true;
}

/* gpr - number of the general register that `reg` is (a part of), or X86_NO_REGISTER */
static int gpr(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return X86_NO_REGISTER;
	return (int)whole - ZYDIS_REGISTER_RAX;
}

/* place - the register or X86_STACK that an operand of 8 bytes is, or X86_NO_REGISTER */
static int place(const ZydisDecodedOperand *operand)
{
	if (operand->size != 64)
		return X86_NO_REGISTER;
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER)
		return gpr(operand->reg.value);
	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	    (operand->mem.base == ZYDIS_REGISTER_RSP || operand->mem.base == ZYDIS_REGISTER_RBP))
		return X86_STACK;
	return X86_NO_REGISTER;
}

static void set_move(struct x86_effect *out, enum x86_move move, int dst, int src)
{
	if (dst == X86_NO_REGISTER || (move != X86_MOVE_CONSTANT && src == X86_NO_REGISTER))
		return;
	out->move = move;
	out->dst = dst;
	out->src = src;
}

static void set_number(struct x86_effect *out, const ZydisDecodedOperand *to, uint64_t number)
{
	if (to->type != ZYDIS_OPERAND_TYPE_REGISTER || to->size < 32)
		return;
	set_move(out, X86_MOVE_CONSTANT, gpr(to->reg.value), X86_NO_REGISTER);
	out->is_half = to->size == 32;
	out->number = out->is_half ? (uint32_t)number : number;
}

/* set_load - of `bits` into a register */
static void set_load(struct x86_effect *out, const ZydisDecodedOperand *to, const ZydisDecodedOperand *from,
		     unsigned bits)
{
	if (to->type != ZYDIS_OPERAND_TYPE_REGISTER || to->size != bits || from->type != ZYDIS_OPERAND_TYPE_MEMORY ||
	    from->mem.index != ZYDIS_REGISTER_NONE ||
	    (from->mem.segment != ZYDIS_REGISTER_DS && from->mem.segment != ZYDIS_REGISTER_SS))
		return;
	out->load_base = gpr(from->mem.base);
	out->displacement = from->mem.disp.value;
}

static void find_move(struct x86_effect *out, const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			set_number(out, &operands[0], operands[1].imm.value.u);
			break;
		}
		set_move(out, X86_MOVE_COPY, place(&operands[0]), place(&operands[1]));
		set_load(out, &operands[0], &operands[1], 64);
		break;
	case ZYDIS_MNEMONIC_MOVDQU: /* two members beside each other, such as a struct timeval */
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVAPS:
		set_load(out, &operands[0], &operands[1], 128);
		break;
	case ZYDIS_MNEMONIC_XOR:
		if (operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[0].reg.value == operands[1].reg.value)
			set_number(out, &operands[0], 0);
		break;
	case ZYDIS_MNEMONIC_PUSH:
		set_move(out, X86_MOVE_COPY, X86_STACK, place(&operands[0]));
		break;
	case ZYDIS_MNEMONIC_POP:
		set_move(out, X86_MOVE_COPY, place(&operands[0]), X86_STACK);
		break;
	default:
		if (insn->meta.category == ZYDIS_CATEGORY_CMOV)
			set_move(out, X86_MOVE_SELECT, place(&operands[0]), place(&operands[1]));
		break;
	}
}

bool x86_effect(const unsigned char *code, size_t size, struct x86_effect *out)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	*out = (struct x86_effect){.dst = X86_NO_REGISTER, .src = X86_NO_REGISTER, .load_base = X86_NO_REGISTER};
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &insn, operands)))
		return false;
	for (unsigned i = 0; i < insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &operands[i];
		int reg;

		if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		reg = gpr(operand->reg.value);
		if (reg != X86_NO_REGISTER)
			out->written |= X86_BIT(reg);
	}
	find_move(out, &insn, operands);
	return true;
}

void x86_format(const unsigned char *code, size_t size, uint64_t addr, char *text, size_t text_size)
{
	static const ZydisFormatterProperty paddings[] = {ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
							  ZYDIS_FORMATTER_PROP_DISP_PADDING,
							  ZYDIS_FORMATTER_PROP_IMM_PADDING};
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisFormatter formatter;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	for (size_t i = 0; i < sizeof(paddings) / sizeof(*paddings); i++)
		ZydisFormatterSetProperty(&formatter, paddings[i], ZYDIS_PADDING_DISABLED);
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &insn, operands)) &&
	    ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, operands, insn.operand_count_visible, text,
							 text_size, addr, NULL)))
		return;
	snprintf(text, text_size, "(cannot be decoded)");
}
