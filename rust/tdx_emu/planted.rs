// SPDX-License-Identifier: GPL-2.0

//! Host bugs of every kind, planted: each is seen at the moment it happens, and counted.
//!
//! These tests are a host of their own that makes its mistakes by the instruction itself, so that
//! what is tried is the way from there to the line in the kernel log. They use the TDX Module that
//! answers, and skip while anybody else does.

use kernel::prelude::*;

#[kunit_tests(tdx_emu_host_bugs)]
mod tests {
    use crate::{
        abi::{
            emu::{
                Control,
                MAGIC, //
            },
            field::Field,
            Leaf,
            Status, //
        },
        bindings,
        memory::phys_bits,
        model::{
            bugs::Bug,
            Regs, //
        }, //
    };
    use kernel::prelude::*;

    const FEATURES: u64 = 1 << 6 | 1 << 39;
    const WANTS_FLUSH: u64 = 1 << 23;

    fn call(rax: u64, operands: [u64; 6]) -> (Status, Regs) {
        let [rcx, rdx, r8, r9, r10, r11] = operands;
        let mut regs = Regs {
            rax,
            rcx,
            rdx,
            r8,
            r9,
            r10,
            r11,
            ..Regs::default()
        };
        // SAFETY: `regs` is valid, and both structs are alike, as `trap` asserts. This kernel
        // module is loaded, so there is no real TDX Module.
        unsafe { bindings::tdx_emu_test_seamcall(core::ptr::from_mut(&mut regs).cast()) };
        (Status::from_raw(regs.rax), regs)
    }

    fn ask(control: Control, operands: [u64; 3]) -> Result<Regs> {
        let [rcx, rdx, r8] = operands;
        let (status, regs) = call(control.leaf().raw(), [rcx, rdx, r8, 0, 0, 0]);
        expect_eq!(status, Status::SUCCESS);
        Ok(regs)
    }

    /// Pages of the host, in one piece, unless they were freed.
    struct Pages {
        hpa: u64,
        order: u32,
        freed: bool,
    }

    impl Pages {
        fn new(order: u32) -> Result<Self> {
            // SAFETY: It may sleep here.
            let hpa = unsafe { bindings::tdx_emu_test_alloc(order) };
            if hpa == 0 {
                return Err(ENOMEM);
            }
            let freed = false;
            Ok(Self { hpa, order, freed })
        }

        fn at(&self, n: u64) -> u64 {
            self.hpa + n * 4096
        }

        fn write(&self, index: u32, word: u64) -> Result {
            // SAFETY: The page is a test's, which wants just this.
            let done = unsafe { bindings::tdx_emu_write(self.hpa, index, word) };
            done.then_some(()).ok_or(EINVAL)
        }

        fn list(&self, words: &[u64]) -> Result {
            for (index, word) in (0..).zip(words) {
                self.write(index, *word)?;
            }
            Ok(())
        }

        fn write_back(&self, bytes: u32) {
            // SAFETY: The pages are mapped.
            unsafe { bindings::tdx_emu_test_flush(self.hpa, bytes) };
        }

        fn free(&mut self) {
            if !core::mem::replace(&mut self.freed, true) {
                // SAFETY: They were allocated with this order, and are freed once.
                unsafe { bindings::tdx_emu_test_free(self.hpa, self.order) };
            }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            self.free();
        }
    }

    /// The TDX Module that answers, and pages to give it. What it takes it forgets before they are
    /// freed.
    struct Emu {
        root: Pages,
        a: Pages,
        b: Pages,
        // Two pages in one piece, twice.
        queues: [Pages; 2],
    }

    impl Drop for Emu {
        fn drop(&mut self) {
            let _ = ask(Control::Reset, [0; 3]);
        }
    }

    /// [`None`] where somebody uses it, or where bugs of this kind cannot be seen.
    fn begin(bug: Bug) -> Result<Option<Emu>> {
        let balance = ask(Control::Balance, [0; 3])?;
        let sees = ask(Control::HostBugs, [bug as u64, 0, 0])?.rdx == 1;
        if balance.r8 + balance.r9 > 0 || !sees {
            let why = if sees {
                c"somebody has pages with it"
            } else {
                c"this kernel has no way to see that"
            };
            // SAFETY: Called from a test, with a string.
            unsafe { bindings::tdx_emu_test_skip(why.as_char_ptr()) };
            return Ok(None);
        }
        let emu = Emu {
            root: Pages::new(0)?,
            a: Pages::new(0)?,
            b: Pages::new(0)?,
            queues: [Pages::new(1)?, Pages::new(1)?],
        };
        ask(Control::Reset, [0; 3])?;
        for (field, value) in [
            (Field::FEATURES0, FEATURES),
            (Field::POOL_REQUIRED_PAGES_U16, 600),
            (Field::EXT_REQUIRED_U16, 0),
            (Field::IOMMU_MT_PAGE_COUNT, 0),
            (Field::SPDM_MT_PAGE_COUNT, 1),
        ] {
            ask(Control::SetField, [field.raw(), value, 0])?;
        }
        Ok(Some(emu))
    }

