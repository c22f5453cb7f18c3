// SPDX-License-Identifier: GPL-2.0

//! What is refused at load, and loads that run out of memory.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_attach)]
mod tests {
    use super::super::*;

    #[test]
    fn features_are_asked_first() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        emu.set(Field::FEATURES0, 0)?;
        refused(&emu, options(&dmar), errno!(EOPNOTSUPP))?;
        emu.set(Field::FEATURES0, Features0::EXT)?;
        refused(&emu, options(&dmar), errno!(EOPNOTSUPP))?;
        emu.unset(Field::FEATURES0)?;
        refused(&emu, options(&dmar), EIO)
    }

    #[test]
    fn dynamic_pamt_is_refused_where_it_may_be_on() -> Result {
        use crate::seam::metadata::no_dynamic_pamt;
        let with = Features0::from_raw(Features0::DYNAMIC_PAMT | Features0::TDX_CONNECT);
        let without = Features0::from_raw(Features0::TDX_CONNECT);
        expect_eq!(no_dynamic_pamt(with, true).err(), Some(errno!(EOPNOTSUPP)));
        expect!(no_dynamic_pamt(with, false).is_ok());
        expect!(no_dynamic_pamt(without, true).is_ok());
        Ok(())
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
    fn a_keyid_that_does_not_fit() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        let wide = Options {
            global_keyid: u16::MAX,
            ..options(&dmar)
        };
        refused(&emu, wide, EINVAL)
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
        let Some(emu) = begin(10)? else {
            return Ok(());
        };
        // What is left out is not asked for.
        emu.unset(Field::IOMMU_MT_PAGE_COUNT)?;
        end(&emu, Attached::new(pool_only(&dmar))?, 10)?;
        emu.unset(Field::EXT_REQUIRED_U16)?;
        drop(Attached::new(iommu_only(&dmar))?);
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
        let loaded = attached.is_ok();
        drop(attached);
        // SAFETY: No preconditions.
        let failed = unsafe { bindings::tdx_pages_test_fail_left() } == 0;
        // SAFETY: No preconditions.
        unsafe { bindings::tdx_pages_test_fail_nth(0) };

        let balance = emu.balance()?;
        // A load that fails has handed nothing over.
        expect!(loaded || balance.taken == 0);
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
            return Err(errno!(EOPNOTSUPP));
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
