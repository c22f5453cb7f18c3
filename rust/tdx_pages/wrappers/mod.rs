// SPDX-License-Identifier: GPL-2.0

//! The C wrappers of the leaves on sessions and streams, one by one against the software TDX
//! Module.
//!
//! What the leaves do is tested on the host. Here it shows that each operand is in its register and
//! each output where it belongs.

mod suite;

use crate::abi::{
    emu_device::{
        device_info,
        respond,
        Message,
        MAX_WORDS, //
    },
    field::Field,
    ide::{
        KeyManagement,
        StreamControl,
        StreamInfo, //
    },
    ide_range::{
        AddressRange,
        RidRange, //
    },
    list::{
        Entries,
        HpaArray, //
    },
    spdm::{
        Management,
        SpdmConfig,
        NO_PAGE, //
    },
    status::Operand,
    FunctionId,
    Hpa,
    Leaf,
    Status, //
};
use crate::bindings;
use crate::emu::{
    Emu,
    Released,
    KEYID, //
};
use kernel::prelude::*;

/// Pages of a test: 2 to the power of this.
const ORDER: u32 = 5;

// What each page is for.
const ROOT: u64 = 0;
const AUX: u64 = 1;
const CONFIG: u64 = 2;
const RESPONSE: u64 = 3;
const REQUEST: u64 = 4;
const OUT: [u64; 2] = [5, 6];
const OUT_ROOT: u64 = 7;
const IOMMU: u64 = 8;
const SESSION: [u64; 3] = [16, 18, 17];
const STREAM: u64 = 20;

const BASE: u64 = 0xfed9_0000;
const MORE: Status = Status::SPDM_REQUEST;

/// A host with its memory, and a device. The software TDX Module forgets the pages before they
/// are freed, however a test ends.
struct Host {
    emu: Emu,
    first: u64,
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.emu.reset().is_ok() {
            // SAFETY: The block was allocated with this order, and nobody has it any more.
            unsafe { bindings::tdx_pages_free_block(self.first, ORDER) };
        }
    }
}

impl Host {
    /// One with an IOMMU that is set up and the extensions initialised.
    fn new() -> Result<Option<Self>> {
        let Some(emu) = Emu::begin() else {
            return Ok(None);
        };
        // SAFETY: It has no preconditions.
        let first = unsafe { bindings::tdx_pages_alloc_block(ORDER, -1, true) };
        if first == 0 {
            return Err(ENOMEM);
        }
        let host = Self { emu, first };
        host.emu.set(Field::POOL_REQUIRED_PAGES_U16, 0)?;
        host.emu.set(Field::IOMMU_MT_PAGE_COUNT, 1)?;
        // SAFETY: A SEAMCALL without operands.
        expect_eq!(unsafe { bindings::tdh_ext_init() }, 0);
        let queues = [host.hpa(IOMMU) | 2, host.hpa(IOMMU + 2) | 2];
        host.put(ROOT, &[queues[0], queues[1], host.hpa(IOMMU + 4)])?;
        let mut id = 0;
        // SAFETY: The pages belong to the test, which leaves them alone from here on.
        let status = unsafe { bindings::tdh_iommu_setup(BASE, host.hpa(ROOT), &mut id) };
        expect_eq!(status, 0);
        Ok(Some(host))
    }

    fn hpa(&self, page: u64) -> u64 {
        self.first + page * 4096
    }

    fn word(&self, page: u64, index: usize) -> *mut u64 {
        // SAFETY: The page is one of the block's, which is mapped; indices are within a page.
        unsafe {
            bindings::tdx_pages_va(self.hpa(page))
                .cast::<u64>()
                .add(index)
        }
    }

    fn put(&self, page: u64, words: &[u64]) -> Result {
        for (index, word) in words.iter().enumerate() {
            // SAFETY: Nobody else accesses a page of the block that is not held.
            unsafe { self.word(page, index).write_volatile(*word) };
        }
        Ok(())
    }

    fn get(&self, page: u64, index: usize) -> u64 {
        // SAFETY: As for `put()`.
        unsafe { self.word(page, index).read_volatile() }
    }

    /// The HPA_ARRAY_T of these pages, listed in `root`.
    fn array(&self, root: u64, pages: &[u64]) -> Result<u64> {
        for (index, page) in pages.iter().enumerate() {
            // SAFETY: As for `put()`.
            unsafe { self.word(root, index).write_volatile(self.hpa(*page)) };
        }
        let first = Hpa::new(self.hpa(pages[0])).ok_or(EINVAL)?;
        let root = Hpa::new(self.hpa(root)).ok_or(EINVAL)?;
        let entries = Entries::new(pages.len()).ok_or(EINVAL)?;
        Ok(HpaArray::new(entries, first, root).raw())
    }

