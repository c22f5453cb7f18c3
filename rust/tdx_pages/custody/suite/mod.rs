// SPDX-License-Identifier: GPL-2.0

//! The transitions on real memory, through the real SEAMCALL path.

mod hand_over;
mod lend;
mod quarantine;
mod release;

use crate::abi::{
    list::{
        Entries,
        HpaListInfo, //
    },
    Leaf,
    Status, //
};
use crate::custody::{
    feed::{
        hand_over_for_good,
        Added,
        Stopped, //
    },
    lending::Lending,
    lent::Lent,
    listed::Recorded,
    memory::{
        Memory,
        Platform,
        PublishedRoot,
        Refusal, //
    },
    transitions::{
        hand_over,
        Answer,
        HandOverError,
        Held,
        ReleaseError,
        Why, //
    }, //
};
use crate::emu::{
    Emu,
    Fault,
    KEYID, //
};
use crate::mm::{
    blocks::Node,
    Blocks, //
};
use crate::platform::Kernel;
use crate::users::{
    account::Balance,
    registry::{
        Object,
        Owner, //
    }, //
};
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// A leaf without any meaning: the pages are taken by TDH.EXT.MEM.ADD, whose answer stands
/// for that of any leaf that takes all or nothing.
const LEAF: Leaf = Leaf::EXT_MEM_ADD;

/// A status that no leaf is tried again after.
const BROKEN: Status = Status::CONNECT_INVALID_STATE;

fn kernel() -> Result<Kernel> {
    Kernel::new(KEYID, Delta::from_secs(1))
}

fn owner(kernel: &Kernel) -> Owner {
    Owner::new(&kernel.users().ext_pool, Object::Only)
}

fn balance(kernel: &Kernel) -> Balance {
    kernel.users().ext_pool.account().balance()
}

/// What a leaf answered, or would have.
fn said<'id>(status: Status) -> Answer<'id> {
    // SAFETY: The tests let the software TDX Module own pages of which they say that it does
    // not, to see that the proof finds out; it is told to forget them afterwards.
    unsafe { Answer::ended(status) }
}

/// Gives pages to the software TDX Module, by one list.
fn take<'id>(kernel: &Kernel, memory: Recorded<'id, Blocks>) -> Answer<'id> {
    match memory.list(kernel.root()) {
        Ok(listed) => said(kernel.seam().ext_mem_add_once(&listed)),
        Err(answer) => answer,
    }
}

fn held(kernel: &Kernel, pages: usize) -> Result<Held<Blocks, Kernel>> {
    let memory = Blocks::new(pages, Node::Any)?;
    hand_over(kernel, &owner(kernel), memory, LEAF, |m| take(kernel, m)).map_err(|_| EIO)
}

/// Lets a hand-over of `pages` pages fail after the software TDX Module took them.
fn quarantine(emu: &Emu, kernel: &Kernel, pages: usize) -> Result {
    emu.fail(LEAF, 1, 1, BROKEN, Fault::After)?;
    let memory = Blocks::new(pages, Node::Any)?;
    match hand_over(kernel, &owner(kernel), memory, LEAF, |m| take(kernel, m)) {
        Err(HandOverError::Settled(settled)) if settled.quarantined == pages => Ok(()),
        _ => Err(EIO),
    }
}

/// Feeds `pages` pages to a made-up TDX Module that answers from `answers`, then with
/// success. Pages are never really taken.
fn fed(
    kernel: &Kernel,
    pages: usize,
    mut answer: impl FnMut(HpaListInfo) -> (Status, HpaListInfo),
) -> Result<crate::custody::feed::Fed> {
    let memory = Blocks::new(pages, Node::Any)?;
    hand_over_for_good(kernel, &owner(kernel), memory, |window| {
        let (status, back) = answer(window.word());
        // SAFETY: As in `said`; no page is really taken.
        unsafe { Added::new(status, back) }
    })
    .map_err(|_| EIO)
}
