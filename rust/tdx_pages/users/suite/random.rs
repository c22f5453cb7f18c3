// SPDX-License-Identifier: GPL-2.0

//! Several threads that do anything in any order, while anything goes wrong.
//!
//! The oracle is [`settle_with`]: whatever was done, the registry has on record what the software TDX
//! Module owns, and when that has forgotten everything all of it comes back.

use super::{
    answers::*,
    chance::*,
    device::*,
    lives::*,
    threads::in_threads,
    *, //
};
use crate::abi::spdm::Management;
use crate::custody::transitions::{
    Held,
    Why, //
};
use crate::mm::{
    blocks::Node,
    scarce,
    Blocks, //
};
use crate::platform::Kernel;
use crate::seam::profile::Profile;
use crate::users::{
    iommu::{
        clear,
        Iommu,
        Tables, //
    },
    registry::{
        Object,
        Owner,
        Registration, //
    },
    session::Session,
    stream::Stream, //
};
use kernel::{
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};

const THREADS: u16 = 4;

/// Operations of a thread before everything is looked at.
const OPERATIONS: usize = 125;

/// Epochs of a short run, and of a long one: one million operations.
const FEW_EPOCHS: u32 = 20;
const EPOCHS: u32 = 2000;

/// How long a leaf is tried. An exchange that a session never ends is in the way of all others for the
/// rest of its epoch.
const PATIENCE: Delta = Delta::from_millis(1);

/// Objects of a kind that one thread has at a time.
const MOST: usize = 6;

/// Tables that nobody but custody speaks for.
struct Bare {
    id: u64,
    held: Held<Tables, Kernel>,
}

/// What the threads share.
struct Crowd {
    registration: Registration,
    emu: Emu,
    seed: u32,
    // Handles may be forgotten: what they hold of the kernel module stays for good.
    forgetful: bool,
    // Pages of those.
    forgotten: Atomic<usize>,
    well: Atomic<u32>,
}

impl Crowd {
    /// Whether a leaf is interrupted in this epoch. If so its answer is not replaced after its effect:
    /// that would hide from the host that it was.
    fn may_interrupt(&self, leaf: Leaf) -> bool {
        (u64::from(self.seed / 2) + leaf.number()) % 2 == 0
    }
}

/// One of them, and what it has.
struct Thread<'a> {
    crowd: &'a Crowd,
    number: u16,
    random: Random,
    made: u16,
    arrays: KVec<Blocks>,
    iommus: KVec<Iommu>,
    bare: KVec<Bare>,
    sessions: KVec<Arc<Session<Device>>>,
    streams: KVec<Arc<Stream<Device>>>,
}

/// Takes one out, if there is any.
fn any<T>(random: &mut Random, from: &mut KVec<T>) -> Option<T> {
    let n = random.below(from.len());
    from.remove(n).ok()
}

impl<'a> Thread<'a> {
    fn new(crowd: &'a Crowd, number: u16) -> Self {
        Self {
            crowd,
            number,
            random: Random::new(crowd.seed, u32::from(number) + 1),
            made: 0,
            arrays: KVec::new(),
            iommus: KVec::new(),
            bare: KVec::new(),
            sessions: KVec::new(),
            streams: KVec::new(),
        }
    }

