// SPDX-License-Identifier: GPL-2.0
/*
 * What is said of a mistake of the host: what, and who made it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/stacktrace.h>

#include <tdx_pages/emu.h>

/* As many callers as it takes to leave the kernel's own SEAMCALL wrappers. */
#define CALLERS		8

void tdx_emu_say(const char *text, u64 ip)
{
	if (ip)
		pr_err("host bug: %s, by %pS\n", text, (void *)ip);
	else
		pr_err("host bug: %s\n", text);
}

/*
 * Who called the instruction at ip, which this is still in the exception of; or
 * whoever it was that came here, where ip is 0.
 */
void tdx_emu_say_callers(u64 ip)
{
#ifdef CONFIG_STACKTRACE
	unsigned long stack[40];
	/* Without this function and its caller, who has had his say. */
	unsigned int count = stack_trace_save(stack, ARRAY_SIZE(stack), 2);
	unsigned int i = 0, end;

	if (ip) {
		while (i < count && stack[i] != ip)
			i++;
		i++;
	}
	end = min(count, i + CALLERS);
	for (; i < end; i++)
		pr_err("  called by %pS\n", (void *)stack[i]);
#endif
}
