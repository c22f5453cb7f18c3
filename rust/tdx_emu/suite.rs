// SPDX-License-Identifier: GPL-2.0

//! The model on the memory of the real machine.
//!
//! The model itself is tested on the host, and the instruction by the suites of `tdx_pages.ko`,
//! which call SEAMCALL. What neither can see is whether `memory` means the right pages. These
//! tests use a model of their own, so that they disturb nobody who uses the one that answers.

use kernel::prelude::*;

#[kunit_tests(tdx_emu_memory)]
mod tests {
    use crate::{
        abi::{
            emu::Control,
            Hpa,
            Leaf,
            Status,
            ROOT_ENTRIES, //
        },
        bindings,
        memory::{
            phys_bits,
            Memory, //
        },
        model::{
            machine::{
                pattern,
                seed,
                Check,
                Kind, //
            },
            Config,
            Machine,
            Regs, //
        },
        trap::Emu, //
    };
    use kernel::{
        page::Page,
        prelude::*, //
    };

    const KEYID: u64 = 3;

    fn page() -> Result<(Page, Hpa)> {
        let page = Page::alloc_page(GFP_KERNEL)?;
        // SAFETY: The page is a page.
        let hpa = unsafe { bindings::tdx_emu_page_hpa(page.as_ptr().cast()) };
        Ok((page, Hpa::new(hpa).ok_or(EINVAL)?))
    }

    fn memory() -> Result<Memory> {
        Memory::new(u64::MAX)
    }

    fn emu() -> Result<KBox<Emu>> {
        let config = Config {
            phys_bits: phys_bits(),
            global_keyid: KEYID,
            features0: 1 << 6 | 1 << 39,
            pool_pages: 1,
            pool_u32: false,
            ext_required: 0,
            iommu_mt_pages: 0,
            spdm_mt_pages: 1,
            ide_mt_pages: 1,
            spdm_max_dev_info_pages: 1,
            profile_late: false,
        };
        Emu::new(memory()?, config)
    }

    fn call(emu: &Emu, rax: u64, rcx: u64, rdx: u64) -> Regs {
        let mut regs = Regs {
            rax,
            rcx,
            rdx,
            ..Regs::default()
        };
        emu.with(|model| model.seamcall(&mut regs));
        regs
    }

    /// Pages given up by the host's bugs, and pages that are owned.
    fn balance(emu: &Emu) -> (u64, u64) {
        let regs = call(emu, Control::Balance.leaf().raw(), 0, 0);
        (regs.r11, regs.r8 + regs.r9)
    }

    fn write(page: &Page, index: usize, word: u64) -> Result {
        let bytes = word.to_ne_bytes();
        // SAFETY: `bytes` is valid for the read, and nobody else writes to this page.
        unsafe { page.write_raw(bytes.as_ptr(), index * 8, bytes.len()) }
    }

    fn read(page: &Page, index: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        // SAFETY: `bytes` is valid for the write, and nobody else writes to this page.
        unsafe { page.read_raw(bytes.as_mut_ptr(), index * 8, bytes.len()) }?;
        Ok(u64::from_ne_bytes(bytes))
    }

    #[test]
    fn the_pattern_is_the_same_on_both_sides() -> Result {
        let mut memory = memory()?;
        let (page, hpa) = page()?;
        let seed = seed(hpa);
        expect_eq!(memory.fill(hpa, seed), true);
        expect_eq!(memory.check(hpa, seed), Check::Intact);
        for index in 0..ROOT_ENTRIES {
            expect_eq!(read(&page, index)?, pattern(seed, index));
        }
        for (index, bit) in [(511, 63), (100, 17), (0, 0)] {
            write(&page, index, pattern(seed, index) ^ 1 << bit)?;
            let offset = index as u64 * 8 + bit / 8;
            expect_eq!(memory.check(hpa, seed), Check::Changed(offset));
        }
        Ok(())
    }

