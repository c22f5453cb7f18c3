// SPDX-License-Identifier: GPL-2.0

//! Printing of the pure types with the kernel's own formatting macros.

use crate::abi::{
    field::Field,
    Block,
    Hpa,
    Leaf,
    Status, //
};
use crate::users::dmar::DmarError;
use kernel::fmt;

macro_rules! forward_display {
    ($($type:ty),+ $(,)?) => {
        $(
            impl fmt::Display for $type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    core::fmt::Display::fmt(self, f)
                }
            }
        )+
    };
}

forward_display!(Block, DmarError, Field, Hpa, Leaf, Status);
