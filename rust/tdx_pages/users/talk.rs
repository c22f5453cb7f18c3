// SPDX-License-Identifier: GPL-2.0

//! Exchanges of messages between the TDX Module and a device, by way of the host.
//!
//! A leaf that answers TDX_SPDM_REQUEST has written a message for the device; the host passes it on,
//! puts what the device says where the leaf reads it, and calls the leaf again with the same
//! operands, until it says something else. `[1]` V2 27/31

use super::registry::Owner;
use crate::abi::{
    doe::{
        DoeHeader,
        HEADER_BYTES,
        MAX_BYTES, //
    },
    ide::KeyManagement,
    spdm::{
        Management,
        SpdmConfig, //
    },
    Leaf,
    Status,
    PAGE_SIZE, //
};
use crate::custody::{
    lending::{
        Lending,
        Shared,
        Told, //
    },
    memory::Memory,
    transitions::Answer, //
};
use crate::mm::{
    blocks::Node,
    root::{
        Lasting,
        Own, //
    },
    Blocks, //
};
use crate::platform::Kernel;
use crate::print::may_tell;
use crate::seam::{
    slot::{
        Door,
        Slot, //
    },
    spdm::Place,
    Seam, //
};
use kernel::prelude::*;

/// Messages of one exchange, at most: it is a TDX Module or a device that never comes to an end that
/// is ended by it.
const MAX_MESSAGES: usize = 256;

/// Key updates in the midst of one exchange, at most.
const MAX_UPDATES: usize = 4;

/// Bytes of a message behind its header, at most.
// CAST: A few thousand.
const MAX_PAYLOAD: usize = (MAX_BYTES - HEADER_BYTES) as usize;

// CAST: 4096.
const PAGE: usize = PAGE_SIZE as usize;

/// What kind of data object a message is, from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// PCI vendor id of who defines the type.
    pub(crate) vendor: u16,
    /// Type of the data object.
    pub(crate) object_type: u8,
}

/// The way to a device: a DOE mailbox, or what stands for one.
pub(crate) trait Transport: Send + Unpin {
    /// Sends `request` and waits for what the device says to it; gives its length. Both are without
    /// the DOE header, of whole dwords. May sleep, and must not wait for ever: the session is locked
    /// meanwhile, and so is the slot for extension SEAMCALLs.
    fn transfer(
        &mut self,
        protocol: Protocol,
        request: &[u8],
        response: &mut [u8],
    ) -> Result<usize>;
}

// The pages of an exchange, by their numbers; those for the device info stand behind.
const CONFIG: usize = 0;
const MAILBOX: Place = Place {
    response: 1,
    request: 2,
};
/// A key update has a mailbox of its own: the leaf in whose midst it is wanted has yet to read what
/// the device said.
const UPDATE_MAILBOX: Place = Place {
    response: 3,
    request: 4,
};
/// And so have the keys of streams, which are no extension SEAMCALLs.
const KEYS_MAILBOX: Place = Place {
    response: 5,
    request: 6,
};
const MAILBOXES: [Place; 3] = [MAILBOX, UPDATE_MAILBOX, KEYS_MAILBOX];
const FOLIOS: usize = 7;

/// What is written over device info of before, so that what the TDX Module does not write is nothing.
static NOTHING: [u8; PAGE] = [0; PAGE];

/// A message that its device has not answered. The leaf waits for that answer and for nothing else,
/// so it is sent again before the leaf is called again.
#[derive(Clone, Copy)]
struct Unanswered {
    what: What,
    len: u64,
}

/// What an exchange is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Session(Task),
    Stream(u64, KeyManagement),
}

/// What an exchange is for.
pub(crate) enum Errand<'a, 's> {
    /// A leaf on the session, which needs the slot.
    Session(Task, &'a mut Slot<'s, Kernel>),
    /// TDH.IDE.STREAM.KM on the stream with this id, which does not. A key update in its midst does.
    Stream(u64, KeyManagement, &'a mut Door<Kernel>),
}

/// See [`Errand::Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// TDH.SPDM.CONNECT.
    Connect,
    /// TDH.SPDM.DISCONNECT.
    Disconnect,
    /// TDH.SPDM.MNG.
    Manage(Management),
}

