// SPDX-License-Identifier: GPL-2.0
/*
 * For the KUnit suites only.
 */
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include <asm/tdx.h>

#include <tdx_pages/test.h>

static bool long_suites;
module_param(long_suites, bool, 0444);
MODULE_PARM_DESC(long_suites, "Let the suites try everything; takes many minutes (default: 0)");

static unsigned int seed = 20261121;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Where the suites begin with what looks random");

/* Whether the suites try everything, or a share of it. */
bool tdx_pages_test_long(void)
{
	return long_suites;
}

u32 tdx_pages_test_seed(void)
{
	return seed;
}

/* A SEAMCALL with any RAX: how the suites talk to the software TDX Module. */
u64 tdx_pages_test_seamcall(u64 rax, struct tdx_pages_test_regs *regs)
{
	struct tdx_module_args args = {
		.rcx = regs->rcx, .rdx = regs->rdx, .r8 = regs->r8,
		.r9 = regs->r9, .r10 = regs->r10, .r11 = regs->r11,
	};
	u64 ret;

	ret = tdx_seamcall_ret(rax, &args);
	*regs = (struct tdx_pages_test_regs) {
		.rcx = args.rcx, .rdx = args.rdx, .r8 = args.r8,
		.r9 = args.r9, .r10 = args.r10, .r11 = args.r11,
	};

	return ret;
}

/* Whether the kernel can fail the n-th allocation of a task. */
bool tdx_pages_test_can_fail(void)
{
	return IS_ENABLED(CONFIG_FAULT_INJECTION) && IS_ENABLED(CONFIG_FAILSLAB) &&
	       IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC);
}

/* Let the n-th injection point that this task comes to fail; 0 ends it. */
void tdx_pages_test_fail_nth(unsigned int nth)
{
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(current->fail_nth, nth);
#endif
}

/* What is left of that count: 0 if one was made to fail. */
unsigned int tdx_pages_test_fail_left(void)
{
#ifdef CONFIG_FAULT_INJECTION
	return READ_ONCE(current->fail_nth);
#else
	return 0;
#endif
}

/* Marks the running test as skipped; it should return at once. */
void tdx_pages_test_skip(void)
{
	struct kunit *test = kunit_get_current_test();

	if (test)
		kunit_mark_skipped(test, "no software TDX Module answers: load tdx_emu.ko first");
}
