// SPDX-License-Identifier: GPL-2.0
/*
 * Runs jobs by turns, the product and the rival, and writes down what they took.
 *
 * In debugfs tdx_pages_bench/run: write "JOB PAGES ROUNDS MODE", read a line for
 * each step of each round.  MODE is "time", or "count" for what count.c sees, or
 * "alone" and "alone-rival" for one side without the other, or "cold" and
 * "cold-rival" for the same with no free page on any CPU's list before a round.
 * The clock is the TSC, which with QEMU's -icount shift=0 goes one further with
 * each instruction.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/tdx.h>
#include <asm/tsc.h>

#include <tdx_pages/bench.h>
#include <tdx_pages/bench_count.h>
#include <tdx_pages/helpers.h>
#include <tdx_pages/seamcall.h>

#define RESULTS		(4 << 20)
/* Microseconds, of which no small number makes a tick. */
#define OFF_BEAT	97
/* A control call of tdx_emu.ko, of which a real TDX Module knows nothing. */
#define CONTROL		(0xe5ULL << 24)
#define PING		0
#define RESET		1
#define CALLS		6
#define REG_BASE	0xfed90000

struct side {
	const char *name;
	void *(*new)(const void *context);
	void (*drop)(void *what);
	int (*create)(void *what, unsigned long pages);
	int (*create_tables)(void *what, unsigned long pages);
	int (*hand_over)(void *what);
	int (*set_up)(void *what, u64 reg_base);
	int (*hold)(void *what);
	int (*release)(void *what);
	int (*clear)(void *what);
	int (*recover)(void *what);
	void (*free)(void *what);
	size_t (*size)(void);
};

#define SIDE(word, who) {							\
	.name = word, .new = who##_new, .drop = who##_drop,			\
	.create = who##_create, .create_tables = who##_create_tables,		\
	.hand_over = who##_hand_over, .set_up = who##_set_up,			\
	.hold = who##_hold, .release = who##_release, .clear = who##_clear,	\
	.recover = who##_recover, .free = who##_free, .size = who##_size,	\
}

static const struct side sides[] = {
	SIDE("ours", tdx_pages_bench),
	SIDE("rival", rival),
};

enum step { CREATE, HAND_OVER, RELEASE, FREE, STEPS };

static const char * const step_names[] = { "create", "hand_over", "release", "free" };

/* What is done in a step; chosen before the clock runs. */
enum act {
	NOTHING, NEW_PAGES, NEW_TABLES, GIVE, SET_UP, HOLD, TAKE_BACK, TEAR_DOWN, RECOVER, LET_GO
};

static const struct job {
	const char *name;
	enum act acts[STEPS];
} jobs[] = {
	{ "create", { NEW_PAGES, NOTHING, NOTHING, LET_GO } },
	{ "life", { NEW_PAGES, GIVE, TAKE_BACK, LET_GO } },
	{ "iommu", { NEW_TABLES, SET_UP, TEAR_DOWN, LET_GO } },
	{ "pool", { NEW_PAGES, HOLD, RECOVER, LET_GO } },
};

/* The leaves that are counted. */
static const struct {
	u64 number;
	const char *name;
} leaves[] = {
	{ 28, "PHYMEM.PAGE.RECLAIM" },
	{ 41, "PHYMEM.PAGE.WBINVD" },
	{ 61, "EXT.MEM.ADD" },
	{ 128, "IOMMU.SETUP" },
	{ 129, "IOMMU.CLEAR" },
};

static const void *bench_context;
static struct dentry *bench_dir;
static DEFINE_MUTEX(bench_lock);
static struct seq_buf results;
/* Of tdx_emu.ko, if it is there. */
static u64 *emu_ticks, *emu_calls;
static u64 clock_cost;
/* How often all pages of a list were gone through. */
static u64 passes;
/* Calls of each leaf that tdx_emu.ko has forgotten. */
static u64 forgotten[ARRAY_SIZE(leaves)];
static bool counting;

static u64 control(u64 number, u64 *rcx, u64 *r8)
{
	struct tdx_module_args args = { .rcx = rcx ? *rcx : 0 };
	u64 ret = tdx_seamcall_ret(CONTROL | number, &args);

	if (r8)
		*r8 = args.r8;

	return ret;
}

static u64 calls_now(unsigned int i)
{
	u64 leaf = leaves[i].number, calls = 0;

	if (emu_calls)
		control(CALLS, &leaf, &calls);

	return calls;
}

/* Calls of a leaf since the kernel module was loaded, but for those while nothing was counted. */
static u64 calls_of(unsigned int i)
{
	return forgotten[i] + calls_now(i);
}

