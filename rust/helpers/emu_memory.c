// SPDX-License-Identifier: GPL-2.0
/*
 * The machine that the software TDX Module runs on: its memory and its CPUs.
 *
 * A page may be unmapped (it is freed on a kernel with debug_pagealloc) or not
 * be there at all, so that nothing here may touch it in the plain way.
 */

#include <linux/bitops.h>
#include <linux/cpufeature.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/processor.h>
#include <linux/uaccess.h>

#include <asm/msr.h>

#include <tdx_pages/emu.h>

/* IA32_MTRRCAP bit 15: the CPU has the SEAM range registers. */
#define MTRRCAP_SEAMRR		BIT_ULL(15)

/* KeyIDs begin above; a CPU with KeyIDs has them taken off already. */
unsigned int tdx_emu_phys_bits(void)
{
	return boot_cpu_data.x86_phys_bits;
}

/* The page frame number behind the last page of RAM. */
u64 tdx_emu_end_of_ram(void)
{
	unsigned long end = 0;
	int nid;

	for_each_online_node(nid)
		end = max(end, pgdat_end_pfn(NODE_DATA(nid)));
	return end;
}

/*
 * Whether a real TDX Module may answer SEAMCALL here: the kernel found the
 * platform able, or the CPU has SEAM even though this kernel does not use it.
 */
bool tdx_emu_real_tdx(void)
{
	u64 cap;

	if (boot_cpu_has(X86_FEATURE_TDX_HOST_PLATFORM))
		return true;
	return boot_cpu_has(X86_FEATURE_MTRR) &&
	       !rdmsrq_safe(MSR_MTRRcap, &cap) && (cap & MTRRCAP_SEAMRR);
}

enum tdx_emu_kind tdx_emu_kind(u64 hpa)
{
	if (!pfn_valid(PHYS_PFN(hpa)))
		return TDX_EMU_ABSENT;
	if (PageReserved(pfn_to_page(PHYS_PFN(hpa))))
		return TDX_EMU_RESERVED;
	return TDX_EMU_RAM;
}

static u64 *emu_words(u64 hpa)
{
	if (!pfn_valid(PHYS_PFN(hpa)))
		return NULL;
	return __va(hpa & PAGE_MASK);
}

bool tdx_emu_read(u64 hpa, unsigned int index, u64 *word)
{
	const u64 *words = emu_words(hpa);

	if (!words || index >= PAGE_SIZE / sizeof(u64))
		return false;
	return !copy_from_kernel_nofault(word, words + index, sizeof(*word));
}

/*
 * The two that write do without copy_to_kernel_nofault(), which modules cannot
 * have.
 */
bool tdx_emu_write(u64 hpa, unsigned int index, u64 word)
{
	u64 *words = emu_words(hpa);

	if (!words || index >= PAGE_SIZE / sizeof(u64))
		return false;
	pagefault_disable();
	__put_kernel_nofault(words + index, &word, u64, fault);
	pagefault_enable();
	return true;
fault:
	pagefault_enable();
	return false;
}

/* The pattern is seed, seed + 1, ...: in Rust, model::machine::pattern(). */
bool tdx_emu_fill(u64 hpa, u64 seed)
{
	u64 *words = emu_words(hpa);
	unsigned int i;

	if (!words)
		return false;
	pagefault_disable();
	/* The loop costs more than the stores where instructions are emulated. */
	for (i = 0; i < PAGE_SIZE / sizeof(u64); i += 4) {
		const u64 four[] = { seed + i, seed + i + 1, seed + i + 2, seed + i + 3 };

		__put_kernel_nofault(words + i, four, u64, fault);
		__put_kernel_nofault(words + i + 1, four + 1, u64, fault);
		__put_kernel_nofault(words + i + 2, four + 2, u64, fault);
		__put_kernel_nofault(words + i + 3, four + 3, u64, fault);
	}
	pagefault_enable();
	return true;
fault:
	pagefault_enable();
	return false;
}

unsigned int tdx_emu_check(u64 hpa, u64 seed)
{
	const u64 *words = emu_words(hpa);
	unsigned int i;
	u64 word;

	if (!words)
		return TDX_EMU_UNREADABLE;
	pagefault_disable();
	for (i = 0; i < PAGE_SIZE / sizeof(u64); i++, seed++) {
		__get_kernel_nofault(&word, words + i, u64, fault);
		if (word == seed)
			continue;
		pagefault_enable();
		return i * sizeof(u64) + __ffs(word ^ seed) / BITS_PER_BYTE;
	}
	pagefault_enable();
	return TDX_EMU_INTACT;
fault:
	pagefault_enable();
	return TDX_EMU_UNREADABLE;
}
