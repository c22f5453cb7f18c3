// SPDX-License-Identifier: GPL-2.0

//! IOMMUs in TDX mode.

use super::{
    done,
    made,
    node,
    table::{
        Api,
        Call, //
    },
    usable_mut,
    user::Registered,
    wrong, //
};
use crate::bindings;
use crate::seam::metadata;
use crate::users::{
    iommu::{
        Iommu,
        NotSetUp, //
    },
    registry::{
        Object,
        Owner, //
    }, //
};
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::Arc, //
};

/// An IOMMU of a driver's.
pub(super) struct Unit {
    reg_base: u64,
    iommu: Iommu,
}

impl Unit {
    /// Its register base.
    pub(super) fn reg_base(&self) -> u64 {
        self.reg_base
    }

    /// The IOMMU.
    pub(super) fn iommu(&self) -> &Iommu {
        &self.iommu
    }
}

as_declared!(
    tdx_iommu_setup(_, _, _),
    tdx_iommu_id(_, _),
    tdx_iommu_end(_),
);

/// Sets an IOMMU up; see the header.
#[no_mangle]
extern "C" fn tdx_iommu_setup(
    user: *mut bindings::tdx_pages_user,
    reg_base: u64,
    nid: c_int,
) -> *mut bindings::tdx_iommu {
    let function = "tdx_iommu_setup";
    let set_up = || {
        let call: Call<Registered> = Api::call(function, user)?;
        let kernel = call.api().kernel();
        kernel.look_again();
        let pages = metadata::iommu_mt_pages(kernel.seam(), "")?;
        let place = call.api().place()?;
        let user = call.object()?.registration().user();
        let owner = Owner::new(user, Object::Iommu(reg_base));
        let iommu = match Iommu::new(kernel, owner.clone(), reg_base, pages, node(nid)) {
            Ok(iommu) => iommu,
            Err(NotSetUp::NotCapable) => {
                return Err(wrong(
                    function,
                    fmt!("{owner}: the TDX Module says it is not capable"),
                    errno!(EOPNOTSUPP),
                ));
            }
            // It has been told.
            Err(NotSetUp::Failed(error)) => return Err(error),
        };
        place.put(&call, Arc::new(Unit { reg_base, iommu }, GFP_KERNEL)?)
    };
    made(set_up())
}

/// What the TDX Module calls it; see the header.
///
/// # Safety
///
/// There is room for a number at `id`, unless it is what [`usable_mut`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_iommu_id(iommu: *mut bindings::tdx_iommu, id: *mut u64) -> c_int {
    let function = "tdx_iommu_id";
    let tell = || {
        let call: Call<Unit> = Api::call(function, iommu)?;
        let to = usable_mut(function, "id", id)?;
        // SAFETY: As this function's requirement.
        unsafe { to.write(call.object()?.iommu.id()) };
        Ok(())
    };
    done(tell())
}

/// Ends it; see the header.
#[no_mangle]
extern "C" fn tdx_iommu_end(iommu: *mut bindings::tdx_iommu) {
    Api::end::<Unit, _>("tdx_iommu_end", iommu);
}