impl Errand<'_, '_> {
    const fn leaf(&self) -> Leaf {
        match self {
            Self::Session(Task::Connect, _) => Leaf::SPDM_CONNECT,
            Self::Session(Task::Disconnect, _) => Leaf::SPDM_DISCONNECT,
            Self::Session(Task::Manage(_), _) => Leaf::SPDM_MNG,
            Self::Stream(..) => Leaf::IDE_STREAM_KM,
        }
    }

    const fn what(&self) -> What {
        match self {
            Self::Session(task, _) => What::Session(*task),
            Self::Stream(id, operation, _) => What::Stream(*id, *operation),
        }
    }

    /// Which of the mailboxes.
    const fn mailbox(&self) -> usize {
        match self {
            Self::Stream(..) => 2,
            _ if self.is_key_update() => 1,
            _ => 0,
        }
    }

    const fn is_key_update(&self) -> bool {
        matches!(self, Self::Session(Task::Manage(Management::KeyUpdate), _))
    }

    const fn brings_device_info(&self) -> bool {
        matches!(
            self,
            Self::Session(Task::Connect | Task::Manage(Management::DeviceInfo), _)
        )
    }
}

/// One end of a session's talk: its pages, and the way to the device.
pub(crate) struct Talk<T> {
    kernel: Kernel,
    owner: Owner,
    transport: T,
    pages: Lending<Kernel>,
    // The list of the pages for device info: one for all steps, whose operands must be the same.
    info: Option<Told<Lasting>>,
    request: KVec<u8>,
    response: KVec<u8>,
    unanswered: [Option<Unanswered>; MAILBOXES.len()],
    // Of the last exchange: a leaf went further than to say that it is busy; and it succeeded.
    executed: bool,
    succeeded: bool,
}

impl<T: Transport> Talk<T> {
    /// Allocates the pages on a node; `info` is SPDM_MAX_DEV_INFO_PAGES, checked. Configuration and
    /// messages are zeroed, device info is not: the TDX Module says how much of it there is.
    pub(crate) fn new(
        kernel: &Kernel,
        owner: &Owner,
        transport: T,
        config: SpdmConfig,
        info: usize,
        node: Node,
    ) -> Result<Self> {
        let pages = Blocks::with_folios(&[1; FOLIOS], info, node)?;
        pages.write(CONFIG * PAGE, &config.word().to_le_bytes())?;
        let pages = Lending::new(kernel, owner, pages).map_err(|(why, _)| Error::from(why))?;
        let info = pages.tell(Own::new()?);
        Ok(Self {
            kernel: kernel.clone(),
            owner: owner.clone(),
            transport,
            pages,
            info,
            request: KVec::from_elem(0, MAX_PAYLOAD, GFP_KERNEL)?,
            response: KVec::from_elem(0, MAX_PAYLOAD, GFP_KERNEL)?,
            unanswered: [None; MAILBOXES.len()],
            executed: false,
            succeeded: false,
        })
    }

    /// Runs an exchange on the session with this id to its end. The value is the length of the device
    /// info in bytes, checked, where there is one; else it means nothing.
    ///
    /// # Errors
    ///
    /// `EIO` for an answer of the TDX Module that ends it, `EBUSY` if that is "busy", `EPROTO` for
    /// one that cannot be, or for an exchange without end, `ENOMEM`, `ESHUTDOWN`, and whatever the
    /// transport says. Each is told in one line.
    pub(crate) fn run(&mut self, session: u64, mut errand: Errand<'_, '_>) -> Result<usize> {
        let (leaf, what, mailbox) = (errand.leaf(), errand.what(), errand.mailbox());
        self.executed = false;
        self.succeeded = false;
        if errand.brings_device_info() {
            self.clear_info()?;
        }
        if let Some(left) = self.unanswered(mailbox).filter(|left| left.what == what) {
            self.executed = true;
            self.pass_on(leaf, mailbox, left.len)?;
        }
        // Another exchange in the same mailbox is the end of the one before.
        self.remember(mailbox, None);
        let mut updates = 0;
        for _ in 0..MAX_MESSAGES {
            let (status, len) = self.step(session, &mut errand, mailbox)?;
            self.executed |= !(status.is_not_executed() || status.is_recoverable());
            if status.is_success_class() {
                self.succeeded = true;
                return self.ended(&errand, len);
            }
            match status {
                Status::SPDM_REQUEST => {
                    self.remember(mailbox, Some(Unanswered { what, len }));
                    self.pass_on(leaf, mailbox, len)?;
                    self.remember(mailbox, None);
                }
                Status::SPDM_SESSION_KEY_REQUIRE_REFRESH
                    if !errand.is_key_update() && updates < MAX_UPDATES =>
                {
                    updates += 1;
                    self.update_key(session, &mut errand)?;
                }
                Status::HOST_DOWN => {
                    if may_tell() {
                        pr_err!(
                            "{}: {} not called, the system goes down\n",
                            self.owner,
                            leaf
                        );
                    }
                    return Err(errno!(ESHUTDOWN));
                }
                _ => {
                    if may_tell() {
                        pr_err!(
                            "{}: {} answered {}, which ends this exchange\n",
                            self.owner,
                            leaf,
                            status
                        );
                    }
                    return Err(if status.is_recoverable() { EBUSY } else { EIO });
                }
            }
        }
        if may_tell() {
            pr_err!(
                "{}: {} wants more than {} messages, given up\n",
                self.owner,
                leaf,
                MAX_MESSAGES
            );
        }
        Err(errno!(EPROTO))
    }

