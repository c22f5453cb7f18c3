// SPDX-License-Identifier: GPL-2.0

//! An answer is for the one record whose pages were named: not for one inside, around or after it.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use abi::{
    Leaf,
    Status, //
};
use custody::{
    listed::Recorded,
    memory::{
        Lend,
        Platform, //
    },
    transitions::{
        hand_over,
        Answer,
        Held, //
    }, //
};

fn out_of_its_call<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    leaf: impl for<'id> Fn(Recorded<'id, P::Memory>) -> Answer<'id>,
) {
    let mut kept = None;
    let released = held.release(Leaf::IOMMU_CLEAR, |recorded| {
        #[cfg(wrong)]
        kept.replace(leaf(recorded)); //~ E0521
        Answer::failed(Status::UD)
    });
    let _: Option<Answer<'_>> = kept;
}
