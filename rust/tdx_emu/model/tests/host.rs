// SPDX-License-Identifier: GPL-2.0

//! A host and a device for the tests of sessions and streams.

use super::super::{
    sim::{
        page,
        Sim, //
    },
    Config,
    Machine,
    Model,
    Regs, //
};
use crate::abi::{
    doe::DoeHeader,
    emu::Control,
    emu_device::respond,
    ide::StreamInfo,
    ide_range::{
        AddressRange,
        RidRange, //
    },
    spdm::NO_PAGE,
    Hpa,
    Leaf,
    Status, //
};

pub(super) const BASE: u64 = 0xfed9_0000;
pub(super) const ROOT: u64 = page(1);
pub(super) const AUX: u64 = page(2);
pub(super) const OUT_ROOT: u64 = page(3);
/// The pages 4 to 9.
pub(super) const IOMMU_MT: [u64; 4] = [page(4) | 2, page(6) | 2, page(8), page(9)];
pub(super) const CONFIG: u64 = page(10);
pub(super) const RESPONSE: u64 = page(11);
pub(super) const REQUEST: u64 = page(12);
pub(super) const OUT: [u64; 2] = [page(13), page(14)];
pub(super) const SESSION: [u64; 3] = [page(16), page(18), page(17)];
pub(super) const STREAM: u64 = page(20);
/// Pages of nobody.
pub(super) const SPARE: [u64; 6] = [page(22), page(23), page(24), page(25), page(26), page(27)];
/// No such page.
pub(super) const NOWHERE: u64 = page(64);

pub(super) const FUNCTION: u64 = 0x1_0000 | 1 << 24 | 0x308;
pub(super) const FIRST_SESSION: u64 = 0x240;
pub(super) const FIRST_STREAM: u64 = 0x500;

pub(super) const RIDS: RidRange = RidRange {
    segment: 1,
    base: 0x300,
    limit: 0x30f,
};

/// Both profiles.
pub(super) const PROFILES: [bool; 2] = [false, true];

/// A TDX Module that wants no pool.
pub(super) fn config(late: bool) -> Config {
    Config {
        pool_pages: 0,
        profile_late: late,
        ..Config::SMALL
    }
}

/// Operands in RCX, RDX, R8 to R14.
pub(super) fn call(model: &mut Model<Sim>, leaf: Leaf, operands: &[u64]) -> (Status, Regs) {
    let mut regs = Regs {
        rax: leaf.raw(),
        ..Regs::default()
    };
    let registers = [
        &mut regs.rcx,
        &mut regs.rdx,
        &mut regs.r8,
        &mut regs.r9,
        &mut regs.r10,
        &mut regs.r11,
        &mut regs.r12,
        &mut regs.r13,
        &mut regs.r14,
    ];
    for (register, operand) in registers.into_iter().zip(operands) {
        *register = *operand;
    }
    model.seamcall(&mut regs);
    (Status::from_raw(regs.rax), regs)
}

pub(super) fn ask(model: &mut Model<Sim>, control: Control, operands: [u64; 5]) {
    assert_eq!(model.ask(control, operands).0, Status::SUCCESS);
}

pub(super) fn interrupt(model: &mut Model<Sim>, leaf: Leaf, k: u64) {
    ask(model, Control::Interrupt, [leaf.number(), k, 0, 0, 0]);
}

pub(super) fn features(model: &mut Model<Sim>, value: u64) {
    let field = crate::abi::field::Field::FEATURES0.raw();
    ask(model, Control::SetField, [field, value, 0, 0, 0]);
}

/// The word for a list of pages that is in [`ROOT`], or for the only page.
pub(super) fn word(model: &Model<Sim>, pages: &[u64]) -> u64 {
    let count = (pages.len() as u64 - 1) << 55;
    if pages.len() == 1 && !model.config().profile_late {
        pages[0]
    } else {
        ROOT | count
    }
}

/// A TDX Module with an IOMMU and its extensions initialised.
pub(super) fn ready(late: bool) -> Model<Sim> {
    let mut model = Model::new(Sim::new(64, 2), config(late));
    assert!(call(&mut model, Leaf::EXT_INIT, &[]).0.is_success());
    model.put(ROOT, &IOMMU_MT);
    let (status, _) = call(&mut model, Leaf::IOMMU_SETUP, &[BASE, ROOT]);
    assert_eq!(status, Status::SUCCESS);
    model
}

pub(super) fn create(model: &mut Model<Sim>, function: u64, pages: &[u64]) -> (Status, u64) {
    model.put(ROOT, pages);
    let word = word(model, pages);
    let (status, regs) = call(model, Leaf::SPDM_CREATE, &[function, word]);
    (status, regs.rcx)
}

