// SPDX-License-Identifier: GPL-2.0

//! The two generations of the interface, as one value that is chosen at load.
//!
//! `v2` is what the host patches of 2026-03 speak, `late` what later development trees speak. They
//! differ in how control pages are told, and in what a release gives back. `[1]`; for the leaves
//! on IDE streams `[I]`.

use crate::abi::Hpa;
use crate::custody::{
    listed::{
        Listed,
        Pages,
        Tables, //
    },
    memory::{
        Memory,
        PublishedRoot, //
    }, //
};
use kernel::prelude::*;

/// A generation of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Control pages as HPA_ARRAY_T; a release is given a page to write the list to, and does so.
    V2,
    /// Control pages as HPA_LIST_INFO; a release is given the id only, and returns nothing.
    Late,
}

impl Profile {
    /// From a parameter: -1 (by the metadata), 0 or 1. `EINVAL` for another value.
    pub(crate) fn from_parameter(value: i32) -> Result<Option<Self>> {
        match value {
            -1 => Ok(None),
            0 => Ok(Some(Self::V2)),
            1 => Ok(Some(Self::Late)),
            _ => {
                pr_err!(
                    "profile={}: give -1 (by the metadata), 0 (v2) or 1 (late)\n",
                    value
                );
                Err(EINVAL)
            }
        }
    }

    /// The name that people use.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Late => "late",
        }
    }

    /// The operand of a CREATE for its control pages; [`None`] never, since memory without pages
    /// is not listed.
    pub(crate) fn create<M: Memory, R: PublishedRoot>(
        self,
        listed: &Listed<'_, M, R, Pages>,
    ) -> Option<u64> {
        match self {
            Self::V2 => Some(listed.array()?.raw()),
            Self::Late => Some(listed.list_info().raw()),
        }
    }

    /// The operand of a DELETE for the list that it gives back; 0 where there is none.
    pub(crate) fn delete<M: Memory, R: PublishedRoot>(
        self,
        listed: &Listed<'_, M, R, Pages>,
    ) -> u64 {
        match self {
            Self::V2 => listed.aux(),
            Self::Late => 0,
        }
    }

    /// Whether what a DELETE gave back after success, the word and the list, is as it must be.
    pub(crate) fn is_released<M: Memory, R: PublishedRoot>(
        self,
        listed: &Listed<'_, M, R, Pages>,
        word: u64,
    ) -> bool {
        match self {
            Self::V2 => listed.check(word).is_ok(),
            Self::Late => true,
        }
    }

    /// The operand of TDH.IOMMU.CLEAR for the list; 0 where there is none.
    pub(crate) const fn clear(self, root: Hpa) -> u64 {
        match self {
            Self::V2 => root.get(),
            Self::Late => 0,
        }
    }

    /// Whether the list that TDH.IOMMU.CLEAR left after success is as it must be.
    pub(crate) fn is_cleared<M: Memory, R: PublishedRoot>(
        self,
        listed: &Listed<'_, M, R, Tables>,
    ) -> bool {
        match self {
            Self::V2 => listed.check_list().is_ok(),
            Self::Late => true,
        }
    }
}
