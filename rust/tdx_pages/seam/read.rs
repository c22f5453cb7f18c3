// SPDX-License-Identifier: GPL-2.0

//! The metadata fields as they were read last, to be shown.

use crate::abi::{
    field::Field,
    Status, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

// No status has all bits set.
const NEVER: u64 = u64::MAX;

/// All fields that this project knows.
pub(crate) struct Fields(KVec<Read>);

struct Read {
    value: Atomic<u64>,
    status: Atomic<u64>,
}

impl Fields {
    /// None was read yet. `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut fields = KVec::with_capacity(Field::ALL.len(), GFP_KERNEL)?;
        for _ in Field::ALL {
            let never = Read {
                value: Atomic::new(0),
                status: Atomic::new(NEVER),
            };
            fields.push(never, GFP_KERNEL)?;
        }
        Ok(Self(fields))
    }

    /// Notes what came of a reading. Two at once leave the answer of either.
    pub(super) fn note(&self, field: Field, answer: Result<u64, Status>) {
        let all = Field::ALL.iter().zip(&self.0);
        for (_, read) in all.filter(|(known, _)| **known == field) {
            match answer {
                Ok(value) => {
                    read.value.store(value, Relaxed);
                    read.status.store(Status::SUCCESS.raw(), Relaxed);
                }
                Err(status) => read.status.store(status.raw(), Relaxed),
            }
        }
    }

    /// Each field that was read, with its value, or the status other than success.
    pub(crate) fn read(&self) -> impl Iterator<Item = (Field, Result<u64, Status>)> + '_ {
        let all = Field::ALL.iter().copied().zip(&self.0);
        all.filter_map(|(field, read)| match read.status.load(Relaxed) {
            NEVER => None,
            0 => Some((field, Ok(read.value.load(Relaxed)))),
            status => Some((field, Err(Status::from_raw(status)))),
        })
    }
}
