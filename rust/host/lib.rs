// SPDX-License-Identifier: GPL-2.0

//! The pure parts of both kernel modules, compiled for the host.
//!
//! Nothing is written twice: the files are those of the kernel modules, and their tests stand
//! beside the code.

#[path = "../abi/mod.rs"]
pub(crate) mod abi;

#[allow(dead_code)]
pub(crate) mod custody;

#[path = "../tdx_pages/seam/slot.rs"]
pub(crate) mod slot;

#[allow(dead_code)]
#[path = "../tdx_pages/seam/took.rs"]
pub(crate) mod took;

#[allow(dead_code)]
#[path = "../tdx_pages/seam/until.rs"]
pub(crate) mod until;

#[path = "../tdx_pages/users/dmar.rs"]
pub(crate) mod dmar;

#[path = "../tdx_emu/model/mod.rs"]
pub(crate) mod model;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod blocks;
#[cfg(test)]
mod cannot;
#[cfg(test)]
mod every;
#[cfg(test)]
mod fed;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod outcome;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod ram;
#[cfg(test)]
mod random;
#[cfg(test)]
mod seam;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod tape;
#[cfg(test)]
mod world;
