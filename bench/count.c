// SPDX-License-Identifier: GPL-2.0
/*
 * What a job asks of allocators and locks: by the trace points of the
 * allocators, and by probes on functions that have none.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include <asm/tsc.h>

#include <tdx_pages/bench_count.h>

#define TASKS		8
#define LOCKS		64
/* Larger ones are whole pages, and are told as such too. */
#define SLAB_MAX	8192

static struct watched {
	struct task_struct *task;
	struct bench_counts *counts;
	bool in_bulk;
	u64 last;
	/* The last that was allocated: kvmalloc() tells of a large one twice. */
	const void *told;
} watched[TASKS];

/* Who took which mutex; a full table counts the rest as shared. */
static struct {
	unsigned long lock;
	struct task_struct *task;
	bool shared;
} seen[LOCKS];
static DEFINE_RAW_SPINLOCK(seen_lock);

/*
 * The probes' traps look like interrupts, so what a real one does meanwhile is
 * not told apart: it allocates nothing and takes no mutex.
 */
static struct watched *mine(void)
{
	unsigned int i;

	for (i = 0; i < TASKS; i++)
		if (READ_ONCE(watched[i].task) == current)
			return &watched[i];

	return NULL;
}

static void add_pages(struct bench_counts *counts, s64 pages)
{
	counts->pages += pages;
	counts->peak_pages = max(counts->peak_pages, counts->pages);
}

static void add_bytes(struct bench_counts *counts, s64 bytes)
{
	counts->bytes += bytes;
	counts->peak_bytes = max(counts->peak_bytes, counts->bytes);
}

static void see_page_alloc(void *data, struct page *page, unsigned int order,
			   gfp_t gfp, int migratetype)
{
	struct watched *w = mine();

	if (!w || w->in_bulk)
		return;
	w->counts->page_allocs++;
	if (page)
		add_pages(w->counts, 1L << order);
}

static void see_page_free(void *data, struct page *page, unsigned int order)
{
	struct watched *w = mine();

	if (!w)
		return;
	w->counts->page_frees++;
	add_pages(w->counts, -(1L << order));
}

static void see_kmalloc(void *data, unsigned long site, const void *ptr, size_t req,
			size_t got, gfp_t gfp, int node)
{
	struct watched *w = mine();

	if (!w || !ptr || ptr == w->told)
		return;
	w->told = ptr;
	w->counts->slab_allocs++;
	add_bytes(w->counts, got);
	if (got > SLAB_MAX) {
		w->counts->page_allocs--;
		w->counts->pages -= got >> PAGE_SHIFT;
		w->counts->peak_pages = max(w->counts->peak_pages -
					    (s64)(got >> PAGE_SHIFT), w->counts->pages);
	}
}

static void see_kfree(void *data, unsigned long site, const void *ptr)
{
	struct watched *w = mine();
	size_t size;

	if (!w || ZERO_OR_NULL_PTR(ptr))
		return;
	if (ptr == w->told)
		w->told = NULL;
	size = ksize(ptr);
	w->counts->slab_frees++;
	add_bytes(w->counts, -(s64)size);
	if (size > SLAB_MAX) {
		/* Its pages come in a moment. */
		w->counts->page_frees--;
		w->counts->pages += size >> PAGE_SHIFT;
	}
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} points[] = {
	{ "mm_page_alloc", see_page_alloc },
	{ "mm_page_free", see_page_free },
	{ "kmalloc", see_kmalloc },
	{ "kfree", see_kfree },
};

static void match(struct tracepoint *tp, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (!strcmp(tp->name, points[i].name))
			points[i].tp = tp;
}

static int bulk_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct watched *w = mine();

	if (!w)
		return 1;
	w->in_bulk = true;

	return 0;
}

static int bulk_exit(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct watched *w = mine();

	if (w) {
		w->in_bulk = false;
		w->counts->page_allocs++;
		add_pages(w->counts, regs_return_value(regs));
	}

	return 0;
}

