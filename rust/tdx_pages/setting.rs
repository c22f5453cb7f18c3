// SPDX-License-Identifier: GPL-2.0

//! What was chosen and found at load, kept to be shown.

use crate::seam::profile::Profile;
use crate::users::ext_pool::Pool;
use kernel::time::{
    Instant,
    Monotonic, //
};

/// What was chosen and found at load.
pub(crate) struct Setting {
    /// The parameter `pool=`.
    pub(crate) pool: bool,
    /// The parameter `iommu=`: -1, 0 or 1.
    pub(crate) iommu: i32,
    /// The parameter `clflush=`: -1, 0 or 1.
    pub(crate) clflush: i32,
    /// The parameter `profile=`; [`None`] for "by the metadata".
    pub(crate) profile: Option<Profile>,
    /// The parameter `global_keyid=`; 0 if none was given.
    pub(crate) global_keyid: u16,
    /// How bringing up the extensions ended.
    pub(crate) extensions: Pool,
    /// IOMMUs that were set up.
    pub(crate) iommus: usize,
    /// Pages are flushed before they are handed over.
    pub(crate) flushes: bool,
    /// When all this was done.
    pub(crate) ready: Instant<Monotonic>,
}

impl Setting {
    /// The parameters by name, as they were given or by default.
    pub(crate) fn parameters(&self) -> [(&'static str, i32); 5] {
        let profile = match self.profile {
            None => -1,
            Some(Profile::V2) => 0,
            Some(Profile::Late) => 1,
        };
        [
            ("pool", i32::from(self.pool)),
            ("iommu", self.iommu),
            ("global_keyid", i32::from(self.global_keyid)),
            ("profile", profile),
            ("clflush", self.clflush),
        ]
    }
}
