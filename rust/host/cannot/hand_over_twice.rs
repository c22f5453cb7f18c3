// SPDX-License-Identifier: GPL-2.0

//! What is held, or was handed over, cannot be handed over again.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use abi::{
    list::{
        Entries,
        HpaListInfo, //
    },
    Hpa,
    Leaf, //
};
use custody::{
    feed::hand_over_for_good,
    memory::{
        Lend,
        Memory,
        Platform,
        PublishedRoot,
        RootPage, //
    },
    transitions::{
        hand_over,
        Answer,
        Held, //
    }, //
};

fn what_is_held<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    platform: &P,
    user: &P::User,
    answer: Answer,
) {
    #[cfg(wrong)]
    let _ = hand_over(platform, user, held, Leaf::IOMMU_SETUP, |_| answer); //~ E0271 E0277
}

fn for_good<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    platform: &P,
    user: &P::User,
    mut call: impl FnMut(HpaListInfo) -> (abi::Status, HpaListInfo),
) {
    #[cfg(wrong)]
    let _ = hand_over_for_good(platform, user, held, |word| call(word)); //~ E0308
}

fn to_the_ledger<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    platform: &P,
    user: &P::User,
) {
    #[cfg(wrong)]
    let _ = platform.enter(user, held); //~ E0308
}
