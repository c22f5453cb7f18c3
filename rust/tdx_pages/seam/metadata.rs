// SPDX-License-Identifier: GPL-2.0

//! What the TDX Module says of itself, checked.
//!
//! Everything is read and checked before anything is handed over: a wrong number then costs
//! nothing.

use super::{
    profile::Profile,
    Seam, //
};
use crate::abi::{
    field::{
        Features0,
        Field, //
    },
    list::{
        Entries,
        IommuMt, //
    },
    Status,
    ROOT_ENTRIES, //
};
use crate::bindings;
use crate::print::may_tell;
use kernel::prelude::*;

/// The fields that this project needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    /// Optional features.
    pub(crate) features0: Features0,
    /// The extension pool, if it is wanted and the TDX Module has extensions.
    pub(crate) ext: Option<Ext>,
    /// Single pages of an IOMMU_MT, 1 to [`IommuMt::MAX_PAGE_COUNT`], if IOMMUs are wanted.
    pub(crate) iommu_mt_pages: Option<usize>,
}

/// The state of the extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ext {
    /// TDH.EXT.INIT is wanted. Without it the extensions already work. `[1]` V1 07/26
    pub(crate) required: bool,
    /// Pages that the pool still wants. That the count shrinks by what was added is `[I]`.
    pub(crate) pool_pages: usize,
}

/// At load, where there is a cure to tell, everything is told; objects may be many.
fn may_tell_of(cure: &str) -> bool {
    !cure.is_empty() || may_tell()
}

/// Reads one field in the first of several encodings that the TDX Module knows. `cure` is the end of
/// a message: how to do without it.
fn read(seam: &Seam, encodings: &[Field], cure: &str) -> Result<u64> {
    let mut failed = None;
    for field in encodings {
        match seam.sys_rd(*field) {
            Ok(value) if value <= field.max() => return Ok(value),
            Ok(value) => {
                if may_tell_of(cure) {
                    pr_err!(
                        "the TDX Module answers {} for {}, which can be {} at most{}\n",
                        value,
                        field,
                        field.max(),
                        cure
                    );
                }
                return Err(EIO);
            }
            Err(status) => {
                failed = Some((field, status));
                if status.masked() != Status::METADATA_FIELD_ID_INCORRECT
                    && status.masked() != Status::METADATA_FIELD_NOT_READABLE
                {
                    // Not a matter of the encoding.
                    break;
                }
            }
        }
    }
    if let Some((field, status)) = failed.filter(|_| may_tell_of(cure)) {
        pr_err!(
            "the TDX Module has no readable field {}: {}{}\n",
            field,
            status,
            cure
        );
    }
    Err(EIO)
}

/// Reads the features: the first SEAMCALL, which finds out whether there is a TDX Module.
fn features(seam: &Seam) -> Result<Features0> {
    let status = match seam.sys_rd(Field::FEATURES0) {
        Ok(value) => return Ok(Features0::from_raw(value)),
        Err(status) => status,
    };
    match status {
        Status::UD => pr_err!(
            "no TDX Module: {}; this CPU or this kernel has no SEAM; load tdx_emu.ko for a software one\n",
            status
        ),
        Status::GP | Status::VMFAILINVALID => pr_err!(
            "no TDX Module: {}; enable TDX in the BIOS and see the kernel's \"virt/tdx:\" messages\n",
            status
        ),
        _ => {
            pr_err!("the TDX Module does not tell its features: {}\n", status);
            return Err(EIO);
        }
    }
    Err(ENODEV)
}

impl Metadata {
    /// Reads and checks the fields of what is wanted; one line says what is wrong.
    ///
    /// # Errors
    ///
    /// `ENODEV` without a TDX Module, `EOPNOTSUPP` without TDX Connect, `EIO` for a field that is
    /// missing or absurd.
    pub(crate) fn read(seam: &Seam, pool: bool, iommus: bool) -> Result<Self> {
        let features0 = features(seam)?;
        if !features0.has(Features0::TDX_CONNECT) {
            pr_err!(
                "the TDX Module has no TDX Connect (TDX_FEATURES0 {:#x}, bit 6 is clear): a newer one, or a kernel that opts in to it, is needed\n",
                features0.raw()
            );
            return Err(errno!(EOPNOTSUPP));
        }
        // SAFETY: No preconditions.
        no_dynamic_pamt(features0, unsafe { bindings::tdx_pages_dynamic_pamt() })?;
        let ext = if pool && features0.has(Features0::EXT) {
            Some(Ext::read(seam)?)
        } else {
            None
        };
        let iommu_mt_pages = if iommus {
            Some(iommu_mt_pages(seam, "; load with iommu=0 to do without")?)
        } else {
            None
        };
        Ok(Self {
            features0,
            ext,
            iommu_mt_pages,
        })
    }
}

