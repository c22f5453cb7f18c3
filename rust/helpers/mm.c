// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's page and folio allocator for Rust, by HPA.
 */
#include <linux/cacheflush.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/unroll.h>
#include <linux/vmalloc.h>

#include <tdx_pages/helpers.h>

/* How many single pages are taken at once: the CPU's list of pages is locked meanwhile. */
#define SINGLES		512

/* The node to ask; another if it cannot be. */
static int usable_node(int nid)
{
	if (nid < 0 || nid >= MAX_NUMNODES || !node_online(nid))
		return numa_mem_id();

	return nid;
}

/*
 * How hard to try.  A large block is a wish: what is not at hand is not waited
 * for, since a try that reclaims and compacts in vain costs as much as hundreds
 * of pages; no warning.  kswapd may be woken: without any reclaim page_owner would
 * take us for somebody who cannot even allocate, and not list the pages.  A single
 * page may reclaim, but no page of ours is worth an OOM kill: the TDX Module told
 * how many there must be.
 */
static gfp_t block_gfp(unsigned int order, bool zero)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

	if (order)
		gfp = (gfp | __GFP_NORETRY) & ~__GFP_DIRECT_RECLAIM;
	else
		gfp |= __GFP_RETRY_MAYFAIL;
	if (zero)
		gfp |= __GFP_ZERO;

	return gfp;
}

/*
 * Whether a zone gives us anything, as the allocator will ask: it keeps its
 * watermark, and the lowest zones, which always have large blocks, keep more.
 */
static bool zone_gives(struct zone *zone)
{
	return populated_zone(zone) && zone_page_state(zone, NR_FREE_PAGES) >
	       low_wmark_pages(zone) + zone->lowmem_reserve[ZONE_NORMAL];
}

/*
 * Whether blocks of an order are free for us.  One of another migrate type does not
 * count if it is smaller than a pageblock: the allocator looks at each page of the
 * pageblock before it takes a part of it, which costs more than single pages.
 */
static bool area_gives(const struct zone *zone, unsigned int order)
{
	const struct free_area *area = &zone->free_area[order];
	int type;

	if (!READ_ONCE(area->nr_free))
		return false;
	/* That of GFP_KERNEL. */
	if (!list_empty(&area->free_list[MIGRATE_UNMOVABLE]))
		return true;
	if (order < pageblock_order)
		return false;
	for (type = MIGRATE_UNMOVABLE + 1; type < MIGRATE_PCPTYPES; type++)
		if (!list_empty(&area->free_list[type]))
			return true;

	return false;
}

/*
 * The largest order up to @most of which a node has a free block for us; 0 if it has
 * single pages only, negative if it has nothing.
 */
static int largest_of(int nid, int most)
{
	struct zone *zone = NODE_DATA(nid)->node_zones + ZONE_NORMAL;
	int largest = -1, order;

	for (; largest < most && zone >= NODE_DATA(nid)->node_zones; zone--) {
		if (!zone_gives(zone))
			continue;
		largest = max(largest, 0);
		for (order = MAX_PAGE_ORDER; order > largest; order--)
			if (area_gives(zone, order))
				largest = order;
	}

	return min(largest, most);
}

/*
 * The largest order up to @most in which there are pages, at a glance; nodes as
 * below, and near pages are worth more than large blocks.  A large block that is
 * asked for in vain is more than lost time: the allocator believes that memory runs
 * low, and takes back what it keeps for each CPU.  Any context.
 */
unsigned int tdx_pages_largest_order(unsigned int most, int nid)
{
	int largest = largest_of(usable_node(nid), most);
	int other;

	if (largest < 0)
		for_each_online_node(other)
			largest = max(largest, largest_of(other, most));

	return max(largest, 0);
}

/*
 * 2^@order pages in one piece, not compound; on @nid if it is not negative and
 * has them, else where there are.  0 if there are none.  May sleep.
 */
u64 tdx_pages_alloc_block(unsigned int order, int nid, bool zero)
{
	struct page *page = alloc_pages_node(usable_node(nid), block_gfp(order, zero), order);

	return page ? page_to_phys(page) : 0;
}

/*
 * Up to @count single pages at once, into @hpas from the first place on; on @nid
 * as above.  How many there are: fewer when the allocator has no more at hand, 0
 * if there are none.  May sleep.
 */
size_t tdx_pages_alloc_singles(u64 *hpas, size_t count, int nid)
{
	/* A pointer and an HPA take the same room, and never stand side by side. */
	struct page **pages = (struct page **)hpas;
	size_t i, got;

	static_assert(sizeof(*pages) == sizeof(*hpas));
	count = min_t(size_t, count, SINGLES);
	memset(pages, 0, count * sizeof(*pages));
	got = alloc_pages_bulk_node(block_gfp(0, false), usable_node(nid), count, pages);
	unrolled_count(4)
	for (i = 0; i < got; i++)
		hpas[i] = page_to_phys(pages[i]);

	return got;
}

/*
 * Frees single pages, up to @count, from the first place on and up to the first word
 * that is no HPA of a page.  How many they were.  Any context; takes its time.
 */
size_t tdx_pages_free_singles(const u64 *hpas, size_t count)
{
	size_t i;

	unrolled_count(4)
	for (i = 0; i < count && PAGE_ALIGNED(hpas[i]); i++)
		__free_page(phys_to_page(hpas[i]));

	return i;
}

/* Any context. */
void tdx_pages_free_block(u64 hpa, unsigned int order)
{
	__free_pages(phys_to_page(hpa), order);
}

/* From here on each page of the block is freed by itself. */
void tdx_pages_split_block(u64 hpa, unsigned int order)
{
	if (order)
		split_page(phys_to_page(hpa), order);
}

/*
 * A zeroed folio of 2^@order pages, naturally aligned; nodes as above.  Unlike
 * a large block it is no wish: there is no other form to fall back to.
 */
u64 tdx_pages_alloc_folio(unsigned int order, int nid)
{
	struct folio *folio;

	folio = __folio_alloc_node(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL,
				   order, usable_node(nid));

	return folio ? PFN_PHYS(folio_pfn(folio)) : 0;
}

/* Any context. */
void tdx_pages_free_folio(u64 hpa)
{
	folio_put(page_folio(phys_to_page(hpa)));
}

void *tdx_pages_va(u64 hpa)
{
	return phys_to_virt(hpa);
}

/* NULL if there is no memory.  May sleep, as the other. */
void *tdx_pages_vmap(struct page **pages, unsigned int count)
{
	return vmap(pages, count, VM_MAP, PAGE_KERNEL);
}

void tdx_pages_vunmap(const void *va)
{
	vunmap(va);
}

/*
 * Bytes of memory that its user may have mapped and may be writing to: no
 * business of a compiler that believes in one writer.
 */
void tdx_pages_copy_out(void *to, u64 hpa, size_t len)
{
	memcpy(to, phys_to_virt(hpa), len);
}

void tdx_pages_copy_in(u64 hpa, const void *from, size_t len)
{
	memcpy(phys_to_virt(hpa), from, len);
}

struct page *tdx_pages_page(u64 hpa)
{
	return phys_to_page(hpa);
}

int tdx_pages_nid(u64 hpa)
{
	return page_to_nid(phys_to_page(hpa));
}

/* Pages that can be had without swapping, as /proc/meminfo's MemAvailable. */
u64 tdx_pages_available(void)
{
	long pages = si_mem_available();

	return pages > 0 ? pages : 0;
}

void tdx_pages_clflush(u64 hpa, u64 bytes)
{
	clflush_cache_range(phys_to_virt(hpa), bytes);
}
