/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C members of tdx_emu.ko give to its Rust members, and what they call
 * of them.  No policy: what a SEAMCALL does is the model's affair.
 */
#ifndef TDX_PAGES_EMU_H
#define TDX_PAGES_EMU_H

#include <linux/build_bug.h>
#include <linux/types.h>

struct page;
struct seq_file;

/* The registers of a SEAMCALL, in and out; in Rust: model::Regs. */
struct tdx_emu_regs {
	u64 rax;
	u64 rcx;
	u64 rdx;
	u64 r8;
	u64 r9;
	u64 r10;
	u64 r11;
	u64 r12;
	u64 r13;
	u64 r14;
	u64 r15;
	u64 rbx;
	u64 rdi;
	u64 rsi;
	/* Where the instruction is: no operand, but worth a line. */
	u64 rip;
};

static_assert(sizeof(struct tdx_emu_regs) == 15 * sizeof(u64));

/* What is at an HPA. */
enum tdx_emu_kind {
	TDX_EMU_ABSENT,
	TDX_EMU_RESERVED,
	TDX_EMU_RAM,
};

/* What tdx_emu_check() answers beside the offset of the first wrong byte. */
#define TDX_EMU_INTACT		0x1000
#define TDX_EMU_UNREADABLE	0x1001

/* emu_memory.c: the memory of the machine.  All of these bear any HPA. */
enum tdx_emu_kind tdx_emu_kind(u64 hpa);
bool tdx_emu_read(u64 hpa, unsigned int index, u64 *word);
bool tdx_emu_write(u64 hpa, unsigned int index, u64 word);
bool tdx_emu_fill(u64 hpa, u64 seed);
unsigned int tdx_emu_check(u64 hpa, u64 seed);

/* emu_test.c: for the KUnit suites only. */
u64 tdx_emu_page_hpa(struct page *page);
void tdx_emu_test_seamcall(struct tdx_emu_regs *regs);
u64 tdx_emu_test_alloc(unsigned int order);
void tdx_emu_test_free(u64 hpa, unsigned int order);
void tdx_emu_test_flush(u64 hpa, unsigned int bytes);
void tdx_emu_test_skip(const char *why);

/* emu_memory.c: the platform. */
unsigned int tdx_emu_phys_bits(void);
u64 tdx_emu_end_of_ram(void);
bool tdx_emu_real_tdx(void);

/* emu.c: the instruction, and the lock around the model. */
int tdx_emu_start(void *emu);
void tdx_emu_stop(void);
void tdx_emu_call(struct tdx_emu_regs *regs);
unsigned long tdx_emu_lock(void);
void tdx_emu_unlock(unsigned long flags);
void tdx_emu_resched(void);

/* emu_watch.c: what the host does beside SEAMCALLs. */
#define TDX_EMU_SEES_FREES	1
#define TDX_EMU_SEES_FLUSHES	2
unsigned int tdx_emu_watch(void *emu, const u64 *states, size_t count);
void tdx_emu_unwatch(void);

/* emu_report.c: what is said of a mistake of the host. */
void tdx_emu_say(const char *text, u64 ip);
void tdx_emu_say_callers(u64 ip);

/* emu_debugfs.c: files that hold the kernel module while they are open. */
void tdx_emu_debugfs_add(void *emu);
void tdx_emu_debugfs_remove(void);
void tdx_emu_show_symbol(struct seq_file *m, u64 ip);

/* What the C members call; Rust, in rust/tdx_emu/. */
#define TDX_EMU_OWNS_PAGES	1
#define TDX_EMU_HAS_NEWS	2
unsigned int tdx_emu_seamcall(void *emu, struct tdx_emu_regs *regs);
void tdx_emu_report(void *emu);
#define TDX_EMU_FREED_HELD	1
#define TDX_EMU_FREED_UNPROVED	2
unsigned int tdx_emu_freed(void *emu, u64 hpa);
void tdx_emu_written_back(void *emu, u64 hpa);
void tdx_emu_show_state(struct seq_file *m, void *emu);
void tdx_emu_show_seamcalls(struct seq_file *m, void *emu);
void tdx_emu_show_journal(struct seq_file *m, void *emu);
int tdx_emu_control(void *emu, const char *text, size_t len);

#endif /* TDX_PAGES_EMU_H */
