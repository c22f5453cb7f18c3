// SPDX-License-Identifier: GPL-2.0

//! Leaves that speak with a device.

use super::{
    super::{
        super::{
            exchange::{
                Exchange,
                ExtSlot, //
            },
            Machine, //
        },
        host::*,
    },
    scene::{
        bad,
        Scene,
        KEYID_BIT, //
    },
    spdm::{
        session,
        set_connected, //
    },
    Source::*,
    Table, //
};
use crate::abi::{
    emu::Control,
    spdm::NO_PAGE,
    status::Operand,
    Leaf,
    Status, //
};

const R8: Operand = Operand::R8;
const R9: Operand = Operand::R9;
const R10: Operand = Operand::R10;
const R11: Operand = Operand::R11;

/// Nothing has to be said.
fn rounds(s: &mut Scene, rounds: u64) {
    s.ask(Control::Exchange, [0, rounds, 0]);
}

fn to_connect(late: bool) -> Scene {
    let (mut model, id) = with_session(late);
    let operands = connect(&mut model, id);
    let mut s = Scene::new(model, Leaf::SPDM_CONNECT, &operands);
    rounds(&mut s, 0);
    s
}

fn to_disconnect(late: bool) -> Scene {
    let (model, id) = connected(late);
    let mut s = Scene::new(model, Leaf::SPDM_DISCONNECT, &disconnect(id));
    rounds(&mut s, 0);
    s
}

/// Device info is collected again.
fn to_manage(late: bool) -> Scene {
    let (mut model, id) = connected(late);
    let [.., info] = connect(&mut model, id);
    let operands = [id, 2, CONFIG, RESPONSE, REQUEST, info];
    let mut s = Scene::new(model, Leaf::SPDM_MNG, &operands);
    rounds(&mut s, 0);
    s
}

/// What the next call would begin.
fn next(s: &Scene) -> Exchange {
    let leaf = s.leaf();
    let (operation, count) = match leaf {
        Leaf::SPDM_CONNECT => (0, 5),
        Leaf::SPDM_DISCONNECT => (0, 3),
        _ => (s.operands[1], 6),
    };
    let mut operands = s.operands;
    operands[count..].fill(0);
    Exchange::new(leaf, s.operands[0], operation, operands)
}

fn holds(s: &mut Scene, exchange: Exchange) {
    s.model.ext_slot = ExtSlot::FREE;
    s.model.ext_slot.hold(exchange);
}

/// The extension SEAMCALLs begin with this.
fn enter(t: &mut Table) {
    t.extensions();
    t.row(
        "the slot of the extension SEAMCALLs is free, or this exchange's; a key update passes \
         what waits for it",
        Status::OPERAND_BUSY,
        Single,
        |s| {
            let other = Exchange::new(Leaf::SPDM_CONNECT, 0x277, 0, [0; 9]);
            holds(s, other);
        },
    );
    t.row(
        "if the exchange is under way: the operands are those of its first call",
        Status::INVALID_RESUMPTION,
        Inferred,
        |s| {
            let mut other = next(s);
            other.operands = [0x77; 9];
            holds(s, other);
        },
    );
    t.resumption();
    session(t, Operand::Rcx);
}

/// And end with this.
fn talk(t: &mut Table) {
    t.interrupted();
    t.row(
        "if a request was given: the response page has the device's answer to it",
        Status::SDPM_INVALID_MESSAGE,
        Inferred,
        |s| {
            // Another one that is under way stays.
            let there = s.model.ext_slot.running();
            let asked = Exchange {
                awaiting: true,
                ..there.unwrap_or(next(s))
            };
            holds(s, asked);
        },
    )
    .last();
    key_and_request(t);
}

