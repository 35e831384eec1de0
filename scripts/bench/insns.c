// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU: count the guest's instructions, for each address and in
 * each phase of what it does.
 *
 * Arguments: out=FILE and at=ADDRESS:PHASE, any number of them. When the
 * guest executes ADDRESS, PHASE begins: 0 is not counted, and "reset" forgets
 * what was counted so far. At the end FILE has lines "PHASE ADDRESS COUNT",
 * one for each block of code.
 *
 * Only for one CPU. Debian's QEMU has no header for plugins; what is declared
 * here is of version 1 of their interface, docs/devel/tcg-plugins.rst.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_PHASES	8
#define RESET		NR_PHASES
#define MAX_EVENTS	16

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum cb_flags { CB_NO_REGS };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned int cpu, void *data),
					  enum cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned int cpu, void *data),
					    enum cb_flags flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* A translated block. They are never freed: QEMU may use one as long as it runs. */
struct block {
	struct block *next;
	uint64_t address;
	uint64_t nr_insns;
	uint64_t runs[NR_PHASES];
};

struct event {
	uint64_t address;
	uintptr_t phase;
};

static struct block *blocks;
static struct event events[MAX_EVENTS];
static unsigned int nr_events;
static uintptr_t phase;
static char *out;

static void run(unsigned int cpu, void *data)
{
	struct block *b = data;

	b->runs[phase]++;
}

static void begin(unsigned int cpu, void *data)
{
	struct block *b;

	if ((uintptr_t)data != RESET) {
		phase = (uintptr_t)data;
		return;
	}
	for (b = blocks; b; b = b->next)
		memset(b->runs, 0, sizeof(b->runs));
}

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));
	unsigned int i, k;

	if (!b)
		abort();
	b->nr_insns = qemu_plugin_tb_n_insns(tb);
	b->address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, run, CB_NO_REGS, b);
	for (i = 0; i < b->nr_insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		for (k = 0; k < nr_events; k++)
			if (qemu_plugin_insn_vaddr(insn) == events[k].address)
				qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, CB_NO_REGS,
								       (void *)events[k].phase);
	}
}

static void finish(plugin_id id, void *data)
{
	FILE *f = fopen(out, "w");
	struct block *b;
	int i;

	if (!f)
		abort();
	for (b = blocks; b; b = b->next)
		for (i = 1; i < NR_PHASES; i++)
			if (b->runs[i])
				fprintf(f, "%d %" PRIx64 " %" PRIu64 "\n", i, b->address,
					b->runs[i] * b->nr_insns);
	if (fclose(f))
		abort();
}

__attribute__((visibility("default")))
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		char *colon = strrchr(argv[i], ':');

		if (!strncmp(argv[i], "out=", 4)) {
			out = strdup(argv[i] + 4);
		} else if (!strncmp(argv[i], "at=", 3) && colon && nr_events < MAX_EVENTS) {
			events[nr_events].address = strtoull(argv[i] + 3, NULL, 0);
			events[nr_events].phase = strcmp(colon, ":reset") ?
						  strtoull(colon + 1, NULL, 0) % NR_PHASES : RESET;
			nr_events++;
		} else {
			fprintf(stderr, "insns: what is %s?\n", argv[i]);
			return -1;
		}
	}
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
