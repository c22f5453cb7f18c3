// SPDX-License-Identifier: GPL-2.0

//! A device for the suites, which speaks what the software TDX Module wants to hear; and a whole
//! life of a session and a stream.

use super::*;
use crate::abi::{
    doe,
    ide::StreamControl,
    ide_range::{
        AddressRange,
        RidRange, //
    },
    spdm::SpdmConfig, //
};
use crate::mm::blocks::Node;
use crate::platform::Kernel;
use crate::seam::profile::Profile;
use crate::users::{
    iommu::Iommu,
    registry::{
        Object,
        Owner,
        Registration, //
    },
    session::{
        Session,
        SessionOptions, //
    },
    stream::{
        Stream,
        StreamOptions, //
    },
    talk::{
        Protocol,
        Transport, //
    }, //
};
use kernel::sync::Arc;

/// How a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should.
    Well,
    /// Not at all: the transport fails with this error.
    Fails(Error),
    /// With nothing.
    Nothing,
    /// With a number of bytes that is no whole dwords.
    Odd,
    /// With more bytes than there is room for, so it says.
    TooLong,
    /// With the request itself.
    Echo,
}

/// A device that answers so from some message on, and well before.
pub(super) struct Device {
    pub(super) manner: Manner,
    pub(super) well: usize,
}

impl Device {
    pub(super) const GOOD: Self = Self {
        manner: Manner::Well,
        well: 0,
    };
}

impl Transport for Device {
    fn transfer(
        &mut self,
        protocol: Protocol,
        request: &[u8],
        response: &mut [u8],
    ) -> Result<usize> {
        if (protocol.vendor, protocol.object_type) != (doe::VENDOR_PCI_SIG, doe::TYPE_SPDM) {
            pr_err!("another protocol: {:?}\n", protocol);
            return Err(errno!(EPROTO));
        }
        for (to, from) in response.iter_mut().zip(request) {
            *to = !from;
        }
        if self.well > 0 {
            self.well -= 1;
            return Ok(request.len());
        }
        match self.manner {
            Manner::Well => Ok(request.len()),
            Manner::Fails(error) => Err(error),
            Manner::Nothing => Ok(0),
            Manner::Odd => Ok(request.len() - 1),
            Manner::TooLong => Ok(response.len() + 4),
            Manner::Echo => {
                for (to, from) in response.iter_mut().zip(request) {
                    *to = *from;
                }
                Ok(request.len())
            }
        }
    }
}

/// What the suites need: a software TDX Module whose extensions work, and an IOMMU.
pub(super) struct Ground {
    pub(super) emu: Emu,
    pub(super) registration: Registration,
    pub(super) iommu: Option<Iommu>,
}

/// Pages of a session and of a stream, unless a test says otherwise.
pub(super) const SESSION_PAGES: usize = 3;
pub(super) const STREAM_PAGES: usize = 2;

impl Ground {
    /// [`None`] if there is no software TDX Module.
    pub(super) fn new(profile: Profile) -> Result<Option<Self>> {
        let Some(emu) = begin(0)? else {
            return Ok(None);
        };
        emu.set(Field::SPDM_MT_PAGE_COUNT, SESSION_PAGES as u64)?;
        emu.set(Field::IDE_MT_PAGE_COUNT, STREAM_PAGES as u64)?;
        emu.set(Field::SPDM_MAX_DEV_INFO_PAGES, 4)?;
        emu.profile(profile)?;
        let kernel = Kernel::new(KEYID, Delta::from_millis(50))?;
        kernel.seam().choose(profile);
        expect!(kernel.seam().ext_init().0);
        let registration = Registration::new(&kernel, "suite")?;
        let mut ground = Self {
            emu,
            registration,
            iommu: None,
        };
        ground.iommu = Some(ground.iommu(UNITS[0])?);
        Ok(Some(ground))
    }

    pub(super) fn kernel(&self) -> &Kernel {
        self.registration.kernel()
    }

    pub(super) fn iommu(&self, base: u64) -> Result<Iommu> {
        let owner = Owner::new(self.registration.user(), Object::Iommu(base));
        // CAST: A few pages.
        let pages = SINGLES as usize;
        Iommu::new(self.kernel(), owner, base, pages, Node::Any).map_err(|_| EIO)
    }

    pub(super) fn session(&self, rid: u16, device: Device) -> Result<Arc<Session<Device>>> {
        Session::new(&self.registration, &session_options(0, rid), device)
    }

    /// Everything is down; what is not back is put to the proof after the software TDX Module forgot
    /// it. Says how many pages were in quarantine by then.
    pub(super) fn end(mut self) -> Result<usize> {
        drop(self.iommu.take());
        let balance = self.registration.user().account().balance();
        expect_eq!(
            (balance.held, balance.held_for_good, balance.lost),
            (0, 0, 0)
        );
        expect_eq!(self.emu.balance()?.host_bugs, 0);
        self.emu.reset()?;
        let kernel = self.kernel().clone();
        drop(self);
        let _ = kernel.retry();
        let remains = kernel.close();
        expect_eq!((remains.lost, remains.held_for_good), (0, 0));
        Ok(balance.quarantined)
    }
}

pub(super) fn session_options(segment: u16, rid: u16) -> SessionOptions {
    SessionOptions {
        segment,
        rid,
        config: SpdmConfig::DEFAULT,
        node: Node::Any,
    }
}

/// A stream that no other one overlaps, for `n` up to a thousand.
pub(super) fn stream_options(n: u16) -> StreamOptions {
    let base = u64::from(n) << 20;
    StreamOptions {
        root_port: 8,
        control: StreamControl::PLAIN,
        rids: RidRange {
            segment: 0,
            base: n,
            limit: n,
        },
        addresses: AddressRange::new(base, base + (1 << 20) - 1).unwrap_or(AddressRange::ALL),
        node: Node::Any,
    }
}

/// A session with a stream, from CREATE to DELETE. What fails ends it, and what was built until then
/// is torn down.
pub(super) fn life(ground: &Ground, device: Device) -> Result {
    let session = ground.session(0x100, device)?;
    session.connect()?;
    session.manage(crate::abi::spdm::Management::Heartbeat)?;
    let stream = Stream::new(&session, &stream_options(1))?;
    stream.set_up_keys()?;
    stream.refresh_keys()?;
    stream.stop_keys()?;
    drop(stream);
    session.disconnect()
}
