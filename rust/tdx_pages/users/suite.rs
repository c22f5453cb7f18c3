// SPDX-License-Identifier: GPL-2.0

//! Whole lives, attach to detach, against the software TDX Module.

use crate::abi::{
    field::{
        Features0,
        Field, //
    },
    Leaf,
    Status, //
};
use crate::attach::{
    Attached,
    Choice,
    DmarSource,
    Options, //
};
use crate::emu::{
    Emu,
    Fault,
    KEYID, //
};
use kernel::{
    prelude::*,
    time::Delta, //
};

/// Two remapping units of a made-up machine, on two nodes.
const UNITS: [u64; 2] = [0xfed9_0000, 0xfed9_1000];

/// IOMMU_MT_PAGE_COUNT of the tests, and the pages of one IOMMU_MT with it.
const SINGLES: u64 = 3;
const TABLE_PAGES: usize = 7;

/// A DMAR table with a DRHD and an RHSA structure for each unit.
pub(crate) fn dmar(units: &[u64]) -> Result<KVec<u8>> {
    let mut table = KVec::from_elem(0u8, 48, GFP_KERNEL)?;
    for (segment, base) in units.iter().enumerate() {
        let segment = u16::try_from(segment)?.to_le_bytes();
        table.extend_from_slice(&[0, 0, 16, 0, 0, 0, segment[0], segment[1]], GFP_KERNEL)?;
        table.extend_from_slice(&base.to_le_bytes(), GFP_KERNEL)?;
    }
    for (node, base) in units.iter().enumerate() {
        table.extend_from_slice(&[3, 0, 20, 0, 0, 0, 0, 0], GFP_KERNEL)?;
        table.extend_from_slice(&base.to_le_bytes(), GFP_KERNEL)?;
        table.extend_from_slice(&u32::try_from(node)?.to_le_bytes(), GFP_KERNEL)?;
    }
    let len = u32::try_from(table.len())?.to_le_bytes();
    table[4..8].copy_from_slice(&len);
    Ok(table)
}

fn options(dmar: &[u8]) -> Options<'_> {
    Options {
        global_keyid: KEYID,
        dmar: DmarSource::Bytes(dmar),
        patience: Delta::from_millis(50),
        ..Options::default()
    }
}

fn pool_only(dmar: &[u8]) -> Options<'_> {
    Options {
        iommu: Choice::Off,
        ..options(dmar)
    }
}

fn iommu_only(dmar: &[u8]) -> Options<'_> {
    Options {
        pool: false,
        ..options(dmar)
    }
}

/// A fresh software TDX Module with a small pool.
fn begin(pool: u64) -> Result<Option<Emu>> {
    let Some(emu) = Emu::begin() else {
        return Ok(None);
    };
    emu.set(Field::POOL_REQUIRED_PAGES_U16, pool)?;
    emu.set(Field::IOMMU_MT_PAGE_COUNT, SINGLES)?;
    Ok(Some(emu))
}

/// Detaches after the software TDX Module forgot the pool, so that no page stays behind.
fn end(emu: &Emu, attached: Attached, pool: usize) -> Result {
    expect_eq!(emu.balance()?.host_bugs, 0);
    let kernel = attached.kernel().clone();
    emu.reset()?;
    // The IOMMUs are gone with the rest, so clearing them fails: only a pool comes this way.
    expect_eq!(kernel.recover(), pool);
    drop(attached);
    expect_eq!(emu.balance()?.host_bugs, 0);
    Ok(())
}

fn refused(emu: &Emu, options: Options<'_>, errno: Error) -> Result {
    match Attached::new(options) {
        Err(error) => expect_eq!(error, errno),
        Ok(_) => return Err(EIO),
    }
    let balance = emu.balance()?;
    expect_eq!((balance.taken, balance.host_bugs), (0, 0));
    Ok(())
}

#[kunit_tests(tdx_pages_pool)]
mod pool {
    use super::*;

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
                emu.fail(Leaf::EXT_MEM_ADD, batch, 1, Status::SYS_BUSY, when)?;
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
        emu.fail(Leaf::EXT_INIT, 1, 1, Status::SYS_BUSY, Fault::Before)?;
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

#[kunit_tests(tdx_pages_iommu)]
mod iommu {
    use super::*;