    /// Changes the session's key in the midst of another exchange: with its slot, if it has it.
    fn update_key(&mut self, session: u64, errand: &mut Errand<'_, '_>) -> Result {
        let task = Task::Manage(Management::KeyUpdate);
        match errand {
            Errand::Session(_, slot) => self.run(session, Errand::Session(task, slot))?,
            Errand::Stream(_, _, door) => {
                let mut slot = door.enter();
                self.run(session, Errand::Session(task, &mut slot))?
            }
        };
        // The exchange around it was, and has not succeeded yet.
        self.executed = true;
        self.succeeded = false;
        Ok(())
    }

    /// Whether the last exchange went further than that its leaf was busy, or not executed.
    pub(crate) fn was_executed(&self) -> bool {
        self.executed
    }

    /// Whether its leaf succeeded, whatever else was wrong.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.succeeded
    }

    /// What a device has not answered, of the session's own exchanges: the slot is taken by it.
    pub(crate) fn left_over(&self) -> Option<Task> {
        let mut left = [0, 1]
            .into_iter()
            .filter_map(|mailbox| self.unanswered(mailbox));
        left.find_map(|left| match left.what {
            What::Session(task) => Some(task),
            What::Stream(..) => None,
        })
    }

    fn unanswered(&self, mailbox: usize) -> Option<Unanswered> {
        self.unanswered.get(mailbox).copied().flatten()
    }

    fn remember(&mut self, mailbox: usize, message: Option<Unanswered>) {
        if let Some(slot) = self.unanswered.get_mut(mailbox) {
            *slot = message;
        }
    }

    /// Clears the pages for device info.
    fn clear_info(&self) -> Result {
        let pages = self.pages.memory().ok_or(EIO)?;
        for page in FOLIOS..pages.pages() {
            pages.write(page * PAGE, &NOTHING)?;
        }
        Ok(())
    }

    /// Makes one step: lends the pages for one call. Gives what the leaf answered, and the length
    /// beside it.
    fn step(
        &mut self,
        session: u64,
        errand: &mut Errand<'_, '_>,
        mailbox: usize,
    ) -> Result<(Status, u64)> {
        let mut len = 0;
        let (seam, info) = (self.kernel.seam(), &mut self.info);
        let place = place(mailbox);
        let lent = self.pages.lend(errand.leaf(), |shared| {
            let (answer, said) = call(seam, session, errand, place, shared, info);
            len = said;
            answer
        });
        match lent {
            Ok(status) => Ok((status, len)),
            // The ledger has said it.
            Err(Some(_settled)) => {
                self.executed = true;
                Err(EIO)
            }
            Err(None) => {
                self.gone();
                Err(EIO)
            }
        }
    }

    /// Tells that there is no mailbox any more.
    fn gone(&self) {
        if may_tell() {
            pr_err!(
                "{}: a leaf was left interrupted and may still use its messages: no exchange any more, end the session\n",
                self.owner
            );
        }
    }

    /// Passes a request on, and puts the response where the leaf reads it.
    fn pass_on(&mut self, leaf: Leaf, mailbox: usize, len: u64) -> Result {
        let place = place(mailbox);
        let pages = self.pages.memory().ok_or(EIO)?;
        let mut header = [0; HEADER_BYTES as usize];
        pages.read(place.request * PAGE, &mut header)?;
        let header = DoeHeader::from_raw(u64::from_le_bytes(header));
        // Its own word for the length is the one that V2 goes by.
        let bytes = header.bytes().filter(|bytes| len <= *bytes);
        let Some(payload) = bytes.and_then(|bytes| bytes.checked_sub(HEADER_BYTES)) else {
            if may_tell() {
                pr_err!(
                    "{}: {} wrote a message with the header {:#x}, of {} bytes: that is no data object of a page\n",
                    self.owner,
                    leaf,
                    header.raw(),
                    len
                );
            }
            return Err(errno!(EPROTO));
        };
        let request = usize::try_from(payload)?;
        let request = self.request.get_mut(..request).ok_or(errno!(EPROTO))?;
        pages.read(place.request * PAGE + header_bytes(), request)?;
        let protocol = Protocol {
            vendor: header.vendor(),
            object_type: header.object_type(),
        };
        let got = self
            .transport
            .transfer(protocol, request, &mut self.response)
            .inspect_err(|error| {
                if may_tell() {
                    pr_err!(
                        "{}: its device did not answer a message of {} bytes for {}: {:?}\n",
                        self.owner,
                        payload,
                        leaf,
                        error
                    );
                }
            })?;
        let answer = u64::try_from(got)
            .ok()
            .filter(|got| *got != 0)
            .and_then(|got| DoeHeader::new(protocol.vendor, protocol.object_type, got));
        let (Some(answer), Some(response)) = (answer, self.response.get(..got)) else {
            if may_tell() {
                pr_err!(
                    "{}: its device answered {} bytes for {}: 4 to {} are possible, in whole dwords\n",
                    self.owner,
                    got,
                    leaf,
                    MAX_PAYLOAD
                );
            }
            return Err(errno!(EPROTO));
        };
        pages.write(place.response * PAGE, &answer.raw().to_le_bytes())?;
        pages.write(place.response * PAGE + header_bytes(), response)
    }

    /// Checks what a leaf said at its successful end.
    fn ended(&self, errand: &Errand<'_, '_>, len: u64) -> Result<usize> {
        if !errand.brings_device_info() {
            return Ok(0);
        }
        let room = self.pages.memory().map_or(0, |pages| pages.pages());
        let room = room.saturating_sub(FOLIOS).saturating_mul(PAGE);
        usize::try_from(len)
            .ok()
            .filter(|len| *len <= room)
            .ok_or_else(|| {
                if may_tell() {
                    pr_err!(
                        "{}: {} says there are {} bytes of device info, and has been given room for {}\n",
                        self.owner,
                        errand.leaf(),
                        len,
                        room
                    );
                }
                errno!(EPROTO)
            })
    }

    /// Copies device info of this length out.
    pub(crate) fn device_info(&self, len: usize) -> Result<KVVec<u8>> {
        let mut info = KVVec::from_elem(0, len, GFP_KERNEL)?;
        let pages = self.pages.memory().ok_or(EIO)?;
        pages.read(FOLIOS * PAGE, &mut info)?;
        Ok(info)
    }
}

fn place(mailbox: usize) -> Place {
    MAILBOXES.get(mailbox).copied().unwrap_or(MAILBOX)
}

const fn header_bytes() -> usize {
    // CAST: Eight.
    HEADER_BYTES as usize
}

/// Makes the call that an errand wants.
fn call<'id>(
    seam: &Seam,
    session: u64,
    errand: &mut Errand<'_, '_>,
    place: Place,
    pages: Shared<'id, Blocks>,
    info: &mut Option<Told<Lasting>>,
) -> (Answer<'id>, u64) {
    match errand {
        Errand::Session(Task::Connect, slot) => {
            seam.spdm_connect(slot, session, CONFIG, place, pages, info)
        }
        Errand::Session(Task::Manage(Management::DeviceInfo), slot) => {
            seam.spdm_recollect(slot, session, place, pages, info)
        }
        Errand::Session(Task::Manage(operation), slot) => {
            seam.spdm_manage(slot, session, *operation, place, pages)
        }
        Errand::Session(Task::Disconnect, slot) => {
            seam.spdm_disconnect(slot, session, place, pages)
        }
        Errand::Stream(id, operation, _) => {
            seam.ide_stream_km(session, *id, *operation, place, pages)
        }
    }
}