/// How every exchange goes on.
pub(super) fn key_and_request(t: &mut Table) {
    t.row(
        "if there is more to say: the key of the session is not worn; it wears out for all but \
         its own update",
        Status::SPDM_SESSION_KEY_REQUIRE_REFRESH,
        Confirmed,
        |s| {
            rounds(s, 3);
            if let Some(session) = &mut s.model.machine_mut().sessions_mut()[0] {
                session.worn = true;
            }
        },
    );
    t.row(
        "there is no more to say; else the request is in its page, RCX has its bytes",
        Status::SPDM_REQUEST,
        Single,
        |s| rounds(s, 3),
    );
}

/// The pages that device info is written to.
fn output(t: &mut Table, operand: Operand) {
    let name = Operand::name(operand as u32).unwrap();
    t.row(
        format!("{name}: no reserved bit"),
        bad(operand),
        Single,
        move |s| *s.at(operand) |= 1 << 52,
    );
    t.shared(operand, "the list page or the only page");
    for (what, word) in [
        (
            "4 KiB aligned, without KeyID, not above the last address",
            None,
        ),
        ("not owned by the TDX Module", Some(IOMMU_MT[2])),
        ("memory that can be accessed", Some(NOWHERE)),
        ("not the list page itself", Some(OUT_ROOT)),
    ] {
        t.row(
            format!("{name}, each entry: {what}"),
            bad(operand),
            Inferred,
            move |s| {
                let entry = s.word(OUT_ROOT, 1);
                *entry = word.unwrap_or(*entry | KEYID_BIT);
            },
        );
    }
}

fn state(t: &mut Table, wanted: bool, what: &str) {
    t.row(what, Status::SPDM_INVALID_STATE, Inferred, move |s| {
        set_connected(s, 0, !wanted);
    });
}

pub(super) fn tables() -> Vec<Table> {
    vec![spdm_connect(), spdm_disconnect(), spdm_mng()]
}

fn spdm_connect() -> Table {
    let mut t = Table::new(
        Leaf::SPDM_CONNECT,
        "RCX session id, RDX configuration page, R8 response page, R9 request page, R10 \
         HPA_ARRAY_T of the pages for device info",
        "RCX bytes of the request, or of the device info",
        to_connect,
    );
    enter(&mut t);
    t.shared(Operand::Rdx, "the configuration page");
    t.shared(R8, "the response page");
    t.shared(R9, "the request page");
    output(&mut t, R10);
    state(&mut t, false, "the session is not connected");
    talk(&mut t);
    t.done(
        "the session is connected, and the device info is written",
        Single,
    )
}

fn spdm_disconnect() -> Table {
    let mut t = Table::new(
        Leaf::SPDM_DISCONNECT,
        "RCX session id, RDX response page, R8 request page",
        "RCX bytes of the request",
        to_disconnect,
    );
    enter(&mut t);
    t.shared(Operand::Rdx, "the response page");
    t.shared(R8, "the request page");
    state(&mut t, true, "the session is connected");
    talk(&mut t);
    t.done("the session is not connected; its streams stay", Single)
}

fn spdm_mng() -> Table {
    let mut t = Table::new(
        Leaf::SPDM_MNG,
        "RCX session id, RDX operation (0 heartbeat, 1 key update, 2 device info), R8 parameter \
         page or all ones, R9 response page, R10 request page, R11 HPA_ARRAY_T of the pages for \
         device info or all ones",
        "RCX bytes of the request, or of the device info",
        to_manage,
    );
    enter(&mut t);
    t.row("RDX: 0 to 2", bad(Operand::Rdx), Single, |s| {
        s.operands[1] = 3;
    });
    t.shared(R8, "the parameter page, if not all ones");
    t.shared(R9, "the response page");
    t.shared(R10, "the request page");
    output(&mut t, R11);
    t.row(
        "R11: not all ones for device info",
        bad(R11),
        Inferred,
        |s| s.operands[5] = NO_PAGE,
    );
    state(
        &mut t,
        true,
        "the session is connected; a worn key may be updated all the same",
    );
    talk(&mut t);
    t.done(
        "the device info is written, or the session has a new key",
        Single,
    )
}
