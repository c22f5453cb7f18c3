// SPDX-License-Identifier: GPL-2.0

//! The completion status of a SEAMCALL, as in RAX.

use core::fmt;

/// A status word.
///
/// 63 error, 62 non-recoverable, 61 fatal, 47:40 class, 39:32 code within the class, 31:0 detail,
/// to which an operand id may be added. `[1]` M15. Two words are the same status only if all 64
/// bits are the same; [`Status::masked`] drops the detail for a comparison by name.
///
/// It is a type of its own so that it can be neither compared with a signed zero nor taken for an
/// errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
#[must_use]
pub(crate) struct Status(u64);

macro_rules! statuses {
    ($($ident:ident = $value:literal;)+) => {
        // The names are those of the TDX documents; the ABI page tells what each means.
        #[allow(missing_docs)]
        impl Status {
            $(pub(crate) const $ident: Self = Self($value);)+

            /// Every status of the TDX Module that this project knows.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$ident),+];

            /// The name in the TDX documents, without the detail; [`None`] for one not known here.
            pub(crate) const fn name(self) -> Option<&'static str> {
                // What the kernel itself answers has the whole word for its name.
                match self.0 {
                    0x8000_ff00_ffff_0000 => return Some("TDX_SEAMCALL_VMFAILINVALID"),
                    0x8000_ff00_0000_000d => return Some("TDX_SEAMCALL_GP"),
                    0x8000_ff00_0000_0006 => return Some("TDX_SEAMCALL_UD"),
                    0x8000_ff00_fffe_0000 => return Some("not called, the system goes down"),
                    _ => {}
                }
                match self.0 & Self::NAME_MASK {
                    // M15 has the fatal bit in it, K73 has not.
                    0x6000_0002_0000_0000 => Some("TDX_NON_RECOVERABLE_TD"),
                    $($value => Some(concat!("TDX_", stringify!($ident))),)+
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0;
    NON_RECOVERABLE_VCPU = 0x4000_0001_0000_0000;
    NON_RECOVERABLE_TD = 0x4000_0002_0000_0000;
    INTERRUPTED_RESUMABLE = 0x8000_0003_0000_0000;
    INTERRUPTED_RESTARTABLE = 0x8000_0004_0000_0000;
    INVALID_RESUMPTION = 0xc000_0006_0000_0000;
    OPERAND_INVALID = 0xc000_0100_0000_0000;
    OPERAND_ADDR_RANGE_ERROR = 0xc000_0101_0000_0000;
    OPERAND_BUSY = 0x8000_0200_0000_0000;
    PREVIOUS_TLB_EPOCH_BUSY = 0x8000_0201_0000_0000;
    SYS_BUSY = 0x8000_0202_0000_0000;
    RND_NO_ENTROPY = 0x8000_0203_0000_0000;
    OPERAND_BUSY_HOST_PRIORITY = 0x8000_0204_0000_0000;
    HOST_PRIORITY_BUSY_TIMEOUT = 0x9000_0205_0000_0000;
    PAGE_METADATA_INCORRECT = 0xc000_0300_0000_0000;
    PAGE_ALREADY_FREE = 0x0000_0301_0000_0000;
    PAGE_NOT_OWNED_BY_TD = 0xc000_0302_0000_0000;
    PAGE_NOT_FREE = 0xc000_0303_0000_0000;
    HPA_RANGE_NOT_FREE = 0xc000_0304_0000_0000;
    NO_PAMT_PAGE_PAIR = 0xc000_0305_0000_0000;
    PAMT_PAGE_NOT_EMPTY = 0xc000_0306_0000_0000;
    INTERRUPTED_PAMT = 0x8000_0307_0000_0000;
    MISSING_PAMT_PAGE_PAIR = 0x8000_0308_0000_0000;
    TD_ASSOCIATED_PAGES_EXIST = 0xc000_0400_0000_0000;
    SYS_INIT_NOT_PENDING = 0xc000_0500_0000_0000;
    SYS_LP_INIT_NOT_DONE = 0xc000_0502_0000_0000;
    SYS_NOT_READY = 0xc000_0505_0000_0000;
    SYS_SHUTDOWN = 0xc000_0506_0000_0000;
    SYS_KEY_CONFIG_NOT_PENDING = 0xc000_0507_0000_0000;
    SYS_STATE_INCORRECT = 0xc000_0508_0000_0000;
    SYS_CONFIG_NOT_PENDING = 0xc000_050c_0000_0000;
    LIFECYCLE_STATE_INCORRECT = 0xc000_0607_0000_0000;
    KEY_GENERATION_FAILED = 0x8000_0800_0000_0000;
    METADATA_FIELD_ID_INCORRECT = 0xc000_0c00_0000_0000;
    METADATA_FIELD_NOT_WRITABLE = 0xc000_0c01_0000_0000;
    METADATA_FIELD_NOT_READABLE = 0xc000_0c02_0000_0000;
    METADATA_FIRST_FIELD_ID_IN_CONTEXT = 0x0000_0c0b_0000_0000;
    IOMMU_INVALID_STATE = 0xc000_0f00_0000_0000;
    SPDM_HAS_ACTIVE_IDE_STREAMS = 0xc000_0f05_0000_0000;
    SPDM_INVALID_STATE = 0xc000_0f06_0000_0000;
    IDE_STREAM_NOT_FREE = 0xc000_0f16_0000_0000;
    IDE_STREAM_NOT_SUPPORTED = 0xc000_0f17_0000_0000;
    IDE_STREAM_NOT_CONFIGURED = 0xc000_0f18_0000_0000;
    IDE_STREAM_BLOCKED = 0xc000_0f19_0000_0000;
    IDE_STREAM_NOT_BLOCKED = 0xc000_0f1a_0000_0000;
    IDE_STREAM_ADDR_OVERLAP = 0xc000_0f1b_0000_0000;
    IDE_STREAM_RID_OVERLAP = 0xc000_0f1c_0000_0000;
    IDE_STREAM_KEY_ID_ALREADY_USED = 0xc000_0f1d_0000_0000;
    IDE_STREAM_IDE_ID_ALREADY_USED = 0xc000_0f1e_0000_0000;
    IDE_STREAM_HAS_DEVICE_INTERFACES = 0xc000_0f1f_0000_0000;
    IDE_STREAM_IDEKM_OUTREQ = 0xc000_0f20_0000_0000;
    IDE_STREAM_KEYS_NOT_READY = 0xc000_0f21_0000_0000;
    IDE_STREAM_NO_ENTROPY = 0xc000_0f22_0000_0000;
    IDE_STREAM_INVALID_RESPONSE = 0xc000_0f23_0000_0000;
    IDE_STREAM_INVALID_STATE = 0xc000_0f24_0000_0000;
    SPDM_AUTH_FAILED = 0xc000_0f3c_0000_0000;
    IOMMU_MT_PAGE_IN_USE = 0xc000_0f3d_0000_0000;
    KCB_MUST_BE_DISABLED = 0xc000_0f3e_0000_0000;
    SPDM_ENTRY_ALREADY_PRESENT = 0xc000_0f43_0000_0000;
    SPDM_ENTRY_NOT_PRESENT = 0xc000_0f44_0000_0000;
    SPDM_SESSION_KEY_REQUIRE_REFRESH = 0xc000_0f45_0000_0000;
    CONNECT_INVALID_STATE = 0xc000_0f46_0000_0000;
    SDPM_INVALID_MESSAGE = 0xc000_0f4e_0000_0000;
    IOMMU_ECMD_TIMEOUT = 0x8000_0f51_0000_0000;
    IOMMU_ECMD_ERROR = 0x8000_0f52_0000_0000;
    SPDM_REQUEST = 0xc000_0f57_0000_0000;
}

impl Status {
    const ERROR: u64 = 1 << 63;
    const NON_RECOVERABLE: u64 = 1 << 62;
    const FATAL: u64 = 1 << 61;
    /// TDX_SW_ERROR of `asm/tdx.h`: the kernel's own range, class 0xff.
    const SW_ERROR: u64 = Self::ERROR | 0xff00_0000_0000;
    const NAME_MASK: u64 = 0xffff_ffff_0000_0000;

    /// SEAMCALL failed without an answer: no TDX Module is loaded. K73 `asm/tdx.h`
    pub(crate) const VMFAILINVALID: Self = Self(Self::SW_ERROR | 0xffff_0000);
    /// SEAMCALL raised #GP: SEAM is not enabled by the BIOS. K73 `asm/tdx.h`
    pub(crate) const GP: Self = Self(Self::SW_ERROR | 13);
    /// SEAMCALL raised #UD: no such instruction, or this CPU is not in VMX operation. K73
    /// `asm/tdx.h`
    pub(crate) const UD: Self = Self(Self::SW_ERROR | 6);

    /// This kernel module did not make the call, because the system goes down. A value of our own
    /// in the kernel's software range.
    pub(crate) const HOST_DOWN: Self = Self(Self::SW_ERROR | 0xfffe_0000);

    /// A status as it came in RAX.
    #[inline]
    pub(crate) const fn from_raw(rax: u64) -> Self {
        Self(rax)
    }

    /// The 64 bits.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// Plain success: all 64 bits are zero.
    #[inline]
    pub(crate) const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Success, or a note beside success: the error bit is clear.
    #[inline]
    pub(crate) const fn is_success_class(self) -> bool {
        self.0 & Self::ERROR == 0
    }

    /// An error that another try may not meet: interrupted, busy, no entropy. The error bit is set
    /// and the non-recoverable one is not; the kernel's own answers are not among them. `[1]` M15
    #[inline]
    pub(crate) const fn is_recoverable(self) -> bool {
        !self.is_success_class()
            && self.0 & Self::NON_RECOVERABLE == 0
            && self.0 & Self::SW_ERROR != Self::SW_ERROR
    }

    /// The status without its detail, to compare by name.
    #[inline]
    pub(crate) const fn masked(self) -> Self {
        Self(self.0 & Self::NAME_MASK)
    }

    /// Bits 31:0: an operand id, or what the leaf says.
    #[inline]
    pub(crate) const fn detail(self) -> u32 {
        // CAST: The low half is meant.
        self.0 as u32
    }

    /// The same status with an operand id added to its detail.
    #[inline]
    pub(crate) const fn on(self, operand: Operand) -> Self {
        // CAST: An enum with `u32` values.
        Self(self.0 | operand as u32 as u64)
    }

    /// The TDX Module did not execute the leaf, so whatever the operands named is untouched: an
    /// answer of the kernel's own (#UD, #GP, VMFAILINVALID), SYS_SHUTDOWN, SYS_NOT_READY, or
    /// OPERAND_INVALID on RAX. The dispatcher checks those before any operand. `[1]` M15
    #[inline]
    pub(crate) const fn is_not_executed(self) -> bool {
        self.0 == Self::UD.0
            || self.0 == Self::GP.0
            || self.0 == Self::VMFAILINVALID.0
            || self.0 == Self::HOST_DOWN.0
            || self.0 == Self::SYS_SHUTDOWN.0
            || self.0 == Self::SYS_NOT_READY.0
            || self.0 == Self::OPERAND_INVALID.on(Operand::Rax).0
    }

    /// What kind of answer it is, in words.
    pub(crate) const fn class(self) -> &'static str {
        if self.0 & Self::SW_ERROR == Self::SW_ERROR {
            "TDX Module not entered"
        } else if self.is_success_class() {
            "success"
        } else if self.0 & Self::FATAL != 0 {
            "fatal error"
        } else if self.0 & Self::NON_RECOVERABLE != 0 {
            "non-recoverable error"
        } else {
            "recoverable error"
        }
    }

    /// Whether the detail of this status is an operand id.
    const fn has_operand(self) -> bool {
        // The classes whose checks are on operands: operand, busy and page metadata. `[1]` M15
        let class = self.0 >> 40 & 0xff;
        self.0 != Self::RND_NO_ENTROPY.0
            && self.0 != Self::SYS_BUSY.0
            && (class >= 1 && class <= 3 || class == 0xf)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("unknown status"))?;
        if self.has_operand() && (self.detail() != 0 || self.masked() == Self::OPERAND_INVALID) {
            match Operand::name(self.detail()) {
                Some(name) => write!(f, " on {name}")?,
                None => write!(f, " on operand {}", self.detail())?,
            }
        }
        write!(f, " ({}, {:#018x})", self.class(), self.0)
    }
}

macro_rules! operands {
    ($($ident:ident = $value:literal, $name:literal;)+) => {
        /// An operand id, as it is added to the detail of a status. `[1]` M15, M20; RCX and TDR
        /// `[2]`
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        #[allow(missing_docs)]
        pub(crate) enum Operand {
            $($ident = $value,)+
        }

        impl Operand {
            /// The name of an operand id.
            pub(crate) const fn name(id: u32) -> Option<&'static str> {
                match id {
                    $($value => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}

operands! {
    Rax = 0, "RAX";
    Rcx = 1, "RCX";
    Rdx = 2, "RDX";
    Rbx = 3, "RBX";
    Rbp = 5, "RBP";
    Rsi = 6, "RSI";
    Rdi = 7, "RDI";
    R8 = 8, "R8";
    R9 = 9, "R9";
    R10 = 10, "R10";
    R11 = 11, "R11";
    R12 = 12, "R12";
    R13 = 13, "R13";
    R14 = 14, "R14";
    R15 = 15, "R15";
    Page = 95, "PAGE";
    TdmrInfoPa = 96, "TDMR_INFO_PA";
    GpaListEntry = 97, "GPA_LIST_ENTRY";
    Tdr = 128, "TDR";
    RegPage = 132, "REG_PAGE";
    Sys = 184, "SYS";
    Tdmr = 185, "TDMR";
    PasidMt = 256, "PASIDMT";
    MmioMt = 257, "MMIOMT";
    SpdmMt = 258, "SPDMMT";
    Dmar = 320, "DMAR";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let status = Status::OPERAND_INVALID.on(Operand::Rcx);
        assert_eq!(status.raw(), 0xc000_0100_0000_0001);
        let status = Status::PAGE_METADATA_INCORRECT.on(Operand::Rdx);
        assert_eq!(status.raw(), 0xc000_0300_0000_0002);
        assert_eq!(Status::VMFAILINVALID.raw(), 0x8000_ff00_ffff_0000);
        assert_eq!(Status::GP.raw(), 0x8000_ff00_0000_000d);
        assert_eq!(Status::UD.raw(), 0x8000_ff00_0000_0006);
    }

    #[test]
    fn text() {
        for (status, want) in [
            (Status::SUCCESS, "TDX_SUCCESS (success, 0x0000000000000000)"),
            (
                Status::OPERAND_INVALID.on(Operand::Rcx),
                "TDX_OPERAND_INVALID on RCX (non-recoverable error, 0xc000010000000001)",
            ),
            (
                Status::OPERAND_INVALID,
                "TDX_OPERAND_INVALID on RAX (non-recoverable error, 0xc000010000000000)",
            ),
            (
                Status::OPERAND_BUSY.on(Operand::Tdr),
                "TDX_OPERAND_BUSY on TDR (recoverable error, 0x8000020000000080)",
            ),
            (
                Status::SYS_SHUTDOWN,
                "TDX_SYS_SHUTDOWN (non-recoverable error, 0xc000050600000000)",
            ),
            (
                Status::UD,
                "TDX_SEAMCALL_UD (TDX Module not entered, 0x8000ff0000000006)",
            ),
            (
                Status::from_raw(0x8123_4567_89ab_cdef),
                "unknown status (recoverable error, 0x8123456789abcdef)",
            ),
        ] {
            assert_eq!(status.to_string(), want);
        }
    }

    #[test]
    fn every_name_is_one_of_a_kind() {
        for (n, status) in Status::ALL.iter().enumerate() {
            let name = status.name().unwrap();
            assert!(name.starts_with("TDX_"));
            let again = Status::ALL[n + 1..].iter().find(|s| s.name() == Some(name));
            assert_eq!(again, None, "{name}");
        }
        for (value, name) in [
            (0xc000_0f57_0000_0000, "TDX_SPDM_REQUEST"),
            (
                0xc000_0f45_0000_0000,
                "TDX_SPDM_SESSION_KEY_REQUIRE_REFRESH",
            ),
            (0xc000_0f4e_0000_0000, "TDX_SDPM_INVALID_MESSAGE"),
            (0x6000_0002_0000_0000, "TDX_NON_RECOVERABLE_TD"),
        ] {
            assert_eq!(Status::from_raw(value).name(), Some(name));
        }
    }

    #[test]
    fn not_executed_is_exactly_that() {
        for status in [
            Status::UD,
            Status::GP,
            Status::VMFAILINVALID,
            Status::SYS_SHUTDOWN,
            Status::SYS_NOT_READY,
            Status::OPERAND_INVALID,
        ] {
            assert!(status.is_not_executed(), "{status}");
        }
        for status in [
            Status::SUCCESS,
            Status::OPERAND_INVALID.on(Operand::Rcx),
            Status::INTERRUPTED_RESUMABLE,
            Status::OPERAND_BUSY,
            Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx),
            Status::SYS_BUSY,
        ] {
            assert!(!status.is_not_executed(), "{status}");
        }
    }

    #[test]
    fn success_class_is_not_success() {
        let note = Status::PAGE_ALREADY_FREE;
        assert!(note.is_success_class() && !note.is_success());
        assert!(!Status::INTERRUPTED_RESUMABLE.is_success_class());
    }
}
