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
    feed::{
        hand_over_for_good,
        Added,
        Window, //
    },
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

fn no<'id>() -> Answer<'id> {
    Answer::failed(abi::Status::UD)
}

fn what_is_held<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    platform: &P,
    user: &P::User,
) {
    #[cfg(wrong)]
    let _ = hand_over(platform, user, held, Leaf::IOMMU_SETUP, |_| no()); //~ E0271 E0277
}

fn for_good<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    platform: &P,
    user: &P::User,
    mut call: impl for<'id> FnMut(&Window<'id>) -> Added<'id>,
) {
    #[cfg(wrong)]
    let _ = hand_over_for_good(platform, user, held, call); //~ E0308
}

fn to_the_ledger<T: Lend<Memory = P::Memory>, P: Platform>(
    held: Held<T, P>,
    platform: &P,
    user: &P::User,
) {
    #[cfg(wrong)]
    let _ = platform.enter(user, held); //~ E0308
}
