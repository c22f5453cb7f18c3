// SPDX-License-Identifier: GPL-2.0

//! A root page is filled, or its address is known; never both.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use abi::Hpa;
use custody::memory::{
    PublishedRoot,
    RootPage, //
};

fn filled<R: RootPage>(mut root: R) {
    let hpa = root.publish().hpa();
    #[cfg(wrong)]
    root.fill([hpa.get()].into_iter()); //~ E0382
}

fn written<R: RootPage>(mut root: R) {
    let published = root.publish();
    #[cfg(wrong)]
    root.words().fill(0); //~ E0382
}

fn written_later<R: RootPage>(mut root: R) {
    let words = root.words();
    let published = root.publish(); //~ E0505
    #[cfg(wrong)]
    words.fill(0);
}

fn published_twice<R: RootPage>(root: R) {
    let published = root.publish();
    #[cfg(wrong)]
    let again = root.publish(); //~ E0382
}
