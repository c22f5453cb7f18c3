// SPDX-License-Identifier: GPL-2.0

//! How a step of a [`Life`] must have ended, by what the proofs said.

use crate::abi::{
    Hpa,
    Status, //
};
use crate::custody::transitions::{
    Settled,
    Why, //
};
use crate::every::Life;

impl Life<'_> {
    /// Each page was put to the proof once, in order.
    pub(crate) fn assert_all_asked(&self, proofs: &[(Hpa, Status)]) {
        let asked: Vec<Hpa> = proofs.iter().map(|proof| proof.0).collect();
        assert_eq!(asked, self.pages, "one proof for each page");
    }

    /// Each page was, and all were proved.
    pub(crate) fn assert_all_proved(&self, proofs: &[(Hpa, Status)]) {
        self.assert_all_asked(proofs);
        assert!(proofs.iter().all(|proof| proof.1.is_success()));
    }

    /// Page k decided for page k only.
    pub(crate) fn assert_settled(&self, settled: &Settled, proofs: &[(Hpa, Status)]) {
        self.assert_all_asked(proofs);
        let stays = self.shape.stays(|page| !proofs[page].1.is_success());
        assert_eq!(
            (settled.quarantined, settled.freed),
            (stays, self.shape.pages() - stays)
        );
        let first = proofs.iter().position(|proof| !proof.1.is_success());
        let told = settled.cause.unproved.map(|page| (page.index, page.status));
        assert_eq!(told, first.map(|index| (index, proofs[index].1)));
    }

    /// Nothing was put to the proof: what is free now may be taken when the leaf goes on.
    pub(crate) fn assert_abandoned(&self, settled: &Settled, proofs: &[(Hpa, Status)]) {
        assert_eq!(settled.cause.why, Why::Abandoned);
        assert!(proofs.is_empty());
        assert_eq!(
            (settled.freed, settled.quarantined),
            (0, self.shape.pages())
        );
    }
}
