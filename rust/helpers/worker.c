// SPDX-License-Identifier: GPL-2.0
/*
 * The delayed work that tries quarantined pages again, and the reboot notifier.
 *
 * C members, because the kernel crate's workqueue has no way to cancel: pending
 * delayed work would survive rmmod.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <tdx_pages/helpers.h>

struct tdx_pages_worker {
	struct delayed_work work;
	struct notifier_block reboot;
	const void *context;
	/* When the work is to run, in jiffies, if it is pending. */
	unsigned long due;
	bool stopped;
};

static void retry(struct work_struct *work)
{
	struct tdx_pages_worker *worker =
		container_of(to_delayed_work(work), struct tdx_pages_worker, work);
	unsigned long ms = tdx_pages_retry(worker->context);

	/* Unless it was kicked meanwhile, and will run earlier. */
	if (ms) {
		WRITE_ONCE(worker->due, jiffies + msecs_to_jiffies(ms));
		queue_delayed_work(system_dfl_wq, &worker->work, msecs_to_jiffies(ms));
	}
}

static int reboot(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct tdx_pages_worker *worker =
		container_of(nb, struct tdx_pages_worker, reboot);

	tdx_pages_down(worker->context);
	disable_delayed_work_sync(&worker->work);

	return NOTIFY_DONE;
}

/*
 * Nothing runs before the first kick.  @context must live until
 * tdx_pages_worker_free() has returned.  NULL if there is no memory.
 */
struct tdx_pages_worker *tdx_pages_worker_new(const void *context)
{
	struct tdx_pages_worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL);

	if (!worker)
		return NULL;
	worker->context = context;
	worker->reboot.notifier_call = reboot;
	INIT_DELAYED_WORK(&worker->work, retry);
	if (register_reboot_notifier(&worker->reboot)) {
		kfree(worker);
		return NULL;
	}

	return worker;
}

/* Lets the work run in @ms milliseconds, if it would not do so earlier.  Any context. */
void tdx_pages_worker_kick(struct tdx_pages_worker *worker, unsigned long ms)
{
	unsigned long due = jiffies + msecs_to_jiffies(ms);

	if (delayed_work_pending(&worker->work) &&
	    time_before_eq(READ_ONCE(worker->due), due))
		return;
	/* Before it is pending: whoever sees it pending must not see an older time. */
	WRITE_ONCE(worker->due, due);
	/* Unbound: a round may take long, and should not hold up a CPU. */
	mod_delayed_work(system_dfl_wq, &worker->work, msecs_to_jiffies(ms));
}

/*
 * After this the work neither runs nor is pending, a kick does nothing, and a
 * reboot is not heard of: the context may go, and so may this kernel module,
 * even if the worker itself is never freed.  Sleeps.
 */
void tdx_pages_worker_stop(struct tdx_pages_worker *worker)
{
	if (xchg(&worker->stopped, true))
		return;
	unregister_reboot_notifier(&worker->reboot);
	disable_delayed_work_sync(&worker->work);
}

/* Sleeps.  Nobody may kick it any more. */
void tdx_pages_worker_free(struct tdx_pages_worker *worker)
{
	tdx_pages_worker_stop(worker);
	kfree(worker);
}
