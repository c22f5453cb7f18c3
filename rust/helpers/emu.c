// SPDX-License-Identifier: GPL-2.0
/*
 * Catches SEAMCALL and lets the software TDX Module answer it.
 */

#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#ifdef TDX_PAGES_BENCH
#include <asm/tsc.h>
#endif
#include <asm/trapnr.h>

#include <tdx_pages/emu.h>

/*
 * The model and everything it owns.  Taken in an exception handler with
 * interrupts off, so it must spin, on PREEMPT_RT too.
 */
static DEFINE_RAW_SPINLOCK(emu_lock);
static void *emu_state;
/* Whether this kernel module holds itself because the model owns a page. */
static bool emu_held;

unsigned long tdx_emu_lock(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&emu_lock, flags);
	return flags;
}

void tdx_emu_unlock(unsigned long flags)
{
	raw_spin_unlock_irqrestore(&emu_lock, flags);
}

void tdx_emu_resched(void)
{
	cond_resched();
}

/*
 * Lets the model answer.  The caller keeps this kernel module in place.
 *
 * A model that owns pages must not go away, since nothing else knows of them:
 * the first page takes a reference on this kernel module, the last one drops
 * it.  Both only change a counter, which is allowed in any context.
 */
void tdx_emu_call(struct tdx_emu_regs *regs)
{
	unsigned long flags = tdx_emu_lock();
	unsigned int told = tdx_emu_seamcall(emu_state, regs);
	bool owns = told & TDX_EMU_OWNS_PAGES;

	if (owns && !emu_held)
		__module_get(THIS_MODULE);
	if (!owns && emu_held)
		module_put(THIS_MODULE);
	emu_held = owns;
	tdx_emu_unlock(flags);

	/* Printing takes its time; not under the lock. */
	if (told & TDX_EMU_HAS_NEWS)
		tdx_emu_report(emu_state);
}

static void from_pt_regs(struct tdx_emu_regs *to, const struct pt_regs *from)
{
	*to = (struct tdx_emu_regs) {
		.rax = from->ax, .rcx = from->cx, .rdx = from->dx,
		.r8 = from->r8, .r9 = from->r9, .r10 = from->r10,
		.r11 = from->r11, .r12 = from->r12, .r13 = from->r13,
		.r14 = from->r14, .r15 = from->r15, .rbx = from->bx,
		.rdi = from->di, .rsi = from->si, .rip = from->ip,
	};
}

static void to_pt_regs(struct pt_regs *to, const struct tdx_emu_regs *from)
{
	to->ax = from->rax;
	to->cx = from->rcx;
	to->dx = from->rdx;
	to->r8 = from->r8;
	to->r9 = from->r9;
	to->r10 = from->r10;
	to->r11 = from->r11;
	to->r12 = from->r12;
	to->r13 = from->r13;
	to->r14 = from->r14;
	to->r15 = from->r15;
	to->bx = from->rbx;
	to->di = from->rdi;
	to->si = from->rsi;
}

#ifdef TDX_PAGES_BENCH
/* What all SEAMCALLs took in here, on the clock by which `make bench` counts. */
u64 tdx_emu_bench_ticks;
EXPORT_SYMBOL_GPL(tdx_emu_bench_ticks);
u64 tdx_emu_bench_calls;
EXPORT_SYMBOL_GPL(tdx_emu_bench_calls);
#endif

static int emu_die(struct notifier_block *nb, unsigned long event, void *data)
{
	static const u8 seamcall[] = { 0x66, 0x0f, 0x01, 0xcf };
	const struct die_args *args = data;
	struct pt_regs *regs = args->regs;
	u8 insn[sizeof(seamcall)];
	struct tdx_emu_regs call;
#ifdef TDX_PAGES_BENCH
	u64 begin;
#endif

	if (event != DIE_TRAP || args->trapnr != X86_TRAP_UD || user_mode(regs))
		return NOTIFY_DONE;
	if (copy_from_kernel_nofault(insn, (const void *)regs->ip, sizeof(insn)) ||
	    memcmp(insn, seamcall, sizeof(insn)))
		return NOTIFY_DONE;
	/*
	 * While this kernel module is going away there is no TDX Module any
	 * more: the caller gets its #UD.  Otherwise a page could be taken after
	 * the decision to unload.
	 */
	if (!try_module_get(THIS_MODULE))
		return NOTIFY_DONE;

#ifdef TDX_PAGES_BENCH
	begin = rdtsc_ordered();
#endif
	from_pt_regs(&call, regs);
	tdx_emu_call(&call);
	to_pt_regs(regs, &call);
	/* CF would say VMfailInvalid. */
	regs->flags &= ~X86_EFLAGS_CF;
	regs->ip += sizeof(seamcall);
#ifdef TDX_PAGES_BENCH
	tdx_emu_bench_calls++;
	tdx_emu_bench_ticks += rdtsc_ordered() - begin;
#endif

	module_put(THIS_MODULE);
	return NOTIFY_STOP;
}

static struct notifier_block emu_nb = {
	.notifier_call = emu_die,
	/* Before kgdb and whoever else would stop at a #UD. */
	.priority = INT_MAX,
};

int tdx_emu_start(void *emu)
{
	emu_state = emu;
	return register_die_notifier(&emu_nb);
}

/*
 * After this nobody is in the model: the chain is walked under RCU, and
 * unregistering waits for a grace period.
 */
void tdx_emu_stop(void)
{
	unregister_die_notifier(&emu_nb);
	emu_state = NULL;
}