static struct kretprobe bulk = {
	.kp.symbol_name = "alloc_pages_bulk_noprof",
	.entry_handler = bulk_entry,
	.handler = bulk_exit,
	.maxactive = TASKS,
};

static int see_lock(struct kprobe *probe, struct pt_regs *regs)
{
	struct watched *w = mine();
	unsigned long lock = regs_get_kernel_argument(regs, 0);
	unsigned long flags;
	unsigned int i;

	if (!w)
		return 0;
	w->counts->locks++;
	raw_spin_lock_irqsave(&seen_lock, flags);
	for (i = 0; i < LOCKS; i++) {
		if (seen[i].lock && seen[i].lock != lock)
			continue;
		if (seen[i].lock && seen[i].task != current)
			seen[i].shared = true;
		seen[i].lock = lock;
		seen[i].task = current;
		break;
	}
	w->counts->shared += i == LOCKS || seen[i].shared;
	raw_spin_unlock_irqrestore(&seen_lock, flags);

	return 0;
}

static int see_wait(struct kprobe *probe, struct pt_regs *regs)
{
	struct watched *w = mine();

	if (w)
		w->counts->waits++;

	return 0;
}

static int see_spin(struct kprobe *probe, struct pt_regs *regs)
{
	struct watched *w = mine();

	if (w)
		w->counts->spins++;

	return 0;
}

static void stretch(struct watched *w)
{
	u64 now = rdtsc_ordered();

	w->counts->stretch = max(w->counts->stretch, now - w->last);
	w->last = rdtsc_ordered();
}

static int see_resched(struct kprobe *probe, struct pt_regs *regs)
{
	struct watched *w = mine();

	if (w)
		stretch(w);

	return 0;
}

static struct kprobe probes[] = {
	{ .symbol_name = "mutex_lock", .pre_handler = see_lock },
	{ .symbol_name = "__mutex_lock_slowpath", .pre_handler = see_wait },
	{ .symbol_name = "queued_spin_lock_slowpath", .pre_handler = see_spin },
	{ .symbol_name = "tdx_pages_resched", .pre_handler = see_resched },
};

static unsigned int registered;

int bench_count_begin(void)
{
	unsigned int i;
	int ret;

	for_each_kernel_tracepoint(match, NULL);
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		if (!points[i].tp)
			return -ENOENT;
		ret = tracepoint_probe_register(points[i].tp, points[i].probe, NULL);
		if (ret)
			return ret;
	}
	bulk.kp.addr = NULL;
	bulk.kp.flags = 0;
	ret = register_kretprobe(&bulk);
	for (registered = 0; !ret && registered < ARRAY_SIZE(probes); registered++) {
		probes[registered].addr = NULL;
		probes[registered].flags = 0;
		ret = register_kprobe(&probes[registered]);
	}

	return ret;
}

void bench_count_end(void)
{
	unsigned int i;

	for (i = 0; i < registered; i++)
		unregister_kprobe(&probes[i]);
	registered = 0;
	unregister_kretprobe(&bulk);
	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (points[i].tp)
			tracepoint_probe_unregister(points[i].tp, points[i].probe, NULL);
	tracepoint_synchronize_unregister();
	memset(seen, 0, sizeof(seen));
}

void bench_count_on(struct bench_counts *counts)
{
	unsigned int i;

	for (i = 0; i < TASKS; i++) {
		if (cmpxchg(&watched[i].task, NULL, ERR_PTR(-EBUSY)))
			continue;
		watched[i].counts = counts;
		watched[i].in_bulk = false;
		watched[i].told = NULL;
		watched[i].last = rdtsc_ordered();
		/* The rest of it before the task, by which the probes find it. */
		smp_store_release(&watched[i].task, current);
		break;
	}
}

void bench_count_step(void)
{
	struct watched *w = mine();

	if (w)
		stretch(w);
}

void bench_count_off(void)
{
	struct watched *w = mine();

	if (w)
		WRITE_ONCE(w->task, NULL);
}