    /// Calls a leaf until it wants no further answer of the device, which checks what it is told
    /// about `id`; gives the bytes told at the end.
    fn talk(
        &self,
        leaf: Leaf,
        id: u64,
        operation: u64,
        call: impl Fn(&Self, &mut u64) -> u64,
    ) -> Result<u64> {
        for step in 0..4 {
            let mut len = 0;
            let status = Status::from_raw(call(self, &mut len));
            if step == 3 {
                expect_eq!(status, Status::SUCCESS);
                return Ok(len);
            }
            expect_eq!(status, MORE);
            let message = Message {
                id,
                leaf,
                operation,
                step,
            };
            expect_eq!(len, message.bytes());
            for index in 0..message.words().min(MAX_WORDS) {
                let word = self.get(REQUEST, index);
                expect_eq!(word, message.request(index));
                // SAFETY: As for `put()`.
                unsafe {
                    self.word(RESPONSE, index)
                        .write_volatile(respond(index, word))
                };
            }
        }
        Err(EIO)
    }

    fn create_session(&self) -> Result<u64> {
        let array = self.array(ROOT, &SESSION)?;
        let mut id = 0;
        let function = FunctionId::new(1, 0x308).raw();
        // SAFETY: The pages belong to the test, which leaves them alone until DELETE.
        let status = unsafe { bindings::tdh_spdm_create(function, array, &mut id) };
        expect_eq!(Status::from_raw(status), Status::SUCCESS);
        Ok(id)
    }

    fn connect(&self, id: u64) -> Result<u64> {
        self.put(CONFIG, &[SpdmConfig::DEFAULT.word()])?;
        let array = self.array(OUT_ROOT, &OUT)?;
        self.talk(Leaf::SPDM_CONNECT, id, 0, |host, len| {
            let pages = [CONFIG, RESPONSE, REQUEST].map(|page| host.hpa(page));
            let [config, response, request] = pages;
            // SAFETY: The pages are shared ones of the test.
            unsafe { bindings::tdh_spdm_connect(id, config, response, request, array, len) }
        })
    }

    /// TDH.IDE.STREAM.CREATE with these register images: status, stream id, IDE id.
    fn create_stream(&self, session: u64, images: [u64; 5]) -> Result<(Status, u64, u64)> {
        let info = StreamInfo::selective(0x18).raw();
        let control = StreamControl::PLAIN.with_pcrc().raw();
        let [rid1, rid2, addr1, addr2, addr3] = images;
        let (mut id, mut ide) = (0, 0);
        // SAFETY: The page belongs to the test, which leaves it alone until DELETE.
        let status = unsafe {
            bindings::tdh_ide_stream_create(
                info,
                session,
                self.hpa(STREAM),
                control,
                rid1,
                rid2,
                addr1,
                addr2,
                addr3,
                &mut id,
                &mut ide,
            )
        };
        Ok((Status::from_raw(status), id, ide))
    }

    /// Owner of a page by TDH.PHYMEM.PAGE.RDMD; its type must be `page_type`.
    fn owner(&self, page: u64, page_type: u64) -> Result<u64> {
        let mut out = [u64::MAX; 4];
        let [kind, owner, level, epoch] = &mut out;
        // SAFETY: The leaf only reads what the TDX Module knows.
        let status =
            unsafe { bindings::tdh_phymem_page_rdmd(self.hpa(page), kind, owner, level, epoch) };
        expect_eq!(Status::from_raw(status), Status::SUCCESS);
        expect_eq!([out[0], out[2], out[3]], [page_type, 0, 0]);
        Ok(out[1])
    }

    fn prove(&self, pages: &[u64]) -> Result {
        for page in pages {
            let pfn = self.hpa(*page) / 4096;
            // SAFETY: The page is the test's again.
            let status = unsafe { bindings::tdh_phymem_page_wbinvd_hkid(u64::from(KEYID), pfn) };
            expect_eq!(Status::from_raw(status), Status::SUCCESS);
        }
        Ok(())
    }
}

/// Register images of a stream for all addresses.
fn images() -> [u64; 5] {
    let rids = RidRange {
        segment: 1,
        base: 0x300,
        limit: 0x30f,
    };
    let [rid1, rid2] = rids.images();
    let [addr1, addr2, addr3] = AddressRange::ALL.images();
    [rid1, rid2, addr1, addr2, addr3]
}
