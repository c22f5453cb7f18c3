// SPDX-License-Identifier: GPL-2.0

//! Attaching to the TDX Module: everything that is done at load, and undone at unload.
//!
//! Order: what can be refused without touching anything comes first, then the extension pool,
//! then the IOMMUs.

use crate::abi::field::Features0;
use crate::bindings;
use crate::platform::Kernel;
use crate::seam::{
    self,
    metadata::{
        self,
        Metadata, //
    },
    profile::Profile, //
};
use crate::setting::Setting;
use crate::users::{
    dmar::Dmar,
    ext_pool::{
        self,
        Pool, //
    },
    iommus::Iommus, //
};
use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// Whether a thing is done: always, never, or as the platform has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// As the platform has it.
    Auto,
    /// Never.
    Off,
    /// Always.
    On,
}

impl Choice {
    /// As a parameter.
    fn parameter(self) -> i32 {
        match self {
            Self::Auto => -1,
            Self::Off => 0,
            Self::On => 1,
        }
    }

    /// From a parameter: -1, 0 or 1. `EINVAL` for another value.
    pub(crate) fn from_parameter(name: &str, value: i32) -> Result<Self> {
        match value {
            -1 => Ok(Self::Auto),
            0 => Ok(Self::Off),
            1 => Ok(Self::On),
            _ => {
                pr_err!(
                    "{}={}: give -1 (automatic), 0 (off) or 1 (on)\n",
                    name,
                    value
                );
                Err(EINVAL)
            }
        }
    }
}

/// Where the DMAR table comes from.
#[derive(Clone, Copy)]
pub(crate) enum DmarSource<'a> {
    /// From ACPI.
    Acpi,
    /// These bytes: for tests.
    #[cfg_attr(not(TDX_PAGES_KUNIT), expect(dead_code))]
    Bytes(&'a [u8]),
}

/// What to attach, and how.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Bring up the extension pool.
    pub(crate) pool: bool,
    /// Set up the IOMMUs.
    pub(crate) iommu: Choice,
    /// Flush pages before they are handed over.
    pub(crate) clflush: Choice,
    /// The global KeyID where the kernel has none; 0 if none is given.
    pub(crate) global_keyid: u16,
    /// The generation of the interface; [`None`] to go by the metadata.
    pub(crate) profile: Option<Profile>,
    /// The DMAR table.
    pub(crate) dmar: DmarSource<'a>,
    /// How long an interrupted leaf is resumed.
    pub(crate) patience: Delta,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            pool: true,
            iommu: Choice::Auto,
            clflush: Choice::Auto,
            global_keyid: 0,
            profile: None,
            dmar: DmarSource::Acpi,
            patience: seam::PATIENCE,
        }
    }
}

/// What was attached. Dropping it detaches: the IOMMUs are cleared and their memory is released,
/// then the ledger is closed.
pub(crate) struct Attached {
    // Cleared first: fields are dropped in order, and closing the ledger is `Close`'s.
    _iommus: Option<Iommus>,
    close: Close,
}

struct Close(Kernel);

impl Drop for Close {
    fn drop(&mut self) {
        self.0.close();
        let balance = self.0.users().balance();
        if balance.lost > 0 {
            pr_err!(
                "detached; {} pages stay with the TDX Module and are lost until the next boot, {} are held for good\n",
                balance.lost,
                balance.held_for_good
            );
        } else if balance.held_for_good > 0 {
            pr_info!(
                "detached; all pages released, but {} that are held for good\n",
                balance.held_for_good
            );
        } else if balance.handed_over > 0 {
            pr_info!("detached; all pages released\n");
        }
    }
}

/// The global KeyID: the kernel's, or the one given where it has none and there is no real TDX
/// platform. The TDX Module does not check with which KeyID a page is flushed, so a wrong one must
/// not come in by mistake.
fn global_keyid(given: u16) -> Result<u16> {
    // SAFETY: No preconditions.
    let (kernel, platform) = unsafe {
        (
            bindings::tdx_get_global_keyid(),
            bindings::tdx_pages_on_tdx_platform(),
        )
    };
    if kernel != 0 {
        if given != 0 {
            pr_warn!(
                "global_keyid={} is ignored: the kernel's is {}\n",
                given,
                kernel
            );
        }
        return Ok(u16::try_from(kernel)?);
    }
    if platform || given == 0 {
        pr_err!(
            "no TDX KeyID: the kernel found none, so TDX is off in the BIOS or not there; with tdx_emu.ko give its global_keyid= here too\n"
        );
        return Err(ENODEV);
    }
    // SAFETY: No preconditions.
    let phys_bits = unsafe { bindings::tdx_pages_phys_bits() };
    // KeyIDs stand above the physical address bits and below bit 52.
    let room = 52u32.saturating_sub(phys_bits);
    if u64::from(given).checked_shr(room).unwrap_or(0) != 0 {
        pr_err!(
            "global_keyid={}: there are {} bits for KeyIDs on this machine\n",
            given,
            room
        );
        return Err(EINVAL);
    }
    Ok(given)
}

