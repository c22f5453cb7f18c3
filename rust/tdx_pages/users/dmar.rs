// SPDX-License-Identifier: GPL-2.0

//! The ACPI DMAR table, as bytes: which remapping units there are, and on which node.
//!
//! Pure: the table comes from firmware and is checked as any other input. Layout: "Intel
//! Virtualization Technology for Directed I/O", chapter 8; the kernel has the same in
//! `include/acpi/actbl1.h`.

#![allow(dead_code)]

use core::fmt;

/// ACPI header (36 bytes), host address width, flags, 10 reserved bytes.
const HEADER: usize = 48;
const LENGTH_AT: usize = 4;
const TYPE_DRHD: u16 = 0;
const TYPE_RHSA: u16 = 3;
const DRHD_LEN: usize = 16;
const RHSA_LEN: usize = 20;
const DRHD_INCLUDE_ALL: u8 = 1;

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DmarError {
    /// It is shorter than its header.
    NoHeader {
        /// Bytes there are.
        len: usize,
    },
    /// The header tells another length than there are bytes.
    Length {
        /// Bytes the header tells of.
        told: usize,
        /// Bytes there are.
        len: usize,
    },
    /// A structure has a length that no structure of its type can have.
    Structure {
        /// Where it begins, in bytes from the start of the table.
        offset: usize,
        /// The length it tells.
        told: usize,
    },
    /// A structure goes past the end of the table.
    PastTheEnd {
        /// Where it begins, in bytes from the start of the table.
        offset: usize,
    },
}

impl fmt::Display for DmarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { len } => write!(f, "{len} bytes are too few for a header"),
            Self::Length { told, len } => {
                write!(f, "its header tells of {told} bytes, there are {len}")
            }
            Self::Structure { offset, told } => {
                write!(f, "the structure at byte {offset} has the length {told}")
            }
            Self::PastTheEnd { offset } => {
                write!(f, "the structure at byte {offset} goes past the end")
            }
        }
    }
}

/// A remapping unit: a DRHD structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// HPA of its registers, by which the TDX Module knows it.
    pub(crate) reg_base: u64,
    /// Its PCI segment.
    pub(crate) segment: u16,
    /// It serves all devices of its segment that no other unit does.
    pub(crate) include_all: bool,
}

