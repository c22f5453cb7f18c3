// SPDX-License-Identifier: GPL-2.0
/*
 * The jobs of tdx_pages.ko as a driver in plain C would do them: an array of
 * page pointers from the bulk allocator, a root page that is filled again for
 * each 512, __free_page() for each.  What `make bench` measures against.
 *
 * It is meant to be good: one allocation for the array, one pass to fill, one
 * to release, statuses looked at, pages that are not proved left alone.  It is
 * part of tdx_pages.ko because the kernel opens SEAMCALL to no other name, and
 * calls the same wrappers.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/tdx.h>

#include <tdx_pages/bench.h>
#include <tdx_pages/helpers.h>
#include <tdx_pages/seamcall.h>

#define PER_ROOT	512
#define QUEUES		2
#define QUEUE_ORDER	1

struct rival {
	struct page **pages;
	unsigned long nr;
	struct page *queues[QUEUES];
	u64 iommu_id;
	u16 keyid;
};

void *rival_new(const void *context)
{
	struct rival *rival = kzalloc(sizeof(*rival), GFP_KERNEL);

	if (rival)
		rival->keyid = tdx_pages_bench_keyid(context);

	return rival;
}

void rival_drop(void *what)
{
	kfree(what);
}

size_t rival_size(void)
{
	return sizeof(struct rival);
}

void rival_free(void *what)
{
	struct rival *rival = what;
	unsigned long i;

	for (i = 0; i < QUEUES; i++) {
		if (rival->queues[i])
			__free_pages(rival->queues[i], QUEUE_ORDER);
		rival->queues[i] = NULL;
	}
	tdx_pages_bench_pass();
	for (i = 0; i < rival->nr; i++) {
		__free_page(rival->pages[i]);
		if (i % PER_ROOT == PER_ROOT - 1)
			tdx_pages_resched();
	}
	kvfree(rival->pages);
	rival->pages = NULL;
	rival->nr = 0;
}

int rival_create(void *what, unsigned long pages)
{
	struct rival *rival = what;
	unsigned long got;

	rival->pages = kvcalloc(pages, sizeof(*rival->pages), GFP_KERNEL);
	if (!rival->pages)
		return -ENOMEM;
	while (rival->nr < pages) {
		got = alloc_pages_bulk(GFP_KERNEL, pages - rival->nr,
				       rival->pages + rival->nr);
		if (!got) {
			rival_free(rival);
			return -ENOMEM;
		}
		rival->nr += got;
	}

	return 0;
}

int rival_create_tables(void *what, unsigned long pages)
{
	struct rival *rival = what;
	unsigned int i;

	for (i = 0; i < QUEUES; i++) {
		rival->queues[i] = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP,
					       QUEUE_ORDER);
		if (!rival->queues[i]) {
			rival_free(rival);
			return -ENOMEM;
		}
	}

	return rival_create(rival, pages);
}

/* Each page proved, or left alone; how many were. */
static unsigned long prove(struct rival *rival, struct page *page, unsigned int nr)
{
	unsigned long bad = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (tdh_phymem_page_wbinvd_hkid(rival->keyid, page_to_pfn(page) + i))
			bad++;

	return bad;
}

/* Bits 11:0 and 63:52 of a list word: which entry is first, how many follow. */
static u64 list_info(u64 root, unsigned int nr)
{
	return root | (u64)(nr - 1) << 55;
}

static int add(struct rival *rival)
{
	u64 *root = (u64 *)__get_free_page(GFP_KERNEL);
	unsigned long done = 0;
	unsigned int i, nr;
	u64 word, ret;

	if (!root)
		return -ENOMEM;
	tdx_pages_bench_pass();
	while (done < rival->nr) {
		nr = min(rival->nr - done, (unsigned long)PER_ROOT);
		for (i = 0; i < nr; i++)
			root[i] = page_to_phys(rival->pages[done + i]);
		word = list_info(virt_to_phys(root), nr);
		do {
			ret = tdh_ext_mem_add(word, &word);
			tdx_pages_resched();
		} while (ret == TDX_INTERRUPTED_RESUMABLE);
		if (ret)
			break;
		done += nr;
	}
	free_page((unsigned long)root);

	return done == rival->nr ? 0 : -EIO;
}

int rival_hand_over(void *what)
{
	return add(what);
}

int rival_hold(void *what)
{
	return add(what);
}

/* What is not proved must not be freed: it is taken out of the array. */
static int prove_all(struct rival *rival)
{
	unsigned long i, bad = 0;

	tdx_pages_bench_pass();
	for (i = 0; i < rival->nr; i++) {
		bad += prove(rival, rival->pages[i], 1);
		tdx_pages_resched();
	}
	for (i = 0; i < QUEUES; i++)
		if (rival->queues[i])
			bad += prove(rival, rival->queues[i], 1 << QUEUE_ORDER);
	if (bad)
		rival->nr = 0;

	return bad ? -EIO : 0;
}

int rival_release(void *what)
{
	if (tdx_pages_bench_forget())
		return -EIO;

	return prove_all(what);
}

int rival_recover(void *what)
{
	return prove_all(what);
}

static u64 *table(struct rival *rival)
{
	u64 *root = (u64 *)get_zeroed_page(GFP_KERNEL);
	unsigned long i;

	if (!root)
		return NULL;
	tdx_pages_bench_pass();
	for (i = 0; i < QUEUES; i++)
		root[i] = page_to_phys(rival->queues[i]) | 1 << QUEUE_ORDER;
	for (i = 0; i < rival->nr; i++)
		root[QUEUES + i] = page_to_phys(rival->pages[i]);

	return root;
}

int rival_set_up(void *what, u64 reg_base)
{
	struct rival *rival = what;
	u64 *root = table(rival);
	u64 ret;

	if (!root)
		return -ENOMEM;
	do {
		ret = tdh_iommu_setup(reg_base, virt_to_phys(root), &rival->iommu_id);
		tdx_pages_resched();
	} while (ret == TDX_INTERRUPTED_RESUMABLE);
	free_page((unsigned long)root);

	return ret ? -EIO : 0;
}

int rival_clear(void *what)
{
	struct rival *rival = what;
	u64 *root = table(rival);
	u64 ret;

	if (!root)
		return -ENOMEM;
	do {
		ret = tdh_iommu_clear(rival->iommu_id, virt_to_phys(root));
		tdx_pages_resched();
	} while (ret == TDX_INTERRUPTED_RESUMABLE);
	free_page((unsigned long)root);

	return ret ? -EIO : prove_all(rival);
}
