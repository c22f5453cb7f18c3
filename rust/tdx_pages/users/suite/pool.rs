// SPDX-License-Identifier: GPL-2.0

//! The extension pool.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_pool)]
mod tests {
    use super::super::*;

    #[test]
    fn sizes() -> Result {
        for pages in [1, 2, 511, 512, 513, 1024, 1537] {
            let Some(emu) = begin(pages)? else {
                return Ok(());
            };
            let attached = Attached::new(pool_only(&[]))?;
            expect_eq!(emu.balance()?.pool, pages);
            let calls = pages.div_ceil(512);
            expect_eq!(emu.calls(Leaf::EXT_MEM_ADD)?, (calls, calls));
            expect_eq!(emu.calls(Leaf::EXT_INIT)?, (1, 1));
            expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
            let balance = attached.kernel().users().ext_pool.account().balance();
            expect_eq!(balance.held_for_good, usize::try_from(pages)?);
            end(&emu, attached, usize::try_from(pages)?)?;
        }
        Ok(())
    }

    #[test]
    fn large_sizes() -> Result {
        for pages in [12_800, 65_537] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            emu.unset(Field::POOL_REQUIRED_PAGES_U16)?;
            emu.set(Field::POOL_REQUIRED_PAGES_U32, pages)?;
            let attached = Attached::new(pool_only(&[]))?;
            expect_eq!(emu.balance()?.pool, pages);
            let calls = pages.div_ceil(512);
            expect_eq!(emu.calls(Leaf::EXT_MEM_ADD)?, (calls, calls));
            end(&emu, attached, usize::try_from(pages)?)?;
        }
        Ok(())
    }

    #[test]
    fn no_pages_but_init() -> Result {
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(pool_only(&[]))?;
        expect_eq!(emu.calls(Leaf::EXT_MEM_ADD)?, (0, 0));
        expect_eq!(emu.calls(Leaf::EXT_INIT)?, (1, 1));
        end(&emu, attached, 0)
    }

    #[test]
    fn in_place_the_second_time() -> Result {
        let Some(emu) = begin(40)? else {
            return Ok(());
        };
        let first = Attached::new(pool_only(&[]))?;
        let second = Attached::new(pool_only(&[]))?;
        expect_eq!(emu.calls(Leaf::EXT_MEM_ADD)?, (1, 1));
        expect_eq!(emu.calls(Leaf::EXT_INIT)?, (1, 1));
        drop(second);
        end(&emu, first, 40)
    }

    #[test]
    fn interrupted_after_every_k_entries() -> Result {
        for k in [1, 2, 3, 7, 36, 37, 511, 512, 513] {
            let Some(emu) = begin(549)? else {
                return Ok(());
            };
            emu.interrupt(Leaf::EXT_MEM_ADD, k)?;
            let attached = Attached::new(pool_only(&[]))?;
            expect_eq!(emu.balance()?.pool, 549);
            // A list that is complete is not interrupted: 512 entries, then 37.
            let calls = 512u64.div_ceil(k) + 37u64.div_ceil(k);
            expect_eq!((k, emu.calls(Leaf::EXT_MEM_ADD)?), (k, (calls, 2)));
            end(&emu, attached, 549)?;
        }
        Ok(())
    }

    #[test]
    fn fails_at_batch_k() -> Result {
        for batch in 1..=3u64 {
            for when in [Fault::Before, Fault::After] {
                let Some(emu) = begin(1100)? else {
                    return Ok(());
                };
                emu.fail(
                    Leaf::EXT_MEM_ADD,
                    batch,
                    1,
                    Status::CONNECT_INVALID_STATE,
                    when,
                )?;
                let taken = match when {
                    Fault::Before => (batch - 1) * 512,
                    Fault::After => (batch * 512).min(1100),
                };
                let attached = Attached::new(pool_only(&[]));
                expect_eq!(emu.balance()?.pool, taken);
                expect_eq!(emu.calls(Leaf::EXT_INIT)?, (0, 0));
                match attached {
                    // Nothing was taken, so there is nothing to keep a record of.
                    Err(error) => expect_eq!((taken, error), (0, EIO)),
                    Ok(attached) => {
                        let taken = usize::try_from(taken)?;
                        let balance = attached.kernel().users().ext_pool.account().balance();
                        expect_eq!(balance.held_for_good, taken);
                        end(&emu, attached, taken)?;
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn not_executed_half_way() -> Result {
        let Some(emu) = begin(1100)? else {
            return Ok(());
        };
        emu.fail(Leaf::EXT_MEM_ADD, 2, 1, Status::SYS_SHUTDOWN, Fault::Before)?;
        let attached = Attached::new(pool_only(&[]))?;
        // The second list never reached the TDX Module: no proof is needed.
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        expect_eq!(emu.balance()?.pool, 512);
        end(&emu, attached, 512)
    }

    #[test]
    fn busy_is_tried_again() -> Result {
        let Some(emu) = begin(600)? else {
            return Ok(());
        };
        emu.fail(Leaf::EXT_MEM_ADD, 2, 3, Status::SYS_BUSY, Fault::Before)?;
        emu.fail(Leaf::EXT_INIT, 1, 2, Status::SYS_BUSY, Fault::Before)?;
        let attached = Attached::new(pool_only(&[]))?;
        expect_eq!(emu.calls(Leaf::EXT_MEM_ADD)?, (5, 2));
        expect_eq!(emu.calls(Leaf::EXT_INIT)?, (3, 1));
        expect_eq!(emu.balance()?.pool, 600);
        end(&emu, attached, 600)
    }

    #[test]
    fn a_note_beside_success_ends_the_pool() -> Result {
        for batch in [1, 2] {
            let Some(emu) = begin(1024)? else {
                return Ok(());
            };
            // "Pool full" is success with a note; its number is not known.
            let note = Status::from_raw(0x0000_7e00_0000_0000);
            emu.fail(Leaf::EXT_MEM_ADD, batch, 1, note, Fault::After)?;
            let attached = Attached::new(pool_only(&[]))?;
            let taken = batch * 512;
            expect_eq!(emu.balance()?.pool, taken);
            expect_eq!(emu.calls(Leaf::EXT_INIT)?.0, 1);
            let taken = usize::try_from(taken)?;
            let balance = attached.kernel().users().ext_pool.account().balance();
            expect_eq!(balance.held_for_good, taken);
            end(&emu, attached, taken)?;
        }
        Ok(())
    }

    #[test]
    fn init_is_resumed_and_may_fail() -> Result {
        let Some(emu) = begin(40)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::EXT_INIT, 5)?;
        let attached = Attached::new(pool_only(&[]))?;
        expect_eq!(emu.calls(Leaf::EXT_INIT)?, (6, 1));
        end(&emu, attached, 40)?;

        let Some(emu) = begin(40)? else {
            return Ok(());
        };
        emu.fail(
            Leaf::EXT_INIT,
            1,
            1,
            Status::CONNECT_INVALID_STATE,
            Fault::Before,
        )?;
        let attached = Attached::new(pool_only(&[]))?;
        let balance = attached.kernel().users().ext_pool.account().balance();
        expect_eq!(balance.held_for_good, 40);
        end(&emu, attached, 40)
    }

    #[test]
    fn init_interrupted_for_ever_is_given_up() -> Result {
        let Some(emu) = begin(40)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::EXT_INIT, u64::from(u32::MAX))?;
        let attached = Attached::new(pool_only(&[]))?;
        expect_eq!(emu.calls(Leaf::EXT_INIT)?.1, 0);
        end(&emu, attached, 40)
    }

    #[test]
    fn more_than_half_the_memory_is_refused() -> Result {
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let pages = crate::mm::available_pages();
        emu.unset(Field::POOL_REQUIRED_PAGES_U16)?;
        emu.set(Field::POOL_REQUIRED_PAGES_U32, pages)?;
        refused(&emu, pool_only(&[]), ENOMEM)?;
        emu.set(Field::POOL_REQUIRED_PAGES_U32, u64::from(u32::MAX))?;
        refused(&emu, pool_only(&[]), ENOMEM)
    }
}