/// A table that has been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dmar<'a> {
    structures: &'a [u8],
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Dmar<'a> {
    /// Checks a table from its first byte to its last, so that nothing is read from one that is
    /// broken further on.
    pub(crate) fn parse(table: &'a [u8]) -> Result<Self, DmarError> {
        let len = table.len();
        let (Some(told), Some(structures)) = (u32_at(table, LENGTH_AT), table.get(HEADER..)) else {
            return Err(DmarError::NoHeader { len });
        };
        // CAST: `u32` fits in a `usize` of this architecture.
        let told = told as usize;
        if told != len {
            return Err(DmarError::Length { told, len });
        }
        let mut rest = structures;
        while !rest.is_empty() {
            let offset = len - rest.len();
            let (Some(kind), Some(told)) = (u16_at(rest, 0), u16_at(rest, 2)) else {
                return Err(DmarError::PastTheEnd { offset });
            };
            let told = usize::from(told);
            let least = match kind {
                TYPE_DRHD => DRHD_LEN,
                TYPE_RHSA => RHSA_LEN,
                // Type and length: less would never come to an end.
                _ => 4,
            };
            if told < least {
                return Err(DmarError::Structure { offset, told });
            }
            rest = rest.get(told..).ok_or(DmarError::PastTheEnd { offset })?;
        }
        Ok(Self { structures })
    }

    fn structures(&self, kind: u16) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.structures;
        core::iter::from_fn(move || {
            let len = usize::from(u16_at(rest, 2)?);
            let (structure, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some(structure)
        })
        .filter(move |structure| u16_at(structure, 0) == Some(kind))
    }

    /// The remapping units, in the order of the table.
    pub(crate) fn units(&self) -> impl Iterator<Item = Unit> + 'a {
        self.structures(TYPE_DRHD).filter_map(|drhd| {
            Some(Unit {
                reg_base: u64_at(drhd, 8)?,
                segment: u16_at(drhd, 6)?,
                include_all: drhd.get(4)? & DRHD_INCLUDE_ALL != 0,
            })
        })
    }

    /// The proximity domain of a unit, if an RHSA structure tells it.
    pub(crate) fn proximity(&self, unit: Unit) -> Option<u32> {
        self.structures(TYPE_RHSA)
            .find(|rhsa| u64_at(rhsa, 8) == Some(unit.reg_base))
            .and_then(|rhsa| u32_at(rhsa, 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_UNIT: &[Unit] = &[];

    fn table(structures: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..4].copy_from_slice(b"DMAR");
        structures.iter().for_each(|s| bytes.extend_from_slice(s));
        let len = bytes.len() as u32;
        bytes[4..8].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    fn drhd(reg_base: u64, segment: u16, flags: u8) -> Vec<u8> {
        let mut s = vec![0, 0, 16, 0, flags, 0];
        s.extend_from_slice(&segment.to_le_bytes());
        s.extend_from_slice(&reg_base.to_le_bytes());
        s
    }

    fn rhsa(reg_base: u64, proximity: u32) -> Vec<u8> {
        let mut s = vec![3, 0, 20, 0, 0, 0, 0, 0];
        s.extend_from_slice(&reg_base.to_le_bytes());
        s.extend_from_slice(&proximity.to_le_bytes());
        s
    }

    fn units(bytes: &[u8]) -> Result<Vec<Unit>, DmarError> {
        Dmar::parse(bytes).map(|dmar| dmar.units().collect())
    }

    #[test]
    fn units_and_nodes() {
        let mut with_scope = drhd(0xfed9_1000, 1, DRHD_INCLUDE_ALL);
        with_scope.extend_from_slice(&[1, 8, 0, 0, 0, 0, 2, 0]);
        with_scope[2] = 24;
        let bytes = table(&[
            &drhd(0xfed9_0000, 0, 0),
            &[1, 0, 4, 0],
            &with_scope,
            &rhsa(0xfed9_1000, 1),
        ]);
        let dmar = Dmar::parse(&bytes).unwrap();
        let units: Vec<Unit> = dmar.units().collect();
        assert_eq!(units.len(), 2);
        assert_eq!((units[0].reg_base, units[0].segment), (0xfed9_0000, 0));
        assert_eq!((units[1].reg_base, units[1].segment), (0xfed9_1000, 1));
        assert!(!units[0].include_all && units[1].include_all);
        assert_eq!(dmar.proximity(units[0]), None);
        assert_eq!(dmar.proximity(units[1]), Some(1));
    }

    #[test]
    fn empty_table_has_no_unit() {
        assert_eq!(units(&table(&[])).as_deref(), Ok(NO_UNIT));
    }

    #[test]
    fn cut_short_anywhere() {
        let bytes = table(&[&drhd(0xfed9_0000, 0, 0), &rhsa(0xfed9_0000, 0)]);
        for len in 0..bytes.len() {
            // With the length as it was, and with one that agrees with the cut.
            assert!(units(&bytes[..len]).is_err(), "{len} bytes");
            let mut cut = bytes[..len].to_vec();
            if len >= HEADER {
                cut[4..8].copy_from_slice(&(len as u32).to_le_bytes());
                let whole = len == HEADER || len == HEADER + 16;
                assert_eq!(units(&cut).is_ok(), whole, "{len} bytes, told so");
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        for told in [0, 1, 3, 4, 15] {
            let mut s = drhd(0xfed9_0000, 0, 0);
            s[2] = told;
            let want = DmarError::Structure {
                offset: HEADER,
                told: usize::from(told),
            };
            assert_eq!(units(&table(&[&s])), Err(want));
        }
        let mut s = drhd(0xfed9_0000, 0, 0);
        s[2] = 17;
        let want = DmarError::PastTheEnd { offset: HEADER };
        assert_eq!(units(&table(&[&s])), Err(want));
        let want = DmarError::Structure {
            offset: HEADER + 16,
            told: 0,
        };
        let bytes = table(&[&drhd(0xfed9_0000, 0, 0), &[9, 0, 0, 0]]);
        assert_eq!(units(&bytes), Err(want));
    }

    #[test]
    fn told_length() {
        let mut bytes = table(&[]);
        bytes[4] += 1;
        let want = DmarError::Length { told: 49, len: 48 };
        assert_eq!(units(&bytes), Err(want));
        assert_eq!(units(&[]), Err(DmarError::NoHeader { len: 0 }));
    }
}
