// SPDX-License-Identifier: GPL-2.0

//! Whole lives, attach to detach, against the software TDX Module.

mod answers;
mod attach;
mod chance;
mod crowd;
mod device;
mod iommu;
mod late;
mod lie;
mod lies;
mod lives;
mod pool;
mod random;
mod registry;
mod rounds;
mod session;
mod sweep;
mod threads;
mod trouble;

use crate::abi::{
    field::{
        Features0,
        Field, //
    },
    Leaf,
    Status, //
};
use crate::attach::{
    Attached,
    Choice,
    DmarSource,
    Options, //
};
use crate::emu::{
    Emu,
    Fault,
    Released,
    KEYID, //
};
use kernel::{
    prelude::*,
    time::Delta, //
};

/// Two remapping units of a made-up machine, on two nodes.
const UNITS: [u64; 2] = [0xfed9_0000, 0xfed9_1000];

/// IOMMU_MT_PAGE_COUNT of the tests, and the pages of one IOMMU_MT with it.
const SINGLES: u64 = 3;
const TABLE_PAGES: usize = 7;

/// A DMAR table with a DRHD and an RHSA structure for each unit.
pub(crate) fn dmar(units: &[u64]) -> Result<KVec<u8>> {
    let mut table = KVec::from_elem(0u8, 48, GFP_KERNEL)?;
    for (segment, base) in units.iter().enumerate() {
        let segment = u16::try_from(segment)?.to_le_bytes();
        table.extend_from_slice(&[0, 0, 16, 0, 0, 0, segment[0], segment[1]], GFP_KERNEL)?;
        table.extend_from_slice(&base.to_le_bytes(), GFP_KERNEL)?;
    }
    for (node, base) in units.iter().enumerate() {
        table.extend_from_slice(&[3, 0, 20, 0, 0, 0, 0, 0], GFP_KERNEL)?;
        table.extend_from_slice(&base.to_le_bytes(), GFP_KERNEL)?;
        table.extend_from_slice(&u32::try_from(node)?.to_le_bytes(), GFP_KERNEL)?;
    }
    let len = u32::try_from(table.len())?.to_le_bytes();
    table[4..8].copy_from_slice(&len);
    Ok(table)
}

fn options(dmar: &[u8]) -> Options<'_> {
    Options {
        global_keyid: KEYID,
        dmar: DmarSource::Bytes(dmar),
        patience: Delta::from_millis(50),
        ..Options::default()
    }
}

fn pool_only(dmar: &[u8]) -> Options<'_> {
    Options {
        iommu: Choice::Off,
        ..options(dmar)
    }
}

fn iommu_only(dmar: &[u8]) -> Options<'_> {
    Options {
        pool: false,
        ..options(dmar)
    }
}

/// A fresh software TDX Module with a small pool.
fn begin(pool: u64) -> Result<Option<Emu>> {
    let Some(emu) = Emu::begin() else {
        return Ok(None);
    };
    emu.set(Field::POOL_REQUIRED_PAGES_U16, pool)?;
    emu.set(Field::IOMMU_MT_PAGE_COUNT, SINGLES)?;
    Ok(Some(emu))
}

/// Detaches after the software TDX Module forgot the pool, so that no page stays behind.
fn end(emu: &Emu, attached: Attached, pool: usize) -> Result {
    expect_eq!(emu.balance()?.host_bugs, 0);
    let kernel = attached.kernel().clone();
    emu.reset()?;
    // The IOMMUs are gone with the rest, so clearing them fails: only a pool comes this way.
    expect_eq!(kernel.recover(), pool);
    drop(attached);
    expect_eq!(emu.balance()?.host_bugs, 0);
    Ok(())
}

fn refused(emu: &Emu, options: Options<'_>, errno: Error) -> Result {
    match Attached::new(options) {
        Err(error) => expect_eq!(error, errno),
        Ok(_) => return Err(EIO),
    }
    let balance = emu.balance()?;
    expect_eq!((balance.taken, balance.host_bugs), (0, 0));
    Ok(())
}