    #[test]
    fn set_up_and_cleared() -> Result {
        let dmar = dmar(&UNITS)?;
        for singles in [1, SINGLES, 510] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            emu.set(Field::IOMMU_MT_PAGE_COUNT, singles)?;
            let attached = Attached::new(iommu_only(&dmar))?;
            let pages = 2 * (4 + singles);
            expect_eq!(emu.balance()?.owned, pages);
            expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 2));
            drop(attached);
            expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (2, 2));
            // One for each 4 KiB page, both pages of each queue among them.
            expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (pages, pages));
            let balance = emu.balance()?;
            expect_eq!((balance.owned, balance.dirty), (0, 0));
            expect_eq!((balance.released, balance.host_bugs), (pages, 0));
        }
        Ok(())
    }

    #[test]
    fn a_refused_unit_is_skipped() -> Result {
        let dmar = dmar(&UNITS)?;
        for refused in UNITS {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            emu.refuse(refused)?;
            let attached = Attached::new(iommu_only(&dmar))?;
            expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 1));
            let balance = attached.kernel().users().iommu.account().balance();
            expect_eq!(balance.held, TABLE_PAGES);
            drop(attached);
            expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (1, 1));
            let balance = emu.balance()?;
            expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        }
        Ok(())
    }

    #[test]
    fn set_up_fails_for_one_unit() -> Result {
        let dmar = dmar(&UNITS)?;
        for nth in [1, 2] {
            for when in [Fault::Before, Fault::After] {
                let Some(emu) = begin(0)? else {
                    return Ok(());
                };
                emu.fail(Leaf::IOMMU_SETUP, nth, 1, Status::OPERAND_BUSY, when)?;
                let attached = Attached::new(iommu_only(&dmar))?;
                let kernel = attached.kernel().clone();
                let account = kernel.users().iommu.account();
                expect_eq!(account.balance().held, TABLE_PAGES);
                let kept = match when {
                    Fault::Before => 0,
                    // It was set up and said to be not: nobody knows its id, so it stays so.
                    Fault::After => TABLE_PAGES,
                };
                expect_eq!(account.balance().quarantined, kept);
                if kept > 0 {
                    // It comes to its senses, or no page would ever come back to this test.
                    emu.reset()?;
                    expect_eq!(kernel.recover(), 2 * TABLE_PAGES);
                }
                drop(attached);
                let balance = emu.balance()?;
                expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
            }
        }
        Ok(())
    }

    #[test]
    fn interrupted_leaves_are_resumed() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::IOMMU_SETUP, 3)?;
        emu.interrupt(Leaf::IOMMU_CLEAR, 4)?;
        drop(Attached::new(iommu_only(&dmar))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (8, 2));
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (10, 2));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn clear_fails() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        emu.fail(
            Leaf::IOMMU_CLEAR,
            1,
            1,
            Status::IOMMU_INVALID_STATE,
            Fault::Before,
        )?;
        drop(attached);
        let account = kernel.users().iommu.account().balance();
        // The other was cleared; this one's pages are lost, and said to be.
        expect_eq!(account.released, TABLE_PAGES);
        expect_eq!(account.lost, TABLE_PAGES);
        expect_eq!(emu.balance()?.owned, u64::try_from(TABLE_PAGES)?);
        expect_eq!((account.held, account.quarantined), (0, 0));
        Ok(())
    }

    #[test]
    fn clear_keeps_pages() -> Result {
        let dmar = dmar(&UNITS[..1])?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(iommu_only(&dmar))?;
        emu.keep_all()?;
        let kernel = attached.kernel().clone();
        drop(attached);
        // Not one page passed its proof after CLEAR. At the last try they are asked for one by
        // one, as a TDX Module of the preview wants it, and pass.
        let pages = u64::try_from(TABLE_PAGES)?;
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (2 * pages, pages));
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_RECLAIM)?, (pages, pages));
        let account = kernel.users().iommu.account().balance();
        expect_eq!((account.released, account.lost), (TABLE_PAGES, 0));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn broken_tables() -> Result {
        let good = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        // Cut short anywhere, with the length left as it was.
        for len in 0..good.len() {
            refused(&emu, iommu_only(&good[..len]), EINVAL)?;
        }
        // A structure of length 0.
        let mut zero = dmar(&UNITS)?;
        zero[50] = 0;
        refused(&emu, iommu_only(&zero), EINVAL)?;
        // A table without structures is no error: there is nothing to set up.
        drop(Attached::new(iommu_only(&dmar(&[])?))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (0, 0));
        Ok(())
    }

    #[test]
    fn a_unit_listed_twice_is_set_up_once() -> Result {
        let dmar = dmar(&[UNITS[0], UNITS[1], UNITS[0]])?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        drop(Attached::new(iommu_only(&dmar))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 2));
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (2, 2));
        Ok(())
    }
}

#[kunit_tests(tdx_pages_attach)]
mod attach {
    use super::*;

