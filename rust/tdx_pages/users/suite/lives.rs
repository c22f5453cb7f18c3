// SPDX-License-Identifier: GPL-2.0

//! Whole lives, from load to unload, for sweeps; and what must hold after each of them, whatever went
//! wrong in it.

use super::{
    device::*,
    *, //
};
use crate::bindings;
use crate::custody::record::Remains;
use crate::mm::scarce;
use crate::platform::Kernel;
use crate::seam::profile::Profile;
use crate::users::registry::Registration;
use kernel::error::from_err_ptr;

/// Pages of the pool.
pub(super) const POOL: u64 = 5;

/// Pages of an array: a large block, and some more.
const ARRAY_PAGES: usize = 512 + 5;

/// How long a leaf is tried: what a suite makes hang does so for ever.
const PATIENCE: Delta = Delta::from_millis(3);

/// What is lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The pool and two IOMMUs are attached, and detached.
    Attach(Profile),
    /// An IOMMU, and a session that is connected and ended.
    Session(Profile),
    /// The same with a stream that gets keys, new ones, and loses them.
    Stream(Profile),
    /// An array of host pages by way of the C API.
    Array,
}

/// Those that make SEAMCALLs.
pub(super) const SPEAKING: [Life; 6] = [
    Life::Attach(Profile::V2),
    Life::Attach(Profile::Late),
    Life::Session(Profile::V2),
    Life::Session(Profile::Late),
    Life::Stream(Profile::V2),
    Life::Stream(Profile::Late),
];

/// How a life is lived.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// What is said of the pool.
    pub(super) pool: PoolIs,
    /// How long a leaf is tried.
    pub(super) patience: Delta,
    /// Whether another one is lived after it, in which nothing goes wrong.
    pub(super) again: bool,
}

/// What is said of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolIs {
    /// What its leaf says of it is true: the page balances are equal.
    True,
    /// The leaf may say that it took what it did not: that is held for good all the same.
    Feigned,
}

/// Calls by the place of their leaf in [`Leaf::ALL`].
pub(super) type Calls = [u64; Leaf::ALL.len()];

/// Calls of each leaf since the last reset.
pub(super) fn calls(emu: &Emu) -> Result<Calls> {
    let mut calls = [0; Leaf::ALL.len()];
    for (slot, leaf) in calls.iter_mut().zip(Leaf::ALL) {
        *slot = emu.calls(*leaf)?.0;
    }
    Ok(calls)
}

/// How a round went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lived {
    /// Nothing was told to have failed.
    pub(super) well: bool,
    /// Pages that were in quarantine at its end.
    pub(super) quarantined: usize,
}

/// The fields that the lives go by.
fn prepare(emu: &Emu, profile: Profile, pool: u64) -> Result {
    emu.set(Field::POOL_REQUIRED_PAGES_U16, pool)?;
    emu.set(Field::IOMMU_MT_PAGE_COUNT, SINGLES)?;
    emu.set(Field::SPDM_MT_PAGE_COUNT, SESSION_PAGES as u64)?;
    emu.set(Field::IDE_MT_PAGE_COUNT, STREAM_PAGES as u64)?;
    emu.set(Field::SPDM_MAX_DEV_INFO_PAGES, 2)?;
    emu.profile(profile)
}

/// Lives a life.
///
/// `trouble` is called when only what is lived can meet it, and `over` when it is at its end, before
/// anybody looks. With `again` another one is lived after it, in which nothing goes wrong.
/// [`None`] if there is no software TDX Module.
pub(super) fn live(
    life: Life,
    trouble: impl FnOnce(&Emu) -> Result,
    over: impl FnOnce(&Emu) -> Result,
    again: bool,
) -> Result<Option<Lived>> {
    let terms = Terms {
        pool: PoolIs::True,
        patience: PATIENCE,
        again,
    };
    live_on(life, terms, trouble, over)
}