/// The DMAR table from ACPI, put back when dropped.
struct AcpiDmar(&'static [u8]);

impl AcpiDmar {
    fn get() -> Option<Self> {
        let mut len = 0;
        // SAFETY: `len` outlives the call.
        let table = unsafe { bindings::tdx_pages_dmar_get(&mut len) };
        if table.is_null() {
            return None;
        }
        // SAFETY: ACPI has mapped `len` bytes of the table, which stay until it is put by `drop`,
        // and `self.0` is lent for no longer than `self`.
        Some(Self(unsafe {
            core::slice::from_raw_parts(table.cast(), len)
        }))
    }

    fn bytes(&self) -> &[u8] {
        self.0
    }
}

impl Drop for AcpiDmar {
    fn drop(&mut self) {
        // SAFETY: It was got by `get` and is put once.
        unsafe { bindings::tdx_pages_dmar_put(self.0.as_ptr().cast()) };
    }
}

impl Attached {
    /// Attaches.
    ///
    /// # Errors
    ///
    /// `ENODEV` without a TDX Module or a KeyID, `EOPNOTSUPP` without TDX Connect, `EIO` for an
    /// absurd answer, `EINVAL` for a broken DMAR table, `ENOMEM`. Each with one line that says
    /// why; nothing is handed over then.
    pub(crate) fn new(options: Options<'_>) -> Result<Self> {
        let begin = Instant::<Monotonic>::now();
        let keyid = global_keyid(options.global_keyid)?;
        let wanted = wants_iommus(options.iommu);
        let kernel = Kernel::new(keyid, options.patience).inspect_err(|_| {
            pr_err!("no memory to begin with, nothing was handed over\n");
        })?;
        let close = Close(kernel.clone());
        let metadata = Metadata::read(kernel.seam(), options.pool, wanted)?;
        let profile = options
            .profile
            .unwrap_or_else(|| metadata::profile(kernel.seam()));
        kernel.seam().choose(profile);

        let acpi = match options.dmar {
            DmarSource::Acpi if wanted => AcpiDmar::get(),
            _ => None,
        };
        let table = match (options.dmar, &acpi) {
            _ if !wanted => None,
            (DmarSource::Bytes(bytes), _) => Some(bytes),
            (DmarSource::Acpi, Some(acpi)) => Some(acpi.bytes()),
            (DmarSource::Acpi, None) => {
                pr_notice!("iommu: there is no ACPI DMAR table, so no IOMMU is set up\n");
                None
            }
        };
        let dmar = table.map(Dmar::parse).transpose().map_err(|problem| {
            pr_err!(
                "iommu: the DMAR table is broken: {}; a newer BIOS may help, or leave the IOMMUs out with iommu=0\n",
                problem
            );
            EINVAL
        })?;

        let clflush = match options.clflush {
            Choice::On => true,
            Choice::Off => false,
            Choice::Auto => metadata.features0.has(Features0::CLFLUSH_BEFORE_ALLOC),
        };
        if clflush {
            kernel.flush_before_hand_over();
        }
        let mut iommus = dmar
            .map(|dmar| Iommus::new(&kernel, dmar))
            .transpose()
            .inspect_err(|_| {
                pr_err!("iommu: no memory for the list of them, nothing was handed over\n")
            })?;

        let pool = match metadata.ext {
            Some(ext) => ext_pool::bring_up(&kernel, ext)?,
            None => Pool::LeftOut,
        };
        // From here on nothing makes the load fail: pages of the pool may be held for good, and
        // their record is in this kernel module.
        if let (Some(iommus), Some(dmar), Some(pages)) =
            (iommus.as_mut(), dmar, metadata.iommu_mt_pages)
        {
            iommus.set_up(dmar, pages);
        }
        pr_info!(
            "ready in {} ms: extensions {}, {} IOMMUs in TDX mode, profile {}, TDX_FEATURES0 {:#x}, global KeyID {}{}\n",
            begin.elapsed().as_millis(),
            pool.text(),
            iommus.as_ref().map_or(0, Iommus::len),
            profile.text(),
            metadata.features0.raw(),
            keyid,
            if clflush {
                ", CLFLUSH before hand-over"
            } else {
                ""
            }
        );
        kernel.settle_on(Setting {
            pool: options.pool,
            iommu: options.iommu.parameter(),
            clflush: options.clflush.parameter(),
            profile: options.profile,
            global_keyid: options.global_keyid,
            extensions: pool,
            iommus: iommus.as_ref().map_or(0, Iommus::len),
            flushes: clflush,
            ready: Instant::now(),
        });
        Ok(Self {
            _iommus: iommus,
            close,
        })
    }

    /// The kernel's side of it.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.close.0
    }

    /// The first half of detaching: the IOMMUs are cleared, and the ledger is open still, for suites to
    /// look at what is left.
    #[cfg(TDX_PAGES_KUNIT)]
    pub(crate) fn without_iommus(self) -> Self {
        drop(self._iommus);
        Self {
            _iommus: None,
            close: self.close,
        }
    }
}

/// On a real TDX platform the IOMMUs are left alone unless asked for: afterwards half of a unit's
/// domain ids belong to the TDX Module, of which this kernel's intel-iommu does not know.
fn wants_iommus(choice: Choice) -> bool {
    // SAFETY: No preconditions.
    let platform = unsafe { bindings::tdx_pages_on_tdx_platform() };
    if choice == Choice::Auto && platform {
        pr_notice!(
            "iommu: left out on a real TDX platform, since intel-iommu does not know that half of a unit's domain ids go to the TDX Module; iommu=1 sets them up all the same\n"
        );
    }
    choice == Choice::On || choice == Choice::Auto && !platform
}