/// Refuses where Dynamic PAMT may be on: a page that is handed over needs a pair of PAMT pages first
/// then, and nobody adds them here. `[1]` DPAMT. `kernel` says that this kernel can turn it on; 7.3
/// cannot.
pub(crate) fn no_dynamic_pamt(features0: Features0, kernel: bool) -> Result {
    if !(kernel && features0.has(Features0::DYNAMIC_PAMT)) {
        return Ok(());
    }
    pr_err!(
        "Dynamic PAMT may be on (TDX_FEATURES0 {:#x}, bit 36), for which pages cannot be handed over yet: use a kernel without it, as 7.3\n",
        features0.raw()
    );
    Err(errno!(EOPNOTSUPP))
}

/// The generation of the interface by what the metadata is like: the pool's size is a u32 in the
/// late one. `[I]`: both were seen to change between the same two sources, no more.
pub(crate) fn profile(seam: &Seam) -> Profile {
    match seam.sys_rd(Field::POOL_REQUIRED_PAGES_U32) {
        Ok(_) => Profile::Late,
        Err(_) => Profile::V2,
    }
}

/// Whether the extensions want TDH.EXT.INIT; [`None`] if the TDX Module does not tell.
pub(crate) fn wants_ext_init(seam: &Seam) -> Option<bool> {
    [Field::EXT_REQUIRED_U8, Field::EXT_REQUIRED_U16]
        .into_iter()
        .find_map(|field| seam.sys_rd(field).ok())
        .map(|required| required != 0)
}

/// SPDM_MT_PAGE_COUNT: pages of a session, 1 to 512. `EIO` with one line for another number.
pub(crate) fn spdm_mt_pages(seam: &Seam) -> Result<usize> {
    pages_of_one_list(seam, Field::SPDM_MT_PAGE_COUNT)
}

/// IDE_MT_PAGE_COUNT: pages of a stream. As above.
pub(crate) fn ide_mt_pages(seam: &Seam) -> Result<usize> {
    pages_of_one_list(seam, Field::IDE_MT_PAGE_COUNT)
}

/// SPDM_MAX_DEV_INFO_PAGES: pages that the device info of a session may take. As above.
pub(crate) fn device_info_pages(seam: &Seam) -> Result<usize> {
    pages_of_one_list(seam, Field::SPDM_MAX_DEV_INFO_PAGES)
}

fn pages_of_one_list(seam: &Seam, field: Field) -> Result<usize> {
    let pages = seam.sys_rd(field).map_err(|status| {
        if status == Status::HOST_DOWN {
            if may_tell() {
                pr_err!("nothing is made any more: the system goes down\n");
            }
            return errno!(ESHUTDOWN);
        }
        if may_tell() {
            pr_err!(
                "the TDX Module has no readable field {}: {}, so nothing of the kind is made\n",
                field,
                status
            );
        }
        EIO
    })?;
    usize::try_from(pages)
        .ok()
        .and_then(Entries::new)
        .map(Entries::get)
        .ok_or_else(|| {
            if may_tell() {
                pr_err!(
                    "the TDX Module wants {} pages for {}: 1 to {} are possible, so nothing of the kind is made\n",
                    pages,
                    field,
                    ROOT_ENTRIES
                );
            }
            EIO
        })
}

/// IOMMU_MT_PAGE_COUNT: single pages of an IOMMU_MT, 1 to [`IommuMt::MAX_PAGE_COUNT`]. `EIO` with one
/// line for another number, to which `cure` is put.
pub(crate) fn iommu_mt_pages(seam: &Seam, cure: &str) -> Result<usize> {
    let pages = usize::try_from(read(seam, &[Field::IOMMU_MT_PAGE_COUNT], cure)?)?;
    if pages == 0 || pages > IommuMt::MAX_PAGE_COUNT {
        if may_tell_of(cure) {
            pr_err!(
                "the TDX Module wants {} pages for {}: 1 to {} are possible{}\n",
                pages,
                Field::IOMMU_MT_PAGE_COUNT,
                IommuMt::MAX_PAGE_COUNT,
                cure
            );
        }
        return Err(EIO);
    }
    Ok(pages)
}

impl Ext {
    fn read(seam: &Seam) -> Result<Self> {
        // The newer encoding first: it holds what the older one cannot.
        let pool = [
            Field::POOL_REQUIRED_PAGES_U32,
            Field::POOL_REQUIRED_PAGES_U16,
        ];
        let cure = "; load with pool=0 to do without";
        let pool = read(seam, &pool, cure)?;
        let required = [Field::EXT_REQUIRED_U8, Field::EXT_REQUIRED_U16];
        let required = read(seam, &required, cure)?;
        Ok(Self {
            required: required != 0,
            pool_pages: usize::try_from(pool)?,
        })
    }
}
