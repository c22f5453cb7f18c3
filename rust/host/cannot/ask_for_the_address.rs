// SPDX-License-Identifier: GPL-2.0

//! A root page that can be filled has no address, and one that has an address cannot be filled.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use custody::memory::{
    PublishedRoot,
    RootPage, //
};

fn too_early<R: RootPage>(root: R) {
    #[cfg(wrong)]
    root.hpa(); //~ E0599
}

fn too_late<S: PublishedRoot>(published: S) {
    #[cfg(wrong)]
    published.words(); //~ E0599
}

fn all_over<S: PublishedRoot>(mut published: S) {
    #[cfg(wrong)]
    published.fill([0].into_iter()); //~ E0599
}
