// SPDX-License-Identifier: GPL-2.0

//! Lending for one leaf after the other.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_lend)]
mod tests {
    use super::super::*;

    fn lending(kernel: &Kernel, memory: Blocks) -> Result<Lending<Kernel>> {
        Lending::new(kernel, &owner(kernel), memory).map_err(|(why, _)| why.into())
    }

    #[test]
    fn told_once_for_all_calls() -> Result {
        let kernel = kernel()?;
        for pages in [1, 2, 511, 512] {
            let memory = Blocks::with_folios(&[1, 1], pages, Node::Any)?;
            let first = memory.hpas().nth(2).ok_or(EINVAL)?;
            let mut lending = lending(&kernel, memory)?;
            let told = lending.tell(kernel.root()).ok_or(EINVAL)?;
            let mut words = [0; 2];
            for word in &mut words {
                let status = lending.lend(LEAF, |shared| {
                    *word = shared.array(&told).map_or(0, |array| array.raw());
                    said(Status::SUCCESS)
                });
                expect!(matches!(status, Ok(Status::SUCCESS)));
                // It is the host's in between.
                let memory = lending.memory().ok_or(EINVAL)?;
                memory.write(5000, &[1, 2, 3])?;
                expect_eq!(memory.pages(), pages + 2);
            }
            expect_eq!(words[0], words[1]);
            expect_eq!(words[0] >> 55, u64::try_from(pages)? - 1);
            // The folios are not among those listed; one page is told by itself.
            let root = told.into_root();
            let listed = if pages == 1 {
                words[0]
            } else {
                root.word(0).unwrap_or(0)
            };
            expect_eq!(listed, first.get());
        }
        expect_eq!(balance(&kernel), Balance::default());
        Ok(())
    }

    #[test]
    fn a_list_of_other_memory_is_none() -> Result {
        let kernel = kernel()?;
        let one = lending(&kernel, Blocks::new(3, Node::Any)?)?;
        let mut other = lending(&kernel, Blocks::new(3, Node::Any)?)?;
        let told = one.tell(kernel.root()).ok_or(EINVAL)?;
        let mut array = None;
        let status = other.lend(LEAF, |shared| {
            array = shared.array(&told);
            said(Status::SUCCESS)
        });
        expect!(status.is_ok() && array.is_none());
        // More than a list can tell, and nothing.
        let large = lending(&kernel, Blocks::new(513, Node::Any)?)?;
        expect!(large.tell(kernel.root()).is_none());
        let empty = lending(&kernel, Blocks::with_folios(&[1], 0, Node::Any)?)?;
        expect!(empty.tell(kernel.root()).is_none());
        Ok(())
    }

    #[test]
    fn whatever_it_answered_it_is_back_without_a_proof() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let mut lending = lending(&kernel, Blocks::new(3, Node::Any)?)?;
        for status in [BROKEN, Status::OPERAND_BUSY, Status::UD, Status::SUCCESS] {
            let answered = lending.lend(LEAF, |_| said(status));
            expect!(matches!(answered, Ok(same) if same == status));
            expect!(lending.memory().is_some());
        }
        drop(lending);
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        expect_eq!(balance(&kernel), Balance::default());
        Ok(())
    }

    #[test]
    fn left_interrupted_it_stays_away() -> Result {
        let Some(_emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let mut lending = lending(&kernel, Blocks::new(3, Node::Any)?)?;
        let lent = lending.lend(LEAF, |_| Answer::given_up(Status::INTERRUPTED_RESUMABLE));
        match lent {
            Err(Some(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (0, 3));
                expect_eq!(settled.cause.why, Why::Abandoned);
            }
            _ => return Err(EIO),
        }
        expect!(lending.memory().is_none());
        let mut called = false;
        let again = lending.lend(LEAF, |_| {
            called = true;
            said(Status::SUCCESS)
        });
        expect!(matches!(again, Err(None)) && !called);
        drop(lending);
        expect_eq!(balance(&kernel).quarantined, 3);
        // No leaf is left interrupted, so now they may be put to the proof.
        expect_eq!(kernel.retry().freed, 3);
        Ok(())
    }

    #[test]
    fn not_when_nothing_may_be_entered() -> Result {
        let Some(_emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let _ = kernel.close();
        let memory = Blocks::new(3, Node::Any)?;
        let refused = Lending::new(&kernel, &owner(&kernel), memory);
        expect!(matches!(refused, Err((Refusal::Closed, memory)) if memory.pages() == 3));
        Ok(())
    }
}
