// SPDX-License-Identifier: GPL-2.0

//! Leaves that make and end a session.

use super::{
    super::{
        super::{
            ide::Stream,
            iommus::Iommus,
            spdm::Session,
            Machine, //
        },
        host::*,
    },
    scene::{
        bad,
        Scene, //
    },
    Source::*,
    Table, //
};
use crate::abi::{
    ide_range::AddressRange,
    status::Operand,
    FunctionId,
    Leaf,
    Status, //
};

const RCX: Operand = Operand::Rcx;
const RDX: Operand = Operand::Rdx;

fn create(late: bool) -> Scene {
    let mut model = ready(late);
    model.put(ROOT, &SESSION);
    let list = word(&model, &SESSION);
    Scene::new(model, Leaf::SPDM_CREATE, &[FUNCTION, list])
}

fn delete(late: bool) -> Scene {
    let (model, id) = with_session(late);
    Scene::new(model, Leaf::SPDM_DELETE, &[id, AUX])
}

/// The session in a slot is connected, or is not.
pub(super) fn set_connected(s: &mut Scene, slot: usize, connected: bool) {
    if let Some(session) = s.model.machine_mut().sessions()[slot] {
        s.model.set_session(slot, Some(session.rekeyed(connected)));
    }
}

/// The checks of the operand that names `count` pages.
pub(super) fn list(t: &mut Table, operand: Operand, count: &str) {
    let name = Operand::name(operand as u32).unwrap();
    t.row(
        format!("{name}: no reserved bit"),
        bad(operand),
        Single,
        move |s| *s.at(operand) |= 1 << 52,
    );
    t.row(
        format!("{name}: a list that begins with its first entry"),
        bad(operand),
        Inferred,
        move |s| *s.at(operand) |= 1 << 3,
    )
    .late();
    t.row(
        format!("{name}: as many entries as {count} says"),
        bad(operand),
        Inferred,
        move |s| *s.at(operand) ^= 1 << 57,
    );
}

pub(super) fn tables() -> Vec<Table> {
    vec![spdm_create(), spdm_delete()]
}

fn spdm_create() -> Table {
    let mut t = Table::new(
        Leaf::SPDM_CREATE,
        "RCX function id, RDX HPA_ARRAY_T; late: RDX HPA_LIST_INFO",
        "RCX session id",
        create,
    );
    t.extensions();
    t.resumption();
    t.row(
        "RCX: no bit above 24, and a segment only where it is said to be valid",
        bad(RCX),
        Inferred,
        |s| s.operands[0] |= 1 << 25,
    );
    list(&mut t, RDX, "SPDM_MT_PAGE_COUNT");
    t.row(
        "there is no session with the function",
        Status::SPDM_ENTRY_ALREADY_PRESENT,
        Single,
        |s| {
            let session = Session::new(FunctionId::from_raw(FUNCTION), 0, 0);
            s.model.set_session(0, Some(session));
        },
    );
    t.row(
        "an IOMMU is set up (any one will do)",
        Status::IOMMU_INVALID_STATE,
        Inferred,
        |s| s.model.iommus = Iommus::NONE,
    );
    t.row(
        "there is room for one more (there is for 64)",
        bad(RCX),
        Inferred,
        |s| {
            for (rid, slot) in (0..).zip(s.model.machine_mut().sessions_mut()) {
                *slot = Some(Session::new(FunctionId::new(0, rid), 0, 0));
            }
        },
    );
    t.shared(RDX, "the list page, where there is one");
    t.takeable(RDX, 1, true);
    t.interrupted();
    t.done(
        "all pages are taken, and the IOMMU counts the session",
        Single,
    )
}

fn spdm_delete() -> Table {
    let mut t = Table::new(
        Leaf::SPDM_DELETE,
        "RCX session id; v2: RDX aux operand",
        "v2: RCX HPA_ARRAY_T, and the list in the aux page",
        delete,
    );
    t.extensions();
    t.resumption();
    session(&mut t, RCX);
    t.row(
        "the session has no streams",
        Status::SPDM_HAS_ACTIVE_IDE_STREAMS,
        Confirmed,
        |s| {
            let stream = Stream {
                session: 0,
                rids: RIDS,
                addresses: AddressRange::ALL,
                pages: 0,
                blocked: true,
                keys: false,
                exchange: None,
            };
            s.model.set_stream(0, Some(stream));
        },
    );
    t.row(
        "the session is not connected",
        Status::SPDM_INVALID_STATE,
        Inferred,
        |s| set_connected(s, 0, true),
    );
    t.aux(RDX);
    t.interrupted();
    t.done(
        "all pages are the host's, and not proved; what was said to the device is over",
        Single,
    )
}

/// The register has the id of a session.
pub(super) fn session(t: &mut Table, operand: Operand) {
    let name = Operand::name(operand as u32).unwrap();
    t.row(
        format!("{name}: the id of a session"),
        Status::SPDM_ENTRY_NOT_PRESENT.on(operand),
        Single,
        move |s| *s.at(operand) |= 0x1000,
    );
}
