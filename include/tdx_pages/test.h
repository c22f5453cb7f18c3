/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the KUnit suites only: built in with TDX_PAGES_KUNIT=1.
 */
#ifndef TDX_PAGES_TEST_H
#define TDX_PAGES_TEST_H

#include <linux/types.h>

/* RCX, RDX, R8, R9, R10 and R11, in and out. */
struct tdx_pages_test_regs {
	u64 rcx, rdx, r8, r9, r10, r11;
};

u64 tdx_pages_test_seamcall(u64 rax, struct tdx_pages_test_regs *regs);
bool tdx_pages_test_can_fail(void);
void tdx_pages_test_fail_nth(unsigned int nth);
unsigned int tdx_pages_test_fail_left(void);
void tdx_pages_test_skip(void);
bool tdx_pages_test_long(void);
u32 tdx_pages_test_seed(void);

#endif /* TDX_PAGES_TEST_H */