/// The same on other terms.
pub(super) fn live_on(
    life: Life,
    terms: Terms,
    trouble: impl FnOnce(&Emu) -> Result,
    over: impl FnOnce(&Emu) -> Result,
) -> Result<Option<Lived>> {
    let Some(emu) = Emu::begin() else {
        return Ok(None);
    };
    let out = scarce::out();
    let lived = match life {
        Life::Attach(profile) => attach(&emu, profile, terms, trouble, over)?,
        Life::Session(profile) | Life::Stream(profile) => {
            let streams = matches!(life, Life::Stream(_));
            session(&emu, profile, streams, terms, trouble, over)?
        }
        Life::Array => {
            trouble(&emu)?;
            let well = array().is_ok();
            over(&emu)?;
            if terms.again {
                array()?;
            }
            Lived {
                well,
                quarantined: 0,
            }
        }
    };
    // Of what was allocated nothing is left, on no path.
    expect_eq!(scarce::out(), out);
    Ok(Some(lived))
}

fn attach(
    emu: &Emu,
    profile: Profile,
    terms: Terms,
    trouble: impl FnOnce(&Emu) -> Result,
    over: impl FnOnce(&Emu) -> Result,
) -> Result<Lived> {
    let dmar = dmar(&UNITS)?;
    let options = Options {
        patience: terms.patience,
        profile: Some(profile),
        ..options(&dmar)
    };
    prepare(emu, profile, POOL)?;
    trouble(emu)?;
    let attached = Attached::new(options).map(|attached| {
        stop_worker(attached.kernel());
        attached.without_iommus()
    });
    over(emu)?;
    let mut lived = Lived::default();
    match &attached {
        Ok(attached) => {
            let balance = attached.kernel().users().balance();
            lived.well = balance.quarantined_ever == 0;
            lived.quarantined = balance.quarantined;
            settle_with(emu, attached.kernel(), terms.pool, 0)?;
            expect_eq!(attached.kernel().close(), NOTHING);
        }
        // A load that fails has handed nothing over.
        Err(_) => {
            let left = emu.balance()?;
            expect_eq!(
                (left.pool, left.owned, left.dirty, left.host_bugs),
                (0, 0, 0, 0)
            );
        }
    }
    drop(attached);
    if terms.again {
        emu.reset()?;
        prepare(emu, profile, POOL)?;
        let attached = Attached::new(options)?.without_iommus();
        let balance = attached.kernel().users().balance();
        expect_eq!(balance.released, UNITS.len() * TABLE_PAGES);
        expect_eq!(balance.quarantined_ever, 0);
        settle(emu, attached.kernel())?;
    }
    Ok(lived)
}

/// The kernel's side of it, for users that are no part of this kernel module.
pub(super) fn begin_life(emu: &Emu, profile: Profile, patience: Delta) -> Result<Kernel> {
    let kernel = Kernel::new(KEYID, patience)?;
    stop_worker(&kernel);
    kernel.seam().choose(profile);
    prepare(emu, profile, 0)?;
    Ok(kernel)
}

fn session(
    emu: &Emu,
    profile: Profile,
    streams: bool,
    terms: Terms,
    trouble: impl FnOnce(&Emu) -> Result,
    over: impl FnOnce(&Emu) -> Result,
) -> Result<Lived> {
    let kernel = begin_life(emu, profile, terms.patience)?;
    let well = talk(emu, &kernel, streams, || trouble(emu));
    over(emu)?;
    let balance = kernel.users().balance();
    let lived = Lived {
        well: well? && balance.quarantined_ever == 0,
        quarantined: balance.quarantined,
    };
    settle(emu, &kernel)?;
    if terms.again {
        prepare(emu, profile, 0)?;
        expect!(talk(emu, &kernel, streams, || Ok(()))?);
        expect_eq!(kernel.users().balance().on_record(), 0);
        settle(emu, &kernel)?;
    }
    expect_eq!(kernel.close(), NOTHING);
    Ok(lived)
}

/// The life of a session, with or without a stream; whether nothing was told to have failed. An error
/// is the suite's.
fn talk(
    emu: &Emu,
    kernel: &Kernel,
    streams: bool,
    trouble: impl FnOnce() -> Result,
) -> Result<bool> {
    let registration = Registration::new(kernel, "suite")?;
    let mut ground = Ground {
        emu: emu.clone(),
        registration,
        iommu: None,
    };
    trouble()?;
    // What else there may be for a leaf alone, on the way.
    let well = kernel.seam().ext_init().0;
    ground.iommu = ground.iommu(UNITS[0]).ok();
    let lived = if streams {
        device::life(&ground, Device::GOOD)
    } else {
        alone(&ground)
    };
    let well = well && ground.iommu.is_some() && lived.is_ok();
    // Before its user is gone.
    drop(ground.iommu.take());
    Ok(well)
}

