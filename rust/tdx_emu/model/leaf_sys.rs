// SPDX-License-Identifier: GPL-2.0

//! System leaves.

use super::{
    fields::Fields,
    machine::Machine,
    regs::Regs,
    Model, //
};
use crate::abi::{
    field::Field,
    Status, //
};

/// No field: asks for the first id, and ends the chain of ids. `[2]` as an end, `[I]` as a question
const NO_FIELD: u64 = u64::MAX;

impl<M: Machine> Model<M> {
    /// TDH.SYS.RD. In: RDX field id. Out: R8 value, RDX next field id. `[1]` M15
    pub(super) fn sys_rd(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let id = regs.rdx;
        regs.r8 = 0;
        regs.rdx = NO_FIELD;
        if id == NO_FIELD {
            regs.rdx = self.fields.next(None).map_or(NO_FIELD, Field::raw);
            return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
        }
        let field = Field::from_raw(id);
        let value = self
            .fields
            .get(field)
            .ok_or(Status::METADATA_FIELD_ID_INCORRECT)?;
        // Before TDH.SYS.CONFIG no feature is opted in. `[1]` V2 08/31, of an update `[I]`
        let hidden = self.updating && Fields::feature(field) != 0;
        if hidden || !self.fields.is_readable(field) {
            return Err(Status::METADATA_FIELD_NOT_READABLE);
        }
        let told = self.fields.read(field).unwrap_or(value);
        regs.r8 = self.faults.told().unwrap_or(told);
        regs.rdx = self.fields.next(Some(id)).map_or(NO_FIELD, Field::raw);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{
        emu::Control,
        Leaf, //
    };

    #[test]
    fn the_chain_leads_through_every_field() {
        let mut model = Model::small();
        let (status, regs) = model.call(Leaf::SYS_RD, 0, NO_FIELD);
        assert_eq!(status, Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
        let (mut id, mut seen) = (regs.rdx, 0);
        while id != NO_FIELD {
            let (status, regs) = model.call(Leaf::SYS_RD, 0, id);
            assert_eq!(status, Status::SUCCESS, "{id:#x}");
            if id == Field::IOMMU_MT_PAGE_COUNT.raw() {
                assert_eq!(regs.r8, 2);
            }
            id = regs.rdx;
            seen += 1;
        }
        assert_eq!(seen, 7);
    }

    #[test]
    fn checks_in_order() {
        let mut model = Model::small();
        let pool = Field::POOL_REQUIRED_PAGES_U16.raw();
        let features = Field::FEATURES0.raw();
        for (id, features0, want) in [
            (5, 0, Status::METADATA_FIELD_ID_INCORRECT),
            (pool | 1 << 63, 0, Status::METADATA_FIELD_ID_INCORRECT),
            (
                Field::POOL_REQUIRED_PAGES_U32.raw(),
                0,
                Status::METADATA_FIELD_ID_INCORRECT,
            ),
            (pool, 1 << 6, Status::METADATA_FIELD_NOT_READABLE),
            (pool, 1 << 39, Status::SUCCESS),
            (
                Field::IOMMU_MT_PAGE_COUNT.raw(),
                1 << 39,
                Status::METADATA_FIELD_NOT_READABLE,
            ),
            (Field::IOMMU_MT_PAGE_COUNT.raw(), 1 << 6, Status::SUCCESS),
            (features, 0, Status::SUCCESS),
        ] {
            let set = model
                .ask(Control::SetField, [features, features0, 0, 0, 0])
                .0;
            assert!(set.is_success());
            let (status, regs) = model.call(Leaf::SYS_RD, 0, id);
            assert_eq!(status, want, "{id:#x}");
            if !status.is_success() {
                assert_eq!(
                    (regs.r8, regs.rdx),
                    (0, NO_FIELD),
                    "outputs have their defaults"
                );
            }
        }
        let gone = model.ask(Control::SetField, [features, 0, 1, 0, 0]).0;
        assert!(gone.is_success());
        let (status, _) = model.call(Leaf::SYS_RD, 0, features);
        assert_eq!(status, Status::METADATA_FIELD_ID_INCORRECT);
    }
}
