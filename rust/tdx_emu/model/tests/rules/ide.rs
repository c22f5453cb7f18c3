// SPDX-License-Identifier: GPL-2.0

//! Leaves on IDE streams.

use super::{
    super::{
        super::{
            exchange::Exchange,
            ide::Stream,
            sim::page,
            Machine, //
        },
        host::*,
    },
    exchanges::key_and_request,
    scene::{
        bad,
        Scene, //
    },
    spdm::{
        list,
        session,
        set_connected, //
    },
    Source::*,
    Table, //
};
use crate::abi::{
    emu::Control,
    field::Field,
    ide_range::{
        AddressRange,
        RidRange, //
    },
    status::Operand,
    Leaf,
    Status, //
};

const R8: Operand = Operand::R8;
const PAGES: [u64; 2] = [STREAM, page(22)];

fn create(late: bool) -> Scene {
    let (mut model, id) = connected(late);
    let count = [Field::IDE_MT_PAGE_COUNT.raw(), 2, 0, 0, 0];
    ask(&mut model, Control::SetField, count);
    let mut operands = stream(&mut model, id, STREAM);
    model.put(ROOT, &PAGES);
    operands[2] = word(&model, &PAGES);
    Scene::new(model, Leaf::IDE_STREAM_CREATE, &operands)
}

/// The same when it is done.
fn made(late: bool, leaf: Leaf, more: &[u64]) -> Scene {
    let mut s = create(late);
    assert_eq!(s.call(), Status::SUCCESS);
    s.ask(Control::Exchange, [0, 0, 0]);
    let operands = [&[FIRST_SESSION, FIRST_STREAM], more].concat();
    Scene::new(s.model, leaf, &operands)
}

fn block(late: bool) -> Scene {
    made(late, Leaf::IDE_STREAM_BLOCK, &[])
}

fn delete(late: bool) -> Scene {
    let mut s = made(late, Leaf::IDE_STREAM_DELETE, &[AUX]);
    set(&mut s, |stream| stream.blocked = true);
    s
}

fn km(late: bool) -> Scene {
    made(late, Leaf::IDE_STREAM_KM, &[0, RESPONSE, REQUEST])
}

fn set(s: &mut Scene, change: impl Fn(&mut Stream)) {
    if let Some(stream) = &mut s.model.machine_mut().streams_mut()[0] {
        change(stream);
    }
}

fn other(session: usize, rids: RidRange, addresses: AddressRange) -> Stream {
    Stream {
        session,
        rids,
        addresses,
        pages: 0,
        blocked: false,
        keys: false,
        exchange: None,
    }
}

/// Requester ids of nobody.
const APART: RidRange = RidRange {
    segment: 9,
    base: 1,
    limit: 1,
};

pub(super) fn tables() -> Vec<Table> {
    vec![ide_create(), ide_block(), ide_delete(), ide_km()]
}

fn ide_create() -> Table {
    let mut t = Table::new(
        Leaf::IDE_STREAM_CREATE,
        "RCX stream info, RDX session id, R8 HPA_ARRAY_T (late: HPA_LIST_INFO), R9 control \
         register, R10 and R11 RID association, R12 to R14 address association",
        "RCX stream id, RDX IDE id",
        create,
    );
    t.extensions();
    t.resumption();
    session(&mut t, Operand::Rdx);
    is_connected(&mut t, Single);
    t.row("RCX: no bit above 8", bad(Operand::Rcx), Inferred, |s| {
        s.operands[0] |= 1 << 9;
    });
    t.row(
        "RCX: a selective stream (bit 8)",
        Status::IDE_STREAM_NOT_SUPPORTED,
        Inferred,
        |s| s.operands[0] &= !(1 << 8),
    );
    t.row(
        "R9: only PCRC and traffic class may be set",
        bad(Operand::R9),
        Single,
        |s| s.operands[3] |= 1,
    );
    for (operand, what, bit) in [
        (Operand::R10, "no bit but the limit", 0),
        (
            Operand::R11,
            "valid, no other bit, a base not above the limit",
            1,
        ),
        (
            Operand::R12,
            "valid, no other bit, a base not above the limit",
            1,
        ),
        (Operand::R13, "no bit above 31", 32),
        (Operand::R14, "no bit above 31", 32),
    ] {
        let name = Operand::name(operand as u32).unwrap();
        t.row(
            format!("{name}: {what}"),
            bad(operand),
            Inferred,
            move |s| *s.at(operand) |= 1 << bit,
        );
    }
    t.row(
        "no stream of the session has an address of it",
        Status::IDE_STREAM_ADDR_OVERLAP,
        Single,
        |s| {
            let stream = other(0, APART, AddressRange::ALL);
            s.model.set_stream(1, Some(stream));
        },
    );
    t.row(
        "no stream has a requester id of it",
        Status::IDE_STREAM_RID_OVERLAP,
        Single,
        |s| {
            let stream = other(9, RIDS, AddressRange::ALL);
            s.model.set_stream(2, Some(stream));
        },
    );
    list(&mut t, R8, "IDE_MT_PAGE_COUNT");
    t.row(
        "there is room for one more (there is for 256)",
        Status::IDE_STREAM_NOT_FREE,
        Inferred,
        |s| {
            let slots = s.model.machine_mut().streams_mut().iter_mut();
            for slot in slots.filter(|slot| slot.is_none()) {
                *slot = Some(other(9, APART, AddressRange::ALL));
            }
        },
    );
    t.shared(R8, "the list page, where there is one");
    t.takeable(R8, 1, true);
    t.interrupted();
    t.done(
        "all pages are taken, and the session has the stream",
        Single,
    )
}