/* tdx_emu.ko forgets what it counted as well. */
u64 tdx_pages_bench_forget(void)
{
	unsigned int i;

	for (i = 0; counting && i < ARRAY_SIZE(leaves); i++)
		forgotten[i] += calls_now(i);

	return control(RESET, NULL, NULL);
}

void tdx_pages_bench_pass(void)
{
	passes++;
}

/* What a step took, on the clock, and in the software TDX Module. */
struct taken {
	u64 all;
	u64 emu;
	u64 calls;
};

static u64 now_emu(void)
{
	return emu_ticks ? READ_ONCE(*emu_ticks) : 0;
}

static u64 now_calls(void)
{
	return emu_calls ? READ_ONCE(*emu_calls) : 0;
}

static int do_act(const struct side *side, void *what, enum act act, unsigned long pages)
{
	switch (act) {
	case NEW_PAGES:
		return side->create(what, pages);
	case NEW_TABLES:
		return side->create_tables(what, pages);
	case GIVE:
		return side->hand_over(what);
	case SET_UP:
		return side->set_up(what, REG_BASE);
	case HOLD:
		return side->hold(what);
	case TAKE_BACK:
		return side->release(what);
	case TEAR_DOWN:
		return side->clear(what);
	case RECOVER:
		return tdx_pages_bench_forget() ? -EIO : side->recover(what);
	case LET_GO:
		side->free(what);
		return 0;
	default:
		return 0;
	}
}

/* One step on the clock, which is not told apart from the choice of what is done. */
static noinline int one_step(const struct side *side, void *what, enum act act,
			     unsigned long pages, u64 *took)
{
	u64 begin = rdtsc_ordered();
	int ret = do_act(side, what, act, pages);

	*took = rdtsc_ordered() - begin;

	return ret;
}

static int one_round(const struct side *side, const struct job *job, unsigned long pages,
		     unsigned int round, bool count)
{
	static u64 called[ARRAY_SIZE(leaves)];
	static struct taken taken[STEPS];
	static struct bench_counts counts[STEPS];
	struct bench_counts running = {};
	void *what = side->new(bench_context);
	unsigned int step, i;
	int ret = 0;

	if (!what)
		return -ENOMEM;
	for (i = 0; count && i < ARRAY_SIZE(leaves); i++)
		called[i] = calls_of(i);
	passes = 0;
	if (count)
		bench_count_on(&running);
	for (step = 0; step < STEPS && !ret; step++) {
		u64 emu, calls;

		if (count)
			bench_count_step();
		running.stretch = 0;
		emu = now_emu();
		calls = now_calls();
		ret = one_step(side, what, job->acts[step], pages, &taken[step].all);
		if (count)
			bench_count_step();
		taken[step].all -= min(taken[step].all, clock_cost);
		taken[step].emu = now_emu() - emu;
		taken[step].calls = now_calls() - calls;
		counts[step] = running;
	}
	if (count)
		bench_count_off();
	side->drop(what);
	for (step = 0; step < STEPS && !ret; step++) {
		const struct bench_counts *c = &counts[step];

		if (job->acts[step] == NOTHING)
			continue;
		if (!count)
			seq_buf_printf(&results, "time %s %s %lu %u %s %llu %llu %llu\n",
				       job->name, side->name, pages, round, step_names[step],
				       taken[step].all, taken[step].emu, taken[step].calls);
		else
			seq_buf_printf(&results,
				       "count %s %s %lu %u %s %llu %llu %lld %lld %llu %llu %lld %lld %llu %llu\n",
				       job->name, side->name, pages, round, step_names[step],
				       c->page_allocs, c->page_frees, c->pages, c->peak_pages,
				       c->slab_allocs, c->slab_frees, c->bytes, c->peak_bytes,
				       c->locks, c->stretch);
	}
	if (!ret && count) {
		seq_buf_printf(&results, "asked %s %s %lu %u handle %zu passes %llu", job->name,
			       side->name, pages, round, side->size(), passes);
		for (i = 0; i < ARRAY_SIZE(leaves); i++)
			if (calls_of(i) != called[i])
				seq_buf_printf(&results, " %s %llu", leaves[i].name,
					       calls_of(i) - called[i]);
		seq_buf_printf(&results, "\n");
	}

	return ret;
}

/* The kernel exports nothing that takes the free pages from the lists of the CPUs. */
static int drain(void)
{
	struct kprobe probe = { .symbol_name = "drain_all_pages" };
	void (*drain_all)(struct zone *zone);
	int ret = register_kprobe(&probe);

	if (ret)
		return ret;
	drain_all = (void *)probe.addr;
	unregister_kprobe(&probe);
	drain_all(NULL);

	return 0;
}

