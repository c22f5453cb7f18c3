// SPDX-License-Identifier: GPL-2.0
/*
 * For the KUnit suites of the software TDX Module only: a host that does
 * whatever it is told.
 */

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/cacheflush.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>

#include <tdx_pages/emu.h>

u64 tdx_emu_page_hpa(struct page *page)
{
	return page_to_phys(page);
}

/*
 * The instruction itself.  Only tdx_emu.ko calls this, which is not loaded
 * where a real TDX Module may be.
 */
noinline void tdx_emu_test_seamcall(struct tdx_emu_regs *regs)
{
	register u64 r8 asm("r8") = regs->r8;
	register u64 r9 asm("r9") = regs->r9;
	register u64 r10 asm("r10") = regs->r10;
	register u64 r11 asm("r11") = regs->r11;

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcf"
		     : "+a" (regs->rax), "+c" (regs->rcx), "+d" (regs->rdx),
		       "+r" (r8), "+r" (r9), "+r" (r10), "+r" (r11)
		     : : "cc", "memory");
	regs->r8 = r8;
	regs->r9 = r9;
	regs->r10 = r10;
	regs->r11 = r11;
}

/* 2^order pages in one piece; 0 if there are none. */
u64 tdx_emu_test_alloc(unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);

	return page ? page_to_phys(page) : 0;
}

void tdx_emu_test_free(u64 hpa, unsigned int order)
{
	__free_pages(pfn_to_page(PHYS_PFN(hpa)), order);
}

void tdx_emu_test_flush(u64 hpa, unsigned int bytes)
{
	clflush_cache_range(phys_to_virt(hpa), bytes);
}

/* Marks the running test as skipped; it should return at once. */
void tdx_emu_test_skip(const char *why)
{
	struct kunit *test = kunit_get_current_test();

	if (test)
		kunit_mark_skipped(test, "%s", why);
}
