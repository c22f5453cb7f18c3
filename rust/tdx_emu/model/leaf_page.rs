// SPDX-License-Identifier: GPL-2.0

//! Leaves on a single page.

use super::{
    bugs::Bug,
    machine::Machine,
    page::PageType,
    regs::Regs,
    Model, //
};
use crate::abi::{
    status::Operand,
    Hpa,
    Status, //
};

const RCX: Operand = Operand::Rcx;

impl<M: Machine> Model<M> {
    /// TDH.PHYMEM.PAGE.WBINVD. In: RCX HPA with KeyID. `[1]` M15
    ///
    /// It succeeds only on a page that the TDX Module does not own, which makes it the proof. The
    /// KeyID is not checked; with a wrong one the wrong cache lines are flushed.
    pub(super) fn phymem_page_wbinvd(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let (keyid, word) = self.pages.split_keyid(regs.rcx);
        let page = self.pages.address(word, RCX)?;
        let state = self.pages.managed(page, RCX)?;
        if state.page_type() != PageType::Nda {
            return Err(Status::PAGE_METADATA_INCORRECT.on(RCX));
        }
        if keyid == self.config.global_keyid {
            self.pages.flush(page);
        } else {
            self.pages.bugs.record(Bug::WrongKeyId, page, keyid);
        }
        Ok(())
    }

    /// TDH.PHYMEM.PAGE.RECLAIM. In: RCX HPA. Out: RCX type, RDX owner, R8 level. `[1]` M15, M20
    ///
    /// It lets go of nothing that is in use. A page that should have been let go of has an owner
    /// that is gone, and comes back here: of an IOMMU as in M20, of a session or a stream `[I]`.
    pub(super) fn phymem_page_reclaim(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let page = self.page_operand(regs)?;
        let state = self.pages.managed(page, RCX)?;
        if !state.is_owned() {
            return Err(Status::PAGE_METADATA_INCORRECT.on(RCX));
        }
        regs.rcx = state.page_type() as u64;
        regs.rdx = u64::from(state.owner());
        match state.page_type() {
            // The interface has no way back for the pool; the status is `[I]`.
            PageType::Pool => Err(Status::PAGE_METADATA_INCORRECT.on(RCX)),
            _ if !state.is_kept() => Err(Status::IOMMU_MT_PAGE_IN_USE),
            _ if self.faults.reclaim_keeps(page) => Ok(()),
            _ => {
                self.pages.let_go(page);
                Ok(())
            }
        }
    }

    /// TDH.PHYMEM.PAGE.RDMD. In: RCX HPA. Out: RCX type, RDX owner, R8 level, R9 epoch. `[1]` M15,
    /// M20
    ///
    /// It fails on no type. The page's pattern is looked at by the way.
    pub(super) fn phymem_page_rdmd(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let page = self.page_operand(regs)?;
        let state = self.pages.managed(page, RCX)?;
        if state.is_owned() {
            self.pages.inspect(page);
        }
        regs.rcx = state.page_type() as u64;
        regs.rdx = u64::from(state.owner());
        if state.page_type() == PageType::IommuMt {
            regs.r9 = self.iommu_generation(state.owner());
        }
        Ok(())
    }