    fn kernel(&self) -> &'a Kernel {
        self.crowd.registration.kernel()
    }

    /// A register base of this thread's.
    fn base(&mut self) -> u64 {
        let unit = usize::from(self.number) * 8 + self.random.below(6);
        // CAST: A small number.
        UNITS[0] + ((unit as u64) << 12)
    }

    /// Does something. [`Err`] if it was refused or failed, which is no error of the suite.
    fn step(&mut self) -> Result {
        let (random, emu) = (&mut self.random, &self.crowd.emu);
        match random.below(32) {
            0..2 => return self.array(),
            2 => drop(any(random, &mut self.arrays)),
            3..6 => return self.set_up(),
            6..8 => drop(any(random, &mut self.iommus)),
            8..10 => return self.hand_over(),
            10..12 => self.give_up(),
            12..15 => return self.session(),
            15..18 => return self.talk(),
            18 => drop(any(random, &mut self.sessions)),
            19..22 => return self.stream(),
            22..24 => return self.keys(),
            24 => drop(any(random, &mut self.streams)),
            25..28 => {
                let leaf = random.one_of(Leaf::ALL).ok_or(EINVAL)?;
                let trouble = random.one_of(&TROUBLES).ok_or(EINVAL)?;
                let hides = trouble.is_after() && self.crowd.may_interrupt(leaf);
                if trouble.fits(leaf) && !hides {
                    trouble.a_while(emu, leaf, 1 + random.below(12) as u64, 8)?;
                }
            }
            28 => self.lie()?,
            29 => drop(self.kernel().retry()),
            30 => make_well(emu)?,
            _ => {
                let leaf = random.one_of(Leaf::ALL).ok_or(EINVAL)?;
                if self.crowd.may_interrupt(leaf) {
                    emu.interrupt(leaf, random.below(4) as u64)?;
                }
            }
        }
        Ok(())
    }

    fn array(&mut self) -> Result {
        if self.arrays.len() >= MOST {
            return Err(EBUSY);
        }
        let blocks = Blocks::new(1 + self.random.below(70), Node::Any)?;
        blocks.write(4090, &[7; 3])?;
        self.arrays.push(blocks, GFP_KERNEL)?;
        Ok(())
    }

    fn set_up(&mut self) -> Result {
        if self.iommus.len() >= MOST {
            return Err(EBUSY);
        }
        self.iommus.reserve(1, GFP_KERNEL)?;
        let base = self.base();
        let owner = Owner::new(self.crowd.registration.user(), Object::Iommu(base));
        // CAST: A few pages.
        let pages = SINGLES as usize;
        let iommu = Iommu::new(self.kernel(), owner, base, pages, Node::Any).map_err(|_| EIO)?;
        self.iommus.push(iommu, GFP_KERNEL)?;
        Ok(())
    }

    /// Tables are handed over by custody alone.
    fn hand_over(&mut self) -> Result {
        if self.bare.len() >= MOST {
            return Err(EBUSY);
        }
        self.bare.reserve(1, GFP_KERNEL)?;
        let (base, kernel) = (self.base(), self.kernel());
        let owner = Owner::new(self.crowd.registration.user(), Object::RegBase(base));
        let tables = Tables::new(SINGLES as usize, Node::Any)?;
        let (held, id) = tables.set_up(kernel, &owner, base).map_err(|_| EIO)?;
        self.bare.push(Bare { id, held }, GFP_KERNEL)?;
        Ok(())
    }

    /// One of those goes in one way or another.
    fn give_up(&mut self) {
        let kernel = self.kernel();
        let Some(Bare { id, held }) = any(&mut self.random, &mut self.bare) else {
            return;
        };
        let leaf = Leaf::IOMMU_CLEAR;
        match self.random.below(8) {
            0 => drop(held),
            1 if self.crowd.forgetful => {
                self.crowd.forgotten.fetch_add(TABLE_PAGES, Relaxed);
                core::mem::forget(held);
            }
            2 => held.quarantine(Why::ReleaseFailed, leaf, Status::OPERAND_BUSY),
            3 => drop(held.release_by_reclaim()),
            _ => drop(held.release(leaf, |tables| clear(kernel, id, tables))),
        }
    }

    fn session(&mut self) -> Result {
        if self.sessions.len() >= MOST {
            return Err(EBUSY);
        }
        self.sessions.reserve(1, GFP_KERNEL)?;
        // CAST: Below ten.
        let rid = (self.number + 1) << 8 | self.random.below(10) as u16;
        let options = session_options(0, rid);
        let session = Session::new(&self.crowd.registration, &options, Device::GOOD)?;
        let connected = session.connect().map(drop);
        self.sessions.push(session, GFP_KERNEL)?;
        connected
    }

    fn talk(&mut self) -> Result {
        let n = self.random.below(self.sessions.len());
        let session = self.sessions.get(n).ok_or(ENOENT)?;
        match self.random.below(8) {
            0 => session.disconnect(),
            1 => session.connect().map(drop),
            2 => session.manage(Management::KeyUpdate),
            3 => session.manage(Management::DeviceInfo),
            _ => session.manage(Management::Heartbeat),
        }
    }

    fn stream(&mut self) -> Result {
        if self.streams.len() >= MOST {
            return Err(EBUSY);
        }
        self.streams.reserve(1, GFP_KERNEL)?;
        let n = self.random.below(self.sessions.len());
        let session = self.sessions.get(n).ok_or(ENOENT)?;
        // One of its own each time, of all that there may be.
        self.made += 1;
        let options = stream_options(self.made * THREADS + self.number);
        let stream = Stream::new(session, &options)?;
        let keys = stream.set_up_keys();
        self.streams.push(stream, GFP_KERNEL)?;
        keys
    }

    fn keys(&mut self) -> Result {
        let n = self.random.below(self.streams.len());
        let stream = self.streams.get(n).ok_or(ENOENT)?;
        match self.random.below(4) {
            0 => stream.stop_keys(),
            1 => stream.set_up_keys(),
            _ => stream.refresh_keys(),
        }
    }

    fn lie(&mut self) -> Result {
        let (random, emu) = (&mut self.random, &self.crowd.emu);
        // CAST: Below 512.
        let index = random.below(4) as u64;
        match random.below(9) {
            0 => emu.released(Released::Count(1 + index)),
            1 => emu.released(Released::Foreign(0x1000 * index, index)),
            2 => emu.released(Released::Repeated(index)),
            3 => emu.released(Released::Shifted(index)),
            4 => emu.released(Released::Reversed),
            5 => emu.released(Released::Unwritten),
            6 => emu.keep_all(),
            7 => emu.key_lasts(index),
            _ => {
                let leaves = [
                    Leaf::IOMMU_SETUP,
                    Leaf::SPDM_CREATE,
                    Leaf::IDE_STREAM_CREATE,
                ];
                let leaf = random.one_of(&leaves).ok_or(EINVAL)?;
                emu.id(leaf, 0x100 + index)
            }
        }
    }

    /// All that it has goes, in some order.
    fn end(mut self) {
        loop {
            let random = &mut self.random;
            let all = self.iommus.len() + self.sessions.len() + self.streams.len();
            if all + self.bare.len() + self.arrays.len() == 0 {
                return;
            }
            match random.below(5) {
                0 => drop(any(random, &mut self.iommus)),
                1 => drop(any(random, &mut self.sessions)),
                2 => drop(any(random, &mut self.streams)),
                3 => drop(any(random, &mut self.arrays)),
                _ => self.give_up(),
            }
        }
    }
}