fn is_connected(t: &mut Table, source: super::Source) {
    t.row(
        "the session is connected",
        Status::SPDM_INVALID_STATE,
        source,
        |s| set_connected(s, 0, false),
    );
}

/// Every leaf on a stream that there is begins with this.
fn is_stream(t: &mut Table) {
    t.extensions();
    t.resumption();
    session(t, Operand::Rcx);
    t.row(
        "RDX: the id of a stream of the session",
        Status::IDE_STREAM_NOT_CONFIGURED,
        Single,
        |s| s.operands[1] |= 0x1000,
    );
}

fn ide_block() -> Table {
    let takes = "RCX session id, RDX stream id";
    let mut t = Table::new(Leaf::IDE_STREAM_BLOCK, takes, "nothing", block);
    is_stream(&mut t);
    t.row(
        "the stream is not blocked",
        Status::IDE_STREAM_BLOCKED,
        Single,
        |s| set(s, |stream| stream.blocked = true),
    );
    t.interrupted();
    t.done("the stream is blocked", Single)
}

fn ide_delete() -> Table {
    let mut t = Table::new(
        Leaf::IDE_STREAM_DELETE,
        "RCX session id, RDX stream id; v2: R8 aux operand",
        "v2: RCX HPA_ARRAY_T, and the list in the aux page",
        delete,
    );
    is_stream(&mut t);
    t.row(
        "the stream is blocked",
        Status::IDE_STREAM_NOT_BLOCKED,
        Confirmed,
        |s| set(s, |stream| stream.blocked = false),
    );
    is_connected(&mut t, Single);
    t.aux(R8);
    t.interrupted();
    t.done("all pages are the host's, and not proved", Single)
}

fn ide_km() -> Table {
    let mut t = Table::new(
        Leaf::IDE_STREAM_KM,
        "RCX session id, RDX stream id, R8 operation (0 set up, 1 refresh, 2 stop), R9 response \
         page, R10 request page",
        "RCX bytes of the request",
        km,
    );
    is_stream(&mut t);
    t.row(
        "the stream is not blocked, or the operation is not 0 or 1",
        Status::IDE_STREAM_BLOCKED,
        Single,
        |s| {
            s.operands[2] = 0;
            set(s, |stream| stream.blocked = true);
        },
    );
    t.row("R8: 0 to 2", bad(R8), Single, |s| s.operands[2] = 3);
    t.shared(Operand::R9, "the response page");
    t.shared(Operand::R10, "the request page");
    is_connected(&mut t, Inferred);
    let call = |s: &Scene| {
        let mut operands = s.operands;
        operands[5..].fill(0);
        Exchange::new(Leaf::IDE_STREAM_KM, s.operands[1], s.operands[2], operands)
    };
    t.row(
        "if this exchange is under way: the operands are those of its first call",
        Status::INVALID_RESUMPTION,
        Inferred,
        move |s| {
            let mut other = call(s);
            other.operands = [0x77; 9];
            set(s, |stream| stream.exchange = Some(other));
        },
    );
    t.row(
        "no other exchange of the stream is under way",
        Status::IDE_STREAM_IDEKM_OUTREQ,
        Single,
        move |s| {
            let mut other = call(s);
            other.operation = 2;
            set(s, |stream| stream.exchange = Some(other));
        },
    );
    t.row(
        "operation 0, if it begins: there are no keys",
        Status::IDE_STREAM_INVALID_STATE,
        Inferred,
        |s| {
            s.operands[2] = 0;
            set(s, |stream| stream.keys = true);
        },
    );
    t.row(
        "operations 1 and 2, if they begin: there are keys",
        Status::IDE_STREAM_KEYS_NOT_READY,
        Inferred,
        |s| {
            s.operands[2] = 1;
            set(s, |stream| stream.keys = false);
        },
    );
    t.interrupted();
    t.row(
        "if a request was given: the response page has the device's answer to it",
        Status::IDE_STREAM_INVALID_RESPONSE,
        Inferred,
        move |s| {
            // Another one that is under way stays.
            let slot = s.model.machine_mut().streams()[0];
            // One that may not begin is not under way.
            if slot.is_some_and(|stream| stream.keys != (s.operands[2] != 0)) {
                return;
            }
            let there = slot.and_then(|stream| stream.exchange);
            let asked = Exchange {
                awaiting: true,
                ..there.unwrap_or(call(s))
            };
            set(s, |stream| stream.exchange = Some(asked));
        },
    )
    .last();
    key_and_request(&mut t);
    t.done("the keys are set up, refreshed or stopped", Single)
}