    #[test]
    fn features_are_asked_first() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        emu.set(Field::FEATURES0, 0)?;
        refused(&emu, options(&dmar), EOPNOTSUPP)?;
        emu.set(Field::FEATURES0, Features0::EXT)?;
        refused(&emu, options(&dmar), EOPNOTSUPP)?;
        emu.unset(Field::FEATURES0)?;
        refused(&emu, options(&dmar), EIO)
    }

    #[test]
    fn no_extensions_no_pool() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        emu.set(Field::FEATURES0, Features0::TDX_CONNECT)?;
        drop(Attached::new(options(&dmar))?);
        expect_eq!(emu.calls(Leaf::EXT_MEM_ADD)?, (0, 0));
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 2));
        Ok(())
    }

    #[test]
    fn no_keyid_no_load() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        let none = Options {
            global_keyid: 0,
            ..options(&dmar)
        };
        refused(&emu, none, ENODEV)
    }

    #[test]
    fn missing_fields() -> Result {
        let dmar = dmar(&UNITS)?;
        for fields in [
            &[
                Field::POOL_REQUIRED_PAGES_U16,
                Field::POOL_REQUIRED_PAGES_U32,
            ][..],
            &[Field::EXT_REQUIRED_U8, Field::EXT_REQUIRED_U16],
            &[Field::IOMMU_MT_PAGE_COUNT],
        ] {
            let Some(emu) = begin(10)? else {
                return Ok(());
            };
            for field in fields {
                emu.unset(*field)?;
            }
            refused(&emu, options(&dmar), EIO)?;
        }
        Ok(())
    }

    #[test]
    fn absurd_fields() -> Result {
        let dmar = dmar(&UNITS)?;
        for (field, value) in [
            (Field::IOMMU_MT_PAGE_COUNT, 0),
            (Field::IOMMU_MT_PAGE_COUNT, 511),
            (Field::IOMMU_MT_PAGE_COUNT, 65_535),
            // More than the field can hold.
            (Field::IOMMU_MT_PAGE_COUNT, 65_536),
            (Field::POOL_REQUIRED_PAGES_U16, 1 << 40),
            (Field::EXT_REQUIRED_U16, u64::MAX),
        ] {
            let Some(emu) = begin(10)? else {
                return Ok(());
            };
            emu.set(field, value)?;
            refused(&emu, options(&dmar), EIO)?;
        }
        Ok(())
    }

    #[test]
    fn both_encodings_of_the_pool() -> Result {
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        emu.unset(Field::POOL_REQUIRED_PAGES_U16)?;
        emu.unset(Field::EXT_REQUIRED_U16)?;
        emu.set(Field::POOL_REQUIRED_PAGES_U32, 600)?;
        emu.set(Field::EXT_REQUIRED_U8, 1)?;
        let attached = Attached::new(pool_only(&[]))?;
        expect_eq!(emu.balance()?.pool, 600);
        end(&emu, attached, 600)
    }

    #[test]
    fn parameters() -> Result {
        expect_eq!(Choice::from_parameter("x", -1), Ok(Choice::Auto));
        expect_eq!(Choice::from_parameter("x", 0), Ok(Choice::Off));
        expect_eq!(Choice::from_parameter("x", 1), Ok(Choice::On));
        expect_eq!(Choice::from_parameter("x", 2), Err(EINVAL));
        expect_eq!(Choice::from_parameter("x", -2), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn clflush_changes_nothing_else() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let flushed = Options {
            clflush: Choice::On,
            ..iommu_only(&dmar)
        };
        drop(Attached::new(flushed)?);
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    /// One life with the n-th allocation failing. Returns whether one did.
    fn life(emu: &Emu, dmar: &[u8], nth: u32) -> Result<bool> {
        use crate::bindings;

        // SAFETY: No preconditions; it is ended below.
        unsafe { bindings::tdx_pages_test_fail_nth(nth) };
        let attached = Attached::new(options(dmar));
        let kernel = attached.as_ref().map(|a| a.kernel().clone()).ok();
        drop(attached);
        // SAFETY: No preconditions.
        let failed = unsafe { bindings::tdx_pages_test_fail_left() } == 0;
        // SAFETY: No preconditions.
        unsafe { bindings::tdx_pages_test_fail_nth(0) };

        let balance = emu.balance()?;
        expect_eq!((nth, balance.owned, balance.dirty), (nth, 0, 0));
        expect_eq!((nth, balance.host_bugs), (nth, 0));
        if let Some(kernel) = kernel {
            let iommu = kernel.users().iommu.account().balance();
            expect_eq!((nth, iommu.held, iommu.quarantined), (nth, 0, 0));
            expect_eq!((nth, iommu.handed_over), (nth, iommu.released));
        }
        Ok(failed)
    }

    #[test]
    fn every_allocation_fails_in_turn() -> Result {
        // SAFETY: No preconditions.
        if !unsafe { crate::bindings::tdx_pages_test_can_fail() } {
            pr_err!("this kernel cannot let allocations fail: CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC\n");
            return Err(EOPNOTSUPP);
        }
        let dmar = dmar(&UNITS)?;
        let mut rounds = 0;
        for nth in 1..1000 {
            // The pool stays with the software TDX Module: 2 pages a round are a fair price.
            let Some(emu) = begin(2)? else {
                return Ok(());
            };
            if !life(&emu, &dmar, nth)? {
                break;
            }
            rounds += 1;
        }
        pr_info!("{} allocations failed in turn\n", rounds);
        // A life makes some dozens; were none to fail, this would be no test.
        expect!(rounds > 20 && rounds < 999);
        Ok(())
    }
}
