// SPDX-License-Identifier: GPL-2.0

//! What stands for an object outside: a number that is never used again.
//!
//! A handle looks like a pointer to C and is none. Bits 63:48 make it an address that no CPU can
//! have, with four and with five levels of page tables, so that a driver that dereferences one
//! faults at once; below are a serial number and the kind of object.

use kernel::{
    fmt,
    prelude::*, //
};

/// Bits 63:48 of each handle.
const MARK: usize = 0x7d7d;
const MARK_SHIFT: u32 = 48;
const KIND_BITS: u32 = 3;
const KIND_MASK: usize = (1 << KIND_BITS) - 1;

/// One more than the last serial number that fits.
const SERIALS: usize = 1 << (MARK_SHIFT - KIND_BITS);

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    /// A registration.
    User = 1,
    /// An array of pages.
    Array = 2,
    /// An IOMMU in TDX mode.
    Iommu = 3,
    /// An SPDM session.
    Session = 4,
    /// An IDE stream.
    Stream = 5,
}

impl Kind {
    /// In the order in which a user's objects are ended: what needs another goes before it.
    pub(super) const OBJECTS: [Self; 4] = [Self::Stream, Self::Session, Self::Iommu, Self::Array];

    /// A word for people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Array => "array",
            Self::Iommu => "iommu",
            Self::Session => "session",
            Self::Stream => "stream",
        }
    }

    const fn from_raw(number: usize) -> Option<Self> {
        match number {
            1 => Some(Self::User),
            2 => Some(Self::Array),
            3 => Some(Self::Iommu),
            4 => Some(Self::Session),
            5 => Some(Self::Stream),
            _ => None,
        }
    }
}

/// A handle. In order of age.
///
/// # Invariants
///
/// It has the mark, and a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle(usize);

impl Handle {
    /// The handle with this serial number; [`None`] if it does not fit.
    pub(super) const fn new(serial: usize, kind: Kind) -> Option<Self> {
        if serial >= SERIALS {
            return None;
        }
        // INVARIANT: The three do not overlap.
        // CAST: An enum with `usize` values.
        Some(Self(
            MARK << MARK_SHIFT | serial << KIND_BITS | kind as usize,
        ))
    }

    /// Whether an address has the mark of a handle.
    pub(super) const fn is_like(address: usize) -> bool {
        address >> MARK_SHIFT == MARK
    }

    /// Reads what came from outside; [`None`] for what never was one.
    pub(super) fn parse(address: usize) -> Option<Self> {
        let known = Self::is_like(address) && Kind::from_raw(address & KIND_MASK).is_some();
        // INVARIANT: Checked above.
        known.then_some(Self(address))
    }

    /// The number that stands for it outside.
    pub(super) const fn raw(self) -> usize {
        self.0
    }

    /// What it is for.
    pub(super) fn kind(self) -> Kind {
        // By the invariant there is one.
        Kind::from_raw(self.0 & KIND_MASK).unwrap_or(Kind::User)
    }

    /// Its number, which no other one has.
    pub(super) const fn serial(self) -> usize {
        (self.0 & ((1 << MARK_SHIFT) - 1)) >> KIND_BITS
    }

    /// The next possible one in the order of handles.
    pub(super) const fn above(self) -> Self {
        // INVARIANT: Only used to look from here on; there are 2^15 marks above this one.
        Self(self.0 + 1)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().text(), self.serial())
    }
}

/// The errno that an error pointer stands for, as a positive number.
pub(super) fn errno(address: usize) -> Option<usize> {
    let number = address.wrapping_neg();
    (1..=kernel::bindings::MAX_ERRNO as usize)
        .contains(&number)
        .then_some(number)
}

/// Why a call does not go with what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// NULL.
    Null,
    /// An error pointer, with its errno.
    ErrorPointer(usize),
    /// What never was a handle.
    NoHandle(usize),
    /// A handle of another kind.
    OtherKind(Handle),
    /// Its object was ended, or its user has unregistered.
    Ended(Handle),
    /// The calling task is in a transfer for the TDX Module, which this call would wait for.
    InTransfer,
}

impl Misuse {
    /// The error to return.
    pub(super) fn error(self) -> Error {
        match self {
            Self::InTransfer => errno!(EDEADLK),
            _ => EINVAL,
        }
    }

    /// What an address is instead of a handle for this kind.
    pub(super) fn look(address: usize, kind: Kind) -> Result<Handle, Self> {
        if address == 0 {
            return Err(Self::Null);
        }
        if let Some(errno) = errno(address) {
            return Err(Self::ErrorPointer(errno));
        }
        match Handle::parse(address) {
            Some(handle) if handle.kind() == kind => Ok(handle),
            Some(handle) => Err(Self::OtherKind(handle)),
            None => Err(Self::NoHandle(address)),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("given NULL"),
            Self::ErrorPointer(errno) => write!(f, "given the error pointer -{errno}"),
            Self::NoHandle(address) => write!(f, "given {address:#x}, which never was a handle"),
            Self::OtherKind(handle) => {
                f.write_fmt(fmt!("given {handle}, which is of another kind"))
            }
            Self::Ended(handle) => f.write_fmt(fmt!("{handle}: used after its end")),
            Self::InTransfer => f.write_str("not in a transfer: it would wait for itself"),
        }
    }
}
