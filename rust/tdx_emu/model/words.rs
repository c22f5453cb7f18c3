// SPDX-License-Identifier: GPL-2.0

//! The words of a command: numbers, and the names of leaves, statuses and fields.

use crate::abi::{
    field::Field,
    Leaf,
    Status, //
};

/// A number, decimal or with `0x`.
pub(super) fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        // A sign would pass `from_str_radix`.
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if word.starts_with('+') => None,
        None => word.parse().ok(),
    }
}

/// A leaf by its name, or by its number.
pub(super) fn leaf(word: &str) -> Option<u64> {
    Leaf::ALL
        .iter()
        .find(|leaf| leaf.name() == Some(word))
        .map(|leaf| leaf.number())
        .or_else(|| number(word))
}

/// A status by its name, with or without `TDX_`, or by its number.
pub(super) fn status(word: &str) -> Option<u64> {
    let bare = word.strip_prefix("TDX_").unwrap_or(word);
    Status::ALL
        .iter()
        .find(|status| status.name().and_then(|name| name.strip_prefix("TDX_")) == Some(bare))
        .map(|status| status.raw())
        .or_else(|| number(word))
}

/// A field by its id, or by its name where only one field has it.
pub(super) fn field(word: &str) -> Option<u64> {
    let mut named = Field::ALL.iter().filter(|field| field.name() == Some(word));
    match (named.next(), named.next()) {
        (Some(field), None) => Some(field.raw()),
        (Some(_), Some(_)) => None,
        (None, _) => number(word),
    }
}
