// SPDX-License-Identifier: GPL-2.0
/*
 * What Rust asks of the platform.
 */
#include <linux/acpi.h>
#include <linux/cpufeature.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/processor.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/timex.h>
#include <linux/version.h>

#include <asm/tsc.h>

#include <tdx_pages/helpers.h>

MODULE_VERSION("0.1");

/* The kernel found TDX KeyIDs: a real TDX Module may be there. */
bool tdx_pages_on_tdx_platform(void)
{
	return boot_cpu_has(X86_FEATURE_TDX_HOST_PLATFORM);
}

/* A partial write to memory that had a private KeyID raises a machine check. */
bool tdx_pages_has_pw_mce(void)
{
	return boot_cpu_has_bug(X86_BUG_TDX_PW_MCE);
}

/* Physical address bits, those of the KeyIDs already taken off. */
unsigned int tdx_pages_phys_bits(void)
{
	return boot_cpu_data.x86_phys_bits;
}

/* The ACPI DMAR table with its header, or NULL.  To be put by the caller. */
const void *tdx_pages_dmar_get(size_t *len)
{
	struct acpi_table_header *table;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_DMAR, 0, &table)))
		return NULL;
	*len = table->length;

	return table;
}

void tdx_pages_dmar_put(const void *table)
{
	acpi_put_table((struct acpi_table_header *)table);
}

/* The NUMA node of an ACPI proximity domain, or NUMA_NO_NODE. */
int tdx_pages_proximity_node(u32 proximity)
{
#ifdef CONFIG_ACPI_NUMA
	if (proximity <= INT_MAX)
		return pxm_to_node(proximity);
#endif
	return NUMA_NO_NODE;
}

/* This kernel may have turned Dynamic PAMT on, and gives no sign of it here. */
bool tdx_pages_dynamic_pamt(void)
{
	return LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0);
}

unsigned int tdx_pages_possible_cpus(void)
{
	return num_possible_cpus();
}

/*
 * Whether one more message about an object is bearable: a thousand objects in
 * trouble need not make a thousand lines.  Tells itself how many were left out.
 */
bool tdx_pages_may_tell(void)
{
	static DEFINE_RATELIMIT_STATE(state, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&state);
}

/* The same for what went well, so that it does not drown what did not. */
bool tdx_pages_may_tell_news(void)
{
	static DEFINE_RATELIMIT_STATE(state, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&state);
}

/*
 * The same for what a driver did wrong.  Apart, so that a driver in a loop does
 * not drown what is said of pages; and with more of them, since each is about
 * another call.
 */
bool tdx_pages_may_tell_misuse(void)
{
	static DEFINE_RATELIMIT_STATE(state, DEFAULT_RATELIMIT_INTERVAL, 100);

	return __ratelimit(&state);
}

/* Keeps this kernel module loaded; false if it is going. */
bool tdx_pages_hold(void)
{
	return try_module_get(THIS_MODULE);
}

void tdx_pages_let_go(void)
{
	module_put(THIS_MODULE);
}

void tdx_pages_resched(void)
{
	cond_resched();
}

/* The time stamp counter: what SEAMCALLs are timed with, since it costs next to nothing. */
u64 tdx_pages_ticks(void)
{
	return get_cycles();
}

/* Its rate, or 0 if the kernel does not know it. */
unsigned int tdx_pages_tsc_khz(void)
{
	return tsc_khz;
}

/* The kernel's coarse clock, which takes no more than a load to read.  Any context. */
unsigned long tdx_pages_jiffies(void)
{
	return jiffies;
}

/* Nanoseconds since it was @then. */
u64 tdx_pages_ns_since(unsigned long then)
{
	return jiffies_to_nsecs(jiffies - then);
}
