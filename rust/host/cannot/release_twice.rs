// SPDX-License-Identifier: GPL-2.0

//! A release consumes what is held; only a failed one gives it back.

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
        Held,
        Why, //
    }, //
};

fn no<'id>() -> Answer<'id> {
    Answer::failed(abi::Status::UD)
}

fn again<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    let released = held.release(Leaf::IOMMU_CLEAR, |_| no());
    #[cfg(wrong)]
    let again = held.release(Leaf::IOMMU_CLEAR, |_| no()); //~ E0382
}

fn by_reclaim<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    let released = held.release(Leaf::IOMMU_CLEAR, |_| no());
    #[cfg(wrong)]
    let again = held.release_by_reclaim(); //~ E0382
}

fn after_reclaim<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    let released = held.release_by_reclaim();
    #[cfg(wrong)]
    let again = held.release_by_reclaim(); //~ E0382
}

fn held_for_good<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    held.hold_for_good();
    #[cfg(wrong)]
    let released = held.release_by_reclaim(); //~ E0382
}

fn given_up<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    held.quarantine(Why::ReleaseFailed, Leaf::IOMMU_CLEAR, abi::Status::UD);
    #[cfg(wrong)]
    let released = held.release_by_reclaim(); //~ E0382
}

fn dropped<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    drop(held);
    #[cfg(wrong)]
    let released = held.release_by_reclaim(); //~ E0382
}