    /// Reads the HPA in RCX, after the outputs are zeroed. `[1]` M15
    fn page_operand(&self, regs: &mut Regs) -> Result<Hpa, Status> {
        let word = regs.rcx;
        *regs = Regs {
            rcx: 0,
            rdx: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            ..*regs
        };
        self.pages.address(word, RCX)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            machine::Kind,
            sim::{
                page,
                Sim, //
            }, //
        },
        *,
    };
    use crate::abi::{
        emu::Control,
        Leaf, //
    };

    const BAD: Status = Status::OPERAND_INVALID.on(RCX);
    const ABSENT: Status = Status::OPERAND_ADDR_RANGE_ERROR.on(RCX);
    const WRONG_TYPE: Status = Status::PAGE_METADATA_INCORRECT.on(RCX);
    const KEYID: u64 = 5 << 46;

    /// Page 4 in the pool, the pages 6 to 11 an IOMMU_MT, page 20 reserved, page 21 absent.
    fn ready() -> (Model<Sim>, u64) {
        let mut model = Model::small();
        let machine = model.machine_mut();
        machine
            .odd
            .push((Hpa::new(page(20)).unwrap(), Kind::Reserved));
        machine
            .odd
            .push((Hpa::new(page(21)).unwrap(), Kind::Absent));
        model.put(page(1), &[page(4)]);
        assert!(model.call(Leaf::EXT_MEM_ADD, page(1), 0).0.is_success());
        model.put(page(1), &[page(6) | 2, page(8) | 2, page(10), page(11)]);
        let (status, regs) = model.call(Leaf::IOMMU_SETUP, 0xfed9_0000, page(1));
        assert!(status.is_success());
        (model, regs.rcx)
    }

    fn wbinvd(model: &mut Model<Sim>, word: u64) -> Status {
        model.call(Leaf::PHYMEM_PAGE_WBINVD, word, 0).0
    }

    #[test]
    fn wbinvd_checks_in_order() {
        let (mut model, _) = ready();
        for (word, want) in [
            (KEYID | page(2) | 1, BAD),
            (KEYID | page(2) | 0x800, BAD),
            (KEYID | page(2) | 1 << 52, BAD),
            (KEYID | page(2) | 1 << 63, BAD),
            (KEYID | page(21), ABSENT),
            (KEYID | page(32), ABSENT),
            (KEYID | 1 << 45, ABSENT),
            (KEYID | page(20), WRONG_TYPE),
            (KEYID | page(4), WRONG_TYPE),
            (KEYID | page(7), WRONG_TYPE),
            (KEYID | page(2), Status::SUCCESS),
        ] {
            assert_eq!(wbinvd(&mut model, word), want, "{word:#x}");
        }
        // The KeyID is not looked at before the page is.
        assert_eq!(wbinvd(&mut model, page(7)), WRONG_TYPE);
        assert_eq!((model.bugs().total(), model.balance().released), (0, 0));
    }

    #[test]
    fn only_the_global_keyid_proves() {
        let (mut model, id) = ready();
        assert!(model.call(Leaf::IOMMU_CLEAR, id, page(1)).0.is_success());
        assert_eq!(model.balance().unproved, 6);
        for (n, keyid) in [0, 4, 6, 63].into_iter().enumerate() {
            assert_eq!(wbinvd(&mut model, keyid << 46 | page(6)), Status::SUCCESS);
            assert_eq!(model.bugs().count(Bug::WrongKeyId), n as u64 + 1);
        }
        assert_eq!(model.balance().unproved, 6);
        for n in 6..12 {
            for _ in 0..2 {
                assert_eq!(wbinvd(&mut model, KEYID | page(n)), Status::SUCCESS);
            }
        }
        let balance = model.balance();
        assert_eq!(
            (balance.unproved, balance.released),
            (0, 6),
            "each page counts once"
        );
        assert_eq!((balance.taken, balance.pool), (7, 1));
    }

    #[test]
    fn reclaim_checks_in_order() {
        let (mut model, id) = ready();
        let reclaim = |model: &mut Model<Sim>, rcx| {
            let (status, regs) = model.call(Leaf::PHYMEM_PAGE_RECLAIM, rcx, 99);
            (status, [regs.rcx, regs.rdx, regs.r8])
        };
        for (word, want, out) in [
            (page(2) | 1, BAD, [0; 3]),
            (page(2) | KEYID, BAD, [0; 3]),
            (page(21), ABSENT, [0; 3]),
            (page(20), WRONG_TYPE, [0; 3]),
            (page(2), WRONG_TYPE, [0; 3]),
            (page(4), WRONG_TYPE, [PageType::Pool as u64, 0, 0]),
            (page(7), Status::IOMMU_MT_PAGE_IN_USE, [11, id, 0]),
        ] {
            assert_eq!(reclaim(&mut model, word), (want, out), "{word:#x}");
        }
        // A page that CLEAR kept comes back this way.
        assert!(model
            .ask(Control::KeepPages, [1, 0, 0, 0, 0])
            .0
            .is_success());
        assert!(model.call(Leaf::IOMMU_CLEAR, id, page(1)).0.is_success());
        assert_eq!(reclaim(&mut model, page(7)), (Status::SUCCESS, [11, id, 0]));
        assert_eq!((model.balance().held, model.balance().unproved), (5, 1));
        assert_eq!(wbinvd(&mut model, KEYID | page(7)), Status::SUCCESS);
    }

    #[test]
    fn rdmd_tells_and_never_minds_the_type() {
        let (mut model, id) = ready();
        let rdmd = |model: &mut Model<Sim>, rcx| {
            let (status, regs) = model.call(Leaf::PHYMEM_PAGE_RDMD, rcx, 99);
            (status, [regs.rcx, regs.rdx, regs.r8, regs.r9])
        };
        for (word, want, out) in [
            (page(2) | 1, BAD, [0; 4]),
            (page(2) | KEYID, BAD, [0; 4]),
            (page(21), ABSENT, [0; 4]),
            (page(20), Status::SUCCESS, [1, 0, 0, 0]),
            (page(2), Status::SUCCESS, [0; 4]),
            (page(4), Status::SUCCESS, [PageType::Pool as u64, 0, 0, 0]),
            (page(7), Status::SUCCESS, [11, id, 0, 0]),
        ] {
            assert_eq!(rdmd(&mut model, word), (want, out), "{word:#x}");
        }
        model.machine_mut().memory[7][0] ^= 1;
        for _ in 0..2 {
            let _ = rdmd(&mut model, page(7));
            assert_eq!(
                model.bugs().count(Bug::Changed),
                1,
                "one write is one host bug"
            );
        }
    }
}