    impl Emu {
        /// Exactly one bug, of this kind, about this page; by an instruction, or by none.
        fn saw(&self, bug: Bug, page: u64, in_call: bool) -> Result {
            expect_eq!(ask(Control::Balance, [0; 3])?.r11, 1);
            let regs = ask(Control::HostBugs, [bug as u64, 0, 0])?;
            expect_eq!((regs.r8, regs.r9), (1, page));
            expect_eq!(regs.r11 != 0, in_call);
            Ok(())
        }

        /// Gives the pages of a list to the pool.
        fn add(&self, words: &[u64]) -> Result<(Status, u64)> {
            self.root.list(words)?;
            let count = (words.len() as u64 - 1) << 55;
            let word = self.root.hpa | count;
            let (status, regs) = call(Leaf::EXT_MEM_ADD.raw(), [word, 0, 0, 0, 0, 0]);
            Ok((status, regs.rcx))
        }

        /// Sets an IOMMU up with the queues and no more; gives the id.
        fn set_up(&self, base: u64) -> Result<(Status, u64)> {
            let [first, second] = &self.queues;
            self.root.list(&[first.hpa | 2, second.hpa | 2])?;
            let operands = [base, self.root.hpa, 0, 0, 0, 0];
            let (status, regs) = call(Leaf::IOMMU_SETUP.raw(), operands);
            Ok((status, regs.rcx))
        }

        fn clear(&self, id: u64) -> Status {
            let operands = [id, self.root.hpa, 0, 0, 0, 0];
            call(Leaf::IOMMU_CLEAR.raw(), operands).0
        }

        fn prove(&self, page: u64, keyid: u64) -> Status {
            let word = keyid << phys_bits() | page;
            call(Leaf::PHYMEM_PAGE_WBINVD.raw(), [word, 0, 0, 0, 0, 0]).0
        }
    }

    /// No memory is there.
    fn base(n: u64) -> u64 {
        (1 << (phys_bits() - 1)) + n * 4096
    }

    fn keyid() -> u64 {
        crate::linux::parameter::<u32>(crate::module_parameters::global_keyid.value()).into()
    }

    /// What follows, if the TDX Module is free.
    macro_rules! with {
        ($bug:expr, $emu:ident, $body:block) => {{
            let Some(mut $emu) = begin($bug)? else {
                return Ok(());
            };
            let $emu = &mut $emu;
            $body
        }};
    }

    #[test]
    fn it_answers() -> Result {
        expect_eq!(ask(Control::Ping, [0; 3])?.r8, MAGIC);
        Ok(())
    }

    #[test]
    fn a_held_page_is_written_to() -> Result {
        with!(Bug::Changed, emu, {
            expect_eq!(emu.add(&[emu.a.hpa])?.0, Status::SUCCESS);
            emu.a.write(3, 0)?;
            ask(Control::Page, [emu.a.hpa, 0, 0])?;
            emu.saw(Bug::Changed, emu.a.hpa, true)
        })
    }

    #[test]
    fn another_keyid_is_flushed() -> Result {
        with!(Bug::WrongKeyId, emu, {
            expect_eq!(emu.prove(emu.a.hpa, keyid() ^ 1), Status::SUCCESS);
            emu.saw(Bug::WrongKeyId, emu.a.hpa, true)
        })
    }

    #[test]
    fn a_held_page_is_a_list_page() -> Result {
        with!(Bug::ListIsHeld, emu, {
            expect_eq!(emu.add(&[emu.a.hpa])?.0, Status::SUCCESS);
            let (status, _) = call(Leaf::EXT_MEM_ADD.raw(), [emu.a.hpa, 0, 0, 0, 0, 0]);
            expect_eq!(status.is_success(), false);
            emu.saw(Bug::ListIsHeld, emu.a.hpa, true)
        })
    }

    #[test]
    fn a_held_page_is_a_root_page() -> Result {
        with!(Bug::ListIsHeld, emu, {
            expect_eq!(emu.add(&[emu.a.hpa])?.0, Status::SUCCESS);
            let operands = [base(0), emu.a.hpa, 0, 0, 0, 0];
            let (status, _) = call(Leaf::IOMMU_SETUP.raw(), operands);
            expect_eq!(status.is_success(), false);
            emu.saw(Bug::ListIsHeld, emu.a.hpa, true)
        })
    }

    #[test]
    fn a_held_page_is_to_take_a_message() -> Result {
        with!(Bug::ListIsHeld, emu, {
            expect_eq!(emu.set_up(base(0))?.0, Status::SUCCESS);
            let (status, regs) = call(Leaf::SPDM_CREATE.raw(), [8, emu.a.hpa, 0, 0, 0, 0]);
            expect_eq!(status, Status::SUCCESS);
            let (info, held) = (emu.root.hpa, emu.a.hpa);
            let operands = [regs.rcx, emu.root.hpa, emu.b.hpa, held, info, 0];
            let (status, _) = call(Leaf::SPDM_CONNECT.raw(), operands);
            expect_eq!(status.is_success(), false);
            emu.saw(Bug::ListIsHeld, held, true)
        })
    }