    #[test]
    fn words_are_read_and_written_in_place() -> Result {
        let mut memory = memory()?;
        let (page, hpa) = page()?;
        expect_eq!(memory.kind(hpa), Kind::Ram);
        for (index, word) in [(0, 0x1234_5678_9abc_def0), (511, 7)] {
            expect_eq!(memory.write(hpa, index, word), true);
            expect_eq!(read(&page, index)?, word);
            write(&page, index, !word)?;
            expect_eq!(memory.read(hpa, index), Some(!word));
        }
        expect_eq!(memory.read(hpa, ROOT_ENTRIES), None);
        expect_eq!(memory.write(hpa, ROOT_ENTRIES, 0), false);
        Ok(())
    }

    #[test]
    fn what_is_no_memory_is_borne() -> Result {
        let mut memory = memory()?;
        let first = Hpa::new(0).ok_or(EINVAL)?;
        expect_eq!(memory.kind(first), Kind::Reserved);
        let last = Hpa::new(((1 << phys_bits()) - 1) & !0xfff).ok_or(EINVAL)?;
        let beyond = Hpa::new(0xf_ffff_ffff_f000).ok_or(EINVAL)?;
        for nowhere in [last, beyond] {
            expect_eq!(memory.kind(nowhere), Kind::Absent);
            expect_eq!(memory.read(nowhere, 0), None);
            expect_eq!(memory.write(nowhere, 0, 0), false);
            expect_eq!(memory.fill(nowhere, 0), false);
            expect_eq!(memory.check(nowhere, 0), Check::Unreadable);
        }
        Ok(())
    }

    #[test]
    fn a_host_write_to_an_owned_page_is_seen() -> Result {
        let emu = emu()?;
        let (root, root_hpa) = page()?;
        let (held, held_hpa) = page()?;
        write(&root, 0, held_hpa.get())?;
        let regs = call(&emu, Leaf::EXT_MEM_ADD.raw(), root_hpa.get(), 0);
        expect_eq!(Status::from_raw(regs.rax), Status::SUCCESS);
        expect_eq!(regs.rcx, root_hpa.get() | 1 << 3);
        expect_eq!(balance(&emu), (0, 1));
        write(&held, 9, 9)?;
        for _ in 0..2 {
            let regs = call(&emu, Control::Page.leaf().raw(), held_hpa.get(), 0);
            expect_eq!(Status::from_raw(regs.rax), Status::SUCCESS);
            expect_eq!(balance(&emu), (1, 1));
        }
        Ok(())
    }

    #[test]
    fn queues_are_taken_let_go_and_proved() -> Result {
        let emu = emu()?;
        let (root, root_hpa) = page()?;
        let (first, second) = (page()?, page()?);
        write(&root, 0, first.1.get())?;
        write(&root, 1, second.1.get())?;
        let base = 0xf_ffff_f000 & ((1 << phys_bits()) - 1);
        let regs = call(&emu, Leaf::IOMMU_SETUP.raw(), base, root_hpa.get());
        expect_eq!(Status::from_raw(regs.rax), Status::SUCCESS);
        let id = regs.rcx;
        expect_eq!(read(&second.0, 5)?, pattern(seed(second.1), 5));
        write(&root, 0, 0)?;
        let regs = call(&emu, Leaf::IOMMU_CLEAR.raw(), id, root_hpa.get());
        expect_eq!(Status::from_raw(regs.rax), Status::SUCCESS);
        expect_eq!(read(&root, 0)?, first.1.get());
        for hpa in [first.1, second.1] {
            let word = KEYID << phys_bits() | hpa.get();
            let regs = call(&emu, Leaf::PHYMEM_PAGE_WBINVD.raw(), word, 0);
            expect_eq!(Status::from_raw(regs.rax), Status::SUCCESS);
        }
        let balance = emu.with(|model| model.balance());
        expect_eq!((balance.taken, balance.released), (2, 2));
        expect_eq!(emu.with(|model| model.bugs().total()), 0);
        Ok(())
    }
}