/// A session without streams, which nobody disconnects before its end.
fn alone(ground: &Ground) -> Result {
    let session = ground.session(0x100, Device::GOOD)?;
    session.connect()?;
    session.manage(crate::abi::spdm::Management::DeviceInfo)
}

/// An array: made, written, read, mapped, and ended.
fn array() -> Result {
    // SAFETY: It is a string.
    let user = unsafe { bindings::tdx_pages_register(c"suite".as_char_ptr()) };
    let user = from_err_ptr(user)?;
    // SAFETY: The functions take any address for a handle, and the buffers are as long as they are
    // said to be.
    let lived = unsafe {
        from_err_ptr(bindings::tdx_page_array_create(user, ARRAY_PAGES, -1)).and_then(|array| {
            let (words, mut back) = ([7u8; 64], [0u8; 64]);
            let at = 4096 - 32;
            let wrote = bindings::tdx_page_array_write(array, at, words.as_ptr().cast(), 64);
            let read = bindings::tdx_page_array_read(array, at, back.as_mut_ptr().cast(), 64);
            let mapped = from_err_ptr(bindings::tdx_page_array_vmap(array));
            if mapped.is_ok() {
                bindings::tdx_page_array_vunmap(array);
            }
            bindings::tdx_page_array_end(array);
            expect_eq!((wrote, read, back), (0, 0, words));
            mapped.map(drop)
        })
    };
    // SAFETY: As above.
    unsafe { bindings::tdx_pages_unregister(user) };
    lived
}

const NOTHING: Remains = Remains {
    held_for_good: 0,
    lost: 0,
};

/// No round out of turn: what is in quarantine stays until a suite has looked.
pub(super) fn stop_worker(kernel: &Kernel) {
    if let Some(worker) = kernel.host().worker() {
        worker.stop();
    }
}

/// Nothing goes wrong any more. What the registry has on record is what the software TDX Module has,
/// page by page; and once that has forgotten everything, all of it comes back.
pub(super) fn settle(emu: &Emu, kernel: &Kernel) -> Result {
    settle_with(emu, kernel, PoolIs::True, 0)
}

/// The same, where so many pages are held by handles that were forgotten. Nobody puts those to the
/// proof: what the software TDX Module only feigned to take of them stays on record.
pub(super) fn settle_with(emu: &Emu, kernel: &Kernel, said: PoolIs, forgotten: usize) -> Result {
    let (proofs, proved) = emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?;
    // What it let go of meanwhile is proved by this.
    let _ = kernel.retry();
    let theirs = emu.balance()?;
    let ours = kernel.users().balance();
    let they_have = usize::try_from(theirs.owned + theirs.dirty)?;
    let (we_have, lost) = (ours.held + ours.quarantined, ours.lost);
    // What is lent to a leaf that is interrupted, and that another exchange keeps from its end, is on
    // record though the software TDX Module does not own it.
    let more = if kernel.seam().settle(Delta::ZERO) {
        forgotten
    } else {
        usize::MAX
    };
    let most = they_have.saturating_add(more);
    expect!((they_have..=most).contains(&we_have));
    expect_eq!(lost, 0);
    // A page of the pool that was not taken is held for good if its one proof failed.
    let pool = usize::try_from(theirs.pool)?;
    let may_be_more = proved < proofs || said == PoolIs::Feigned;
    expect!(ours.held_for_good == pool || ours.held_for_good > pool && may_be_more);
    expect_eq!(ours.handed_over, ours.released + ours.on_record());
    expect_eq!(theirs.host_bugs, 0);

    emu.reset()?;
    expect_eq!(kernel.retry().left, 0);
    let (held, for_good) = (ours.held, ours.held_for_good);
    expect_eq!(kernel.recover(), held + for_good);
    let ours = kernel.users().balance();
    expect_eq!((ours.on_record(), ours.lost), (0, 0));
    expect_eq!(ours.handed_over, ours.released);
    expect_eq!(emu.balance()?.host_bugs, 0);
    Ok(())
}