/// Nothing goes wrong any more.
fn make_well(emu: &Emu) -> Result {
    emu.released(Released::Truth)?;
    emu.keep_none()?;
    emu.key_lasts(0)?;
    for leaf in Leaf::ALL {
        emu.interrupt(*leaf, 0)?;
        emu.heal(*leaf)?;
    }
    Ok(())
}

/// The threads live until all is gone; then everything is looked at. How many operations did what
/// they should.
fn epoch(emu: &Emu, seed: u32, forgetful: bool) -> Result<u32> {
    let out = scarce::out();
    let late = seed % 2 == 1;
    let profile = if late { Profile::Late } else { Profile::V2 };
    let kernel = begin_life(emu, profile, PATIENCE)?;
    expect!(kernel.seam().ext_init().0);
    let registration = Registration::new(&kernel, "random")?;
    let crowd = Crowd {
        registration,
        emu: emu.clone(),
        seed,
        forgetful,
        forgotten: Atomic::new(0),
        well: Atomic::new(0),
    };
    let crowd = Arc::new(crowd, GFP_KERNEL)?;
    in_threads(THREADS, &crowd, |crowd, number| {
        let mut thread = Thread::new(crowd, number);
        for _ in 0..OPERATIONS {
            if thread.step().is_ok() {
                crowd.well.fetch_add(1, Relaxed);
            }
        }
        thread.end();
    })?;
    let (well, forgotten) = (crowd.well.load(Relaxed), crowd.forgotten.load(Relaxed));
    expect_eq!(kernel.users().balance().held, forgotten);
    make_well(emu)?;
    let settled = settle_with(emu, &kernel, PoolIs::True, forgotten);
    let remains = kernel.close();
    settled?;
    expect_eq!((remains.lost, remains.held_for_good), (0, 0));
    expect_eq!(scarce::out(), out);
    Ok(well)
}

#[kunit_tests(tdx_pages_random)]
mod tests {
    use super::*;

    #[test]
    fn anything_in_any_order() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let begin = Instant::<Monotonic>::now();
        let epochs = if long() { EPOCHS } else { FEW_EPOCHS };
        let mut well = 0;
        for n in 0..epochs {
            // With this seed given, the same epoch is the first.
            let seed = seed().wrapping_add(n);
            let forgetful = seed % 16 == 0;
            well += epoch(&emu, seed, forgetful).inspect_err(|_| {
                pr_err!("random: epoch {}: to begin with it give seed={}\n", n, seed);
            })?;
        }
        let operations = epochs * u32::from(THREADS) * OPERATIONS as u32;
        pr_info!(
            "random: seed {}: {} operations of {} threads, {} did what they should, in {} ms\n",
            seed(),
            operations,
            THREADS,
            well,
            begin.elapsed().as_millis()
        );
        // Of a TDX Module that does nothing right there is little to be learnt.
        expect!(well > operations / 4 && well < operations);
        Ok(())
    }
}
