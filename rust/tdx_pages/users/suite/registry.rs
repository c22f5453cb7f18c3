// SPDX-License-Identifier: GPL-2.0

//! Who is registered, and ids that are given twice.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_registry)]
mod tests {
    use super::super::*;
    use crate::mm::{
        blocks::Node,
        Blocks, //
    };
    use crate::platform::Kernel;
    use crate::seam::ids::{
        Room,
        Space, //
    };
    use crate::users::{
        registry::{
            Object,
            Owner,
            Registration, //
        }, //
    };

    fn kernel() -> Result<Kernel> {
        Kernel::new(KEYID, Delta::from_millis(50))
    }

    fn names(kernel: &Kernel) -> Result<KVec<KVec<u8>>> {
        let mut names = KVec::new();
        let mut failed = Ok(());
        kernel.users().for_each(|user| {
            let mut name = KVec::new();
            let copied = name.extend_from_slice(user.name().as_bytes(), GFP_ATOMIC);
            if copied.is_err() || names.push(name, GFP_ATOMIC).is_err() {
                failed = Err(ENOMEM);
            }
        });
        failed.map(|()| names)
    }

    #[test]
    fn names_that_are_and_are_not() -> Result {
        let kernel = kernel()?;
        for name in ["", "a b", "caf\u{e9}", "0123456789012345678901234567890123"] {
            expect_eq!(Registration::new(&kernel, name).err(), Some(EINVAL));
        }
        for name in ["iommu", "ext_pool"] {
            expect_eq!(Registration::new(&kernel, name).err(), Some(EEXIST));
        }
        let one = Registration::new(&kernel, "one")?;
        expect_eq!(Registration::new(&kernel, "one").err(), Some(EEXIST));
        expect_eq!(names(&kernel)?.len(), 3);
        drop(one);
        expect_eq!(names(&kernel)?.len(), 2);
        drop(Registration::new(&kernel, "one")?);
        Ok(())
    }

    #[test]
    fn what_is_left_on_record_keeps_the_name() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        drop(attached);
        // An unregistered user of which nothing is on record leaves its history in the sum.
        let before = kernel.users().balance();
        expect_eq!(before.handed_over, 2 * TABLE_PAGES);
        let _ = Blocks::new(1, Node::Any)?;
        expect_eq!(kernel.users().balance(), before);
        expect_eq!(emu.balance()?.host_bugs, 0);
        Ok(())
    }

    #[test]
    fn an_id_is_given_once() -> Result {
        let kernel = kernel()?;
        let owner = &Owner::new(&kernel.users().iommu, Object::Only);
        let other = Space::Stream { session: 7 };
        let one = Room::new()?
            .take(&kernel, owner, Space::Session, 0)
            .ok_or(EINVAL)?;
        expect_eq!(one.get(), 0);
        expect!(Room::new()?
            .take(&kernel, owner, Space::Session, 0)
            .is_none());
        let two = Room::new()?
            .take(&kernel, owner, Space::Iommu, 0)
            .ok_or(EINVAL)?;
        let three = Room::new()?.take(&kernel, owner, other, 0).ok_or(EINVAL)?;
        expect!(Room::new()?
            .take(&kernel, owner, Space::Stream { session: 8 }, 0)
            .is_some());
        expect!(Room::new()?.take(&kernel, owner, other, u64::MAX).is_some());
        drop((one, two, three));
        expect!(Room::new()?
            .take(&kernel, owner, Space::Session, 0)
            .is_some());
        Ok(())
    }

    #[test]
    fn an_id_is_taken_back_from_nobody_else() -> Result {
        let kernel = kernel()?;
        let owner = &Owner::new(&kernel.users().iommu, Object::Only);
        let ids = kernel.seam().ids();
        let take = || Ok::<_, Error>(Room::new()?.take(&kernel, owner, Space::Session, 7));
        let one = take()?.ok_or(EINVAL)?;
        expect_eq!((one.give_up(), ids.of(owner)), (7, None));
        expect!(one.take_back());
        expect_eq!(ids.of(owner), Some(7));
        expect!(take()?.is_none());
        // It is given to the next one, of an owner that looks the same: not while it is in use.
        ids.give(Space::Session, 7);
        expect!(one.is_ours() && take()?.is_none());
        one.give_up();
        expect!(one.is_ours());
        ids.give(Space::Session, 7);
        expect!(!one.is_ours() && !one.take_back());
        let two = take()?.ok_or(EINVAL)?;
        // Whatever the one before does.
        expect!(!one.take_back());
        one.give_up();
        drop(one);
        expect!(take()?.is_none());
        two.give_up();
        expect!(two.take_back());
        drop(two);
        expect!(take()?.is_some());
        Ok(())
    }
}