static int rounds(const struct job *job, unsigned long pages, unsigned int n, const char *mode)
{
	bool cold = strstarts(mode, "cold"), alone = cold || strstarts(mode, "alone");
	bool count = !strcmp(mode, "count"), rival = strstr(mode, "-rival");
	unsigned int round, i;
	int ret = 0;

	/* The module's own bookkeeping of pages begins anew with each job. */
	counting = false;
	if (emu_calls && tdx_pages_bench_forget())
		return -EIO;
	counting = count;
	if (count)
		ret = bench_count_begin();
	for (round = 0; round < n && !ret; round++) {
		for (i = 0; i < ARRAY_SIZE(sides) && !ret; i++) {
			if (alone && i != rival)
				continue;
			if (cold)
				ret = drain();
			if (ret)
				break;
			/* Lest a tick of the timer fall into the same step each time. */
			udelay(OFF_BEAT * (round + i));
			ret = one_round(&sides[i], job, pages, round, count);
			if (ret)
				pr_err("tdx_pages_bench: %s of %lu pages by %s: %d\n", job->name,
				       pages, sides[i].name, ret);
		}
	}
	if (count)
		bench_count_end();

	return ret;
}

/* The instruction with nothing around it: what is more than the model's time is the trap's. */
static void raw_ping(void)
{
	u64 rax = CONTROL | PING, rcx = 0;

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcf"
		     : "+a" (rax), "+c" (rcx)
		     : : "rdx", "r8", "r9", "r10", "r11", "cc", "memory");
}

/* The best of some tries: a timer that ticks meanwhile is none of its cost. */
#define TRIES		20
#define BATCH		50
#define CALIBRATE(word, what) do {						\
	u64 best = U64_MAX, emu, begin, took;					\
	unsigned int i, try;							\
										\
	for (try = 0; try < TRIES; try++) {					\
		emu = now_emu();						\
		begin = rdtsc_ordered();					\
		for (i = 0; i < BATCH; i++)					\
			what;							\
		took = rdtsc_ordered() - begin;					\
		took -= min(took, clock_cost + now_emu() - emu);		\
		best = min(best, took);						\
	}									\
	seq_buf_printf(&results, "calibrate %s %u %llu\n", word, BATCH, best);	\
} while (0)

/* What one SEAMCALL takes beside the model: by the trap, and by the kernel's entry. */
static int calibrate(u16 keyid)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	u64 unused;

	if (!page)
		return -ENOMEM;
	CALIBRATE("nothing", barrier());
	if (emu_ticks)
		CALIBRATE("trap", raw_ping());
	CALIBRATE("wbinvd", tdh_phymem_page_wbinvd_hkid(keyid, page_to_pfn(page)));
	/* Reserved bits: refused before anything is looked at. */
	if (emu_ticks)
		CALIBRATE("mem_add", tdh_ext_mem_add(1, &unused));
	CALIBRATE("resched", tdx_pages_resched());
	__free_page(page);

	return 0;
}

/* --- Several threads at once ------------------------------------------------ */

struct crowd {
	struct task_struct *task;
	const struct side *side;
	struct bench_counts counts;
	struct completion *go;
	struct completion ready;
	unsigned long pages;
	unsigned int lives;
	unsigned int number;
	int ret;
};