    #[test]
    fn a_list_lists_itself() -> Result {
        with!(Bug::ListListsItself, emu, {
            expect_eq!(emu.add(&[emu.root.hpa])?.0.is_success(), false);
            emu.saw(Bug::ListListsItself, emu.root.hpa, true)
        })
    }

    #[test]
    fn a_complete_list_is_fed_again() -> Result {
        with!(Bug::ListWasComplete, emu, {
            let (status, word) = emu.add(&[emu.a.hpa, emu.b.hpa])?;
            expect_eq!(status, Status::SUCCESS);
            let (status, _) = call(Leaf::EXT_MEM_ADD.raw(), [word, 0, 0, 0, 0, 0]);
            expect_eq!(status.is_success(), false);
            emu.saw(Bug::ListWasComplete, emu.root.hpa, true)
        })
    }

    #[test]
    fn a_call_goes_on_with_other_operands() -> Result {
        with!(Bug::OtherOperands, emu, {
            ask(Control::Interrupt, [Leaf::IOMMU_SETUP.number(), 1, 0])?;
            expect_eq!(emu.set_up(base(0))?.0, Status::INTERRUPTED_RESUMABLE);
            expect_eq!(emu.set_up(base(1))?.0, Status::INVALID_RESUMPTION);
            emu.saw(Bug::OtherOperands, base(1), true)
        })
    }

    #[test]
    fn a_list_is_changed_during_a_call() -> Result {
        with!(Bug::ListTouched, emu, {
            ask(Control::Interrupt, [Leaf::EXT_MEM_ADD.number(), 1, 0])?;
            let (status, word) = emu.add(&[emu.a.hpa, emu.b.hpa])?;
            expect_eq!(status, Status::INTERRUPTED_RESUMABLE);
            emu.root.list(&[0, emu.queues[0].hpa])?;
            let (status, _) = call(Leaf::EXT_MEM_ADD.raw(), [word, 0, 0, 0, 0, 0]);
            expect_eq!(status, Status::SUCCESS);
            emu.saw(Bug::ListTouched, emu.root.hpa, true)
        })
    }

    #[test]
    fn a_held_page_is_freed() -> Result {
        with!(Bug::FreeOfHeld, emu, {
            let [_, queue] = &emu.queues;
            let second = queue.at(1);
            expect_eq!(emu.add(&[second])?.0, Status::SUCCESS);
            let [_, queue] = &mut emu.queues;
            queue.free();
            emu.saw(Bug::FreeOfHeld, second, false)
        })
    }

    #[test]
    fn a_page_is_freed_that_is_not_proved() -> Result {
        with!(Bug::FreeOfUnproved, emu, {
            let (status, id) = emu.set_up(base(0))?;
            expect_eq!((status, emu.clear(id)), (Status::SUCCESS, Status::SUCCESS));
            let [queue, _] = &emu.queues;
            let second = queue.at(1);
            expect_eq!(emu.prove(queue.hpa, keyid()), Status::SUCCESS);
            let [queue, _] = &mut emu.queues;
            queue.free();
            emu.saw(Bug::FreeOfUnproved, second, false)
        })
    }

    #[test]
    fn a_page_is_handed_over_again_that_is_not_proved() -> Result {
        with!(Bug::TakenUnproved, emu, {
            let (status, id) = emu.set_up(base(0))?;
            expect_eq!((status, emu.clear(id)), (Status::SUCCESS, Status::SUCCESS));
            let [queue, _] = &emu.queues;
            expect_eq!(emu.add(&[queue.at(1)])?.0, Status::SUCCESS);
            emu.saw(Bug::TakenUnproved, queue.at(1), true)
        })
    }

    fn wants_flush() -> Result {
        let features = FEATURES | WANTS_FLUSH;
        ask(Control::SetField, [Field::FEATURES0.raw(), features, 0]).map(drop)
    }

    #[test]
    fn a_page_is_not_written_back() -> Result {
        with!(Bug::FlushMissing, emu, {
            wants_flush()?;
            emu.a.write_back(4096);
            // A part of a page is none.
            emu.b.write_back(4095);
            expect_eq!(emu.add(&[emu.a.hpa, emu.b.hpa])?.0, Status::SUCCESS);
            emu.saw(Bug::FlushMissing, emu.b.hpa, true)
        })
    }

    #[test]
    fn half_a_block_is_written_back() -> Result {
        with!(Bug::FlushHalf, emu, {
            wants_flush()?;
            let [first, second] = &emu.queues;
            first.write_back(2 * 4096);
            second.write_back(4096);
            expect_eq!(emu.set_up(base(0))?.0, Status::SUCCESS);
            emu.saw(Bug::FlushHalf, second.at(1), true)
        })
    }

    #[test]
    fn a_page_is_written_back_too_early() -> Result {
        with!(Bug::FlushTooEarly, emu, {
            wants_flush()?;
            emu.a.write_back(4096);
            emu.b.write_back(4096);
            emu.b.write(511, 1)?;
            expect_eq!(emu.add(&[emu.a.hpa, emu.b.hpa])?.0, Status::SUCCESS);
            emu.saw(Bug::FlushTooEarly, emu.b.hpa, true)
        })
    }
}
