// SPDX-License-Identifier: GPL-2.0
/*
 * What the host does beside SEAMCALLs: the pages that it frees, by the trace
 * point mm_page_free, and those whose cache lines it writes back, by a probe on
 * clflush_cache_range().  A kernel without the one or the other is borne; then
 * mistakes of that kind are not looked for.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include <tdx_pages/emu.h>

static void *watch_emu;

#ifdef CONFIG_TRACEPOINTS
/* The model's page states, by page frame number. */
static const u64 *watch_states;
static size_t watch_count;
static struct tracepoint *watch_tp;

static void tell_free(u64 hpa, unsigned int bug)
{
	static DEFINE_RATELIMIT_STATE(rs, 5 * HZ, 5);

	if (!__ratelimit(&rs))
		return;
	if (bug == TDX_EMU_FREED_HELD)
		pr_err("host bug: page %#llx was freed while the TDX Module owned it\n", hpa);
	else
		pr_err("host bug: page %#llx was let go and freed, but not proved\n", hpa);
	tdx_emu_say_callers(0);
}

/*
 * Any context may free pages, and does so often.  Nothing is known of nearly
 * all of them, which one look tells; the lock is taken for the rest, and is not
 * held while anything is printed.  Nothing under it frees a page.
 *
 * The look may be stale, but not for what the CPU that frees has handed over
 * itself, nor for what reached it by proper means.
 */
static void see_free(void *data, struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order);

	for (; pfn < end && pfn < watch_count; pfn++) {
		unsigned int bug;

		if (!READ_ONCE(watch_states[pfn]))
			continue;
		bug = tdx_emu_freed(watch_emu, PFN_PHYS(pfn));
		if (bug)
			tell_free(PFN_PHYS(pfn), bug);
	}
}

static void match_tp(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "mm_page_free"))
		watch_tp = tp;
}

static bool watch_frees(const u64 *states, size_t count)
{
	watch_states = states;
	watch_count = count;
	for_each_kernel_tracepoint(match_tp, NULL);
	if (watch_tp && tracepoint_probe_register(watch_tp, see_free, NULL))
		watch_tp = NULL;
	return watch_tp;
}

static void unwatch_frees(void)
{
	if (!watch_tp)
		return;
	tracepoint_probe_unregister(watch_tp, see_free, NULL);
	tracepoint_synchronize_unregister();
	watch_tp = NULL;
}
#else
static bool watch_frees(const u64 *states, size_t count)
{
	return false;
}

static void unwatch_frees(void)
{
}
#endif

/* A page of which only a part is written back does not count. */
static int see_flush(struct kprobe *probe, struct pt_regs *regs)
{
	const void *start = (const void *)regs_get_kernel_argument(regs, 0);
	u64 size = (u32)regs_get_kernel_argument(regs, 1), hpa, end;

	/* Whoever has another mapping of the page is not seen. */
	if (!virt_addr_valid(start))
		return 0;
	end = virt_to_phys((void *)start) + size;
	for (hpa = PAGE_ALIGN(virt_to_phys((void *)start)); hpa + PAGE_SIZE <= end;
	     hpa += PAGE_SIZE)
		tdx_emu_written_back(watch_emu, hpa);
	return 0;
}

static struct kprobe watch_flush;

static bool watch_flushes(void)
{
	/* What is left in it from the last time is in the way. */
	watch_flush = (struct kprobe) {
		.symbol_name = "clflush_cache_range",
		.pre_handler = see_flush,
	};
	if (register_kprobe(&watch_flush))
		watch_flush.symbol_name = NULL;
	return watch_flush.symbol_name;
}

static void unwatch_flushes(void)
{
	if (watch_flush.symbol_name)
		unregister_kprobe(&watch_flush);
	watch_flush.symbol_name = NULL;
}

/* Tells the model from now on; gives what can be told. */
unsigned int tdx_emu_watch(void *emu, const u64 *states, size_t count)
{
	unsigned int sees = 0;

#ifdef TDX_PAGES_BENCH
	/* What each free and each flush would take more is none of the host's cost. */
	return sees;
#endif
	watch_emu = emu;
	if (watch_frees(states, count))
		sees |= TDX_EMU_SEES_FREES;
	if (watch_flushes())
		sees |= TDX_EMU_SEES_FLUSHES;
	return sees;
}

/* After this nobody is in the model by way of this file. */
void tdx_emu_unwatch(void)
{
	unwatch_flushes();
	unwatch_frees();
	watch_emu = NULL;
}