static int in_crowd(void *data)
{
	struct crowd *crowd = data;
	void *what = crowd->side->new(bench_context);
	unsigned int i;

	complete(&crowd->ready);
	wait_for_completion(crowd->go);
	bench_count_on(&crowd->counts);
	crowd->ret = what ? 0 : -ENOMEM;
	for (i = 0; what && i < crowd->lives && !crowd->ret; i++) {
		crowd->ret = crowd->side->create_tables(what, crowd->pages);
		if (!crowd->ret)
			crowd->ret = crowd->side->set_up(what,
							 REG_BASE + 0x1000 * crowd->number);
		if (!crowd->ret)
			crowd->ret = crowd->side->clear(what);
		crowd->side->free(what);
	}
	bench_count_off();
	if (what)
		crowd->side->drop(what);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

static int crowd(const struct side *side, unsigned int threads, unsigned long pages,
		 unsigned int lives)
{
	static struct crowd members[8];
	DECLARE_COMPLETION_ONSTACK(go);
	struct bench_counts sum = {};
	unsigned int i;
	int ret;

	if (emu_calls && control(RESET, NULL, NULL))
		return -EIO;
	ret = bench_count_begin();
	if (ret)
		return ret;
	for (i = 0; i < threads; i++) {
		members[i] = (struct crowd) {
			.side = side, .go = &go, .pages = pages, .lives = lives,
			.number = i,
		};
		init_completion(&members[i].ready);
		members[i].task = kthread_run(in_crowd, &members[i], "bench/%u", i);
		if (IS_ERR(members[i].task)) {
			ret = PTR_ERR(members[i].task);
			break;
		}
		/* One that is stopped before it has begun never does. */
		wait_for_completion(&members[i].ready);
	}
	threads = i;
	complete_all(&go);
	for (i = 0; i < threads; i++) {
		kthread_stop(members[i].task);
		ret = ret ?: members[i].ret;
		sum.locks += members[i].counts.locks;
		sum.shared += members[i].counts.shared;
		sum.waits += members[i].counts.waits;
		sum.spins += members[i].counts.spins;
	}
	bench_count_end();
	seq_buf_printf(&results, "threads %s %u %lu %u %llu %llu %llu %llu\n", side->name, threads,
		       pages, lives, sum.locks, sum.shared, sum.waits, sum.spins);

	return ret;
}

/* --- A machine that has single pages only ----------------------------------- */

static LIST_HEAD(kept);

/* Keeps every second page of all that can be had in larger pieces. */
static int fragment(void)
{
	const gfp_t gfp = (GFP_KERNEL | __GFP_NOWARN) & ~__GFP_RECLAIM;
	unsigned long all = 0, left = 0;
	unsigned int order, i;
	struct page *page;

	for (order = MAX_PAGE_ORDER; order; order--) {
		while ((page = alloc_pages(gfp, order))) {
			split_page(page, order);
			for (i = 0; i < 1U << order; i++) {
				if (i & 1)
					list_add(&page[i].lru, &kept);
				else
					__free_page(page + i);
			}
			all += 1UL << (order - 1);
		}
	}
	for (order = 1; order <= MAX_PAGE_ORDER; order++) {
		page = alloc_pages(gfp, order);
		if (!page)
			continue;
		__free_pages(page, order);
		left++;
	}
	seq_buf_printf(&results, "fragmented %lu %lu\n", all, left);

	return 0;
}

static void defragment(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &kept, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

/* --- Files ------------------------------------------------------------------ */

static int run(char *text)
{
	char job[16], mode[16] = "time";
	unsigned long pages;
	unsigned int n, i;
	int ret = 0;

	text = strim(text);
	if (!strcmp(text, "calibrate"))
		return calibrate(tdx_pages_bench_keyid(bench_context));
	if (!strcmp(text, "fragment"))
		return fragment();
	if (sscanf(text, "%15s %lu %u %15s", job, &pages, &n, mode) < 3 || !pages)
		return -EINVAL;
	if (!strcmp(job, "crowd")) {
		unsigned int threads;

		if (kstrtouint(mode, 0, &threads) || !threads || threads > 8)
			return -EINVAL;
		for (i = 0; i < ARRAY_SIZE(sides) && !ret; i++)
			ret = crowd(&sides[i], threads, pages, n);
		return ret;
	}
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		if (!strcmp(job, jobs[i].name))
			return rounds(&jobs[i], pages, n, mode);

	return -EINVAL;
}

static ssize_t run_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char *text = memdup_user_nul(buf, min_t(size_t, len, 128));
	int ret;

	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&bench_lock);
	ret = run(text);
	mutex_unlock(&bench_lock);
	kfree(text);

	return ret ?: len;
}

static ssize_t run_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	return simple_read_from_buffer(buf, len, pos, results.buffer, seq_buf_used(&results));
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
	.read = run_read,
};

int tdx_pages_bench_add(const void *context)
{
	void *room = vzalloc(RESULTS);
	unsigned int i;
	u64 took;

	if (!room)
		return -ENOMEM;
	seq_buf_init(&results, room, RESULTS);
	bench_context = context;
	emu_ticks = symbol_get(tdx_emu_bench_ticks);
	emu_calls = symbol_get(tdx_emu_bench_calls);
	clock_cost = U64_MAX;
	for (i = 0; i < TRIES; i++) {
		one_step(&sides[0], NULL, NOTHING, 0, &took);
		clock_cost = min(clock_cost, took);
	}
	bench_dir = debugfs_create_dir("tdx_pages_bench", NULL);
	debugfs_create_file("run", 0600, bench_dir, NULL, &run_fops);

	return 0;
}

void tdx_pages_bench_remove(void)
{
	debugfs_remove(bench_dir);
	defragment();
	if (emu_ticks)
		symbol_put(tdx_emu_bench_ticks);
	if (emu_calls)
		symbol_put(tdx_emu_bench_calls);
	vfree(results.buffer);
}
