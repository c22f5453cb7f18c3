// SPDX-License-Identifier: GPL-2.0

//! What was handed over is gone from where it was.

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
        Added, //
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

fn again<T: Lend<Memory = P::Memory>, P: Platform>(object: T, platform: &P, user: &P::User) {
    let held = hand_over(platform, user, object, Leaf::IOMMU_SETUP, |_| no());
    #[cfg(wrong)]
    let _ = hand_over(platform, user, object, Leaf::IOMMU_SETUP, |_| no()); //~ E0382
}

fn freed<T: Lend<Memory = P::Memory>, P: Platform>(object: T, platform: &P, user: &P::User) {
    let held = hand_over(platform, user, object, Leaf::IOMMU_SETUP, |_| no());
    #[cfg(wrong)]
    drop(object); //~ E0382
}

fn read<M: Memory, P: Platform<Memory = M>>(object: M, platform: &P, user: &P::User) {
    let held = hand_over(platform, user, object, Leaf::IOMMU_SETUP, |_| no());
    #[cfg(wrong)]
    let blocks = object.blocks(); //~ E0382
}

fn lent_before<M: Memory, P: Platform<Memory = M>>(object: M, platform: &P, user: &P::User) {
    let blocks = object.blocks();
    let held = hand_over(platform, user, object, Leaf::IOMMU_SETUP, |_| no()); //~ E0505
    #[cfg(wrong)]
    let first = blocks.first();
}

fn pool<P: Platform>(memory: P::Memory, platform: &P, user: &P::User) {
    // SAFETY: Nothing of this runs.
    let fed = hand_over_for_good(platform, user, memory, |window| unsafe {
        Added::new(abi::Status::SUCCESS, window.word())
    });
    #[cfg(wrong)]
    drop(memory); //~ E0382
}