/// The same with a session that is not connected.
pub(super) fn with_session(late: bool) -> (Model<Sim>, u64) {
    let mut model = ready(late);
    let (status, id) = create(&mut model, FUNCTION, &SESSION);
    assert_eq!((status, id), (Status::SUCCESS, FIRST_SESSION));
    (model, id)
}

/// The operands of TDH.SPDM.CONNECT.
pub(super) fn connect(model: &mut Model<Sim>, id: u64) -> [u64; 5] {
    model.put(OUT_ROOT, &OUT);
    [id, CONFIG, RESPONSE, REQUEST, OUT_ROOT | 1 << 55]
}

pub(super) const fn disconnect(id: u64) -> [u64; 3] {
    [id, RESPONSE, REQUEST]
}

/// The operands of TDH.SPDM.MNG without further pages.
pub(super) const fn manage(id: u64, operation: u64) -> [u64; 6] {
    [id, operation, NO_PAGE, RESPONSE, REQUEST, NO_PAGE]
}

/// The operands of TDH.IDE.STREAM.KM.
pub(super) const fn keys(id: u64, stream: u64, operation: u64) -> [u64; 5] {
    [id, stream, operation, RESPONSE, REQUEST]
}

pub(super) fn words(model: &mut Model<Sim>, page: u64) -> &mut [u64; 512] {
    &mut model.machine_mut().memory[(page / 4096) as usize]
}

/// The device: reads the request and answers it; gives the request.
pub(super) fn device(model: &mut Model<Sim>) -> Vec<u64> {
    let request = *words(model, REQUEST);
    let bytes = DoeHeader::from_raw(request[0]).bytes().unwrap();
    let request = &request[..bytes.div_ceil(8) as usize];
    let response = words(model, RESPONSE);
    // What is behind the response is of no matter.
    response.fill(0xbad);
    for (index, word) in request.iter().enumerate() {
        response[index] = respond(index, *word);
    }
    request.to_vec()
}

/// Calls a leaf until it wants no further answer of the device; gives the rounds, too.
pub(super) fn exchange(
    model: &mut Model<Sim>,
    leaf: Leaf,
    operands: &[u64],
) -> (Status, Regs, usize) {
    for rounds in 0.. {
        let (status, regs) = call(model, leaf, operands);
        if status != Status::SPDM_REQUEST {
            return (status, regs, rounds);
        }
        let request = device(model);
        assert_eq!(regs.rcx.div_ceil(8), request.len() as u64);
    }
    unreachable!()
}

/// The same with a session that is connected.
pub(super) fn connected(late: bool) -> (Model<Sim>, u64) {
    let (mut model, id) = with_session(late);
    let operands = connect(&mut model, id);
    let (status, ..) = exchange(&mut model, Leaf::SPDM_CONNECT, &operands);
    assert_eq!(status, Status::SUCCESS);
    (model, id)
}

/// The operands of TDH.IDE.STREAM.CREATE for one page.
pub(super) fn stream(model: &mut Model<Sim>, session: u64, page: u64) -> [u64; 9] {
    model.put(ROOT, &[page]);
    let word = word(model, &[page]);
    let [rid1, rid2] = RIDS.images();
    let [addr1, addr2, addr3] = AddressRange::ALL.images();
    let info = StreamInfo::selective(0x18).raw();
    [info, session, word, 0, rid1, rid2, addr1, addr2, addr3]
}

/// The same with a stream; and its id.
pub(super) fn with_stream(late: bool) -> (Model<Sim>, u64, u64) {
    let (mut model, id) = connected(late);
    let operands = stream(&mut model, id, STREAM);
    let (status, regs) = call(&mut model, Leaf::IDE_STREAM_CREATE, &operands);
    assert_eq!((status, regs.rcx), (Status::SUCCESS, FIRST_STREAM));
    (model, id, regs.rcx)
}

/// Proves every page that is let go.
pub(super) fn prove(model: &mut Model<Sim>) {
    for n in 0..64 {
        let state = model.page(Hpa::new(page(n)).unwrap()).unwrap();
        if state.is_dirty() && !state.is_owned() {
            let word = 5 << 46 | page(n);
            assert!(call(model, Leaf::PHYMEM_PAGE_WBINVD, &[word])
                .0
                .is_success());
        }
    }
    let states = model.machine_mut().states();
    assert!(states
        .iter()
        .all(|state| state.is_owned() == state.is_dirty()));
}
