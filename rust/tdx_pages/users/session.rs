// SPDX-License-Identifier: GPL-2.0

//! An SPDM session of the TDX Module with a device.
//!
//! A session is made with its control pages, connected by an exchange of messages, and torn down in
//! the opposite order when the last reference to it goes: whatever was built by then, and no more.
//! IDE streams hold such a reference, so that their session cannot go away under them.

use super::{
    ending::Ending,
    registry::{
        Object,
        Owner,
        Registration, //
    },
    talk::{
        Errand,
        Talk,
        Task,
        Transport, //
    }, //
};
use crate::abi::{
    function::FunctionId,
    ide::KeyManagement,
    spdm::{
        Management,
        SpdmConfig, //
    },
    Leaf,
    Status, //
};
use crate::custody::{
    listed::Recorded,
    memory::{
        Memory,
        Platform, //
    },
    transitions::{
        hand_over,
        Answer,
        HandOverError,
        Held,
        ReleaseError,
        Why, //
    }, //
};
use crate::mm::{
    blocks::Node,
    Blocks, //
};
use crate::platform::Kernel;
use crate::print::{
    may_tell,
    may_tell_misuse,
    may_tell_news, //
};
use crate::seam::ids::{
    Id,
    Room,
    Space, //
};
use crate::seam::{
    metadata,
    slot::Door, //
};
use core::ops::Deref;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        UniqueArc, //
    },
    time::Instant, //
};

/// A session; to be held in an [`Arc`].
#[pin_data(PinnedDrop)]
pub(crate) struct Session<T: Transport> {
    kernel: Kernel,
    owner: Owner,
    function: FunctionId,
    id: Id,
    pages: usize,
    node: Option<i32>,
    // Streams made so far: their numbers for people.
    streams: Atomic<u32>,
    // Those that live; added to with `inner` held.
    alive: Atomic<u32>,
    /// Held over every exchange, which has one mailbox for all. Before the slot, and before the
    /// locks of the seam, in the order of locks.
    #[pin]
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    door: Door<Kernel>,
    talk: Talk<T>,
    // `None` once it has been deleted.
    pages: Option<Held<Blocks, Kernel>>,
    stage: Stage,
    info: KVVec<u8>,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was made, and is not connected.
    Created,
    /// It is connected, or may be: an exchange to that end was begun.
    Connecting,
    /// It is connected.
    Connected,
    /// It was disconnected.
    Disconnected,
}

/// What a session is to be like.
pub(crate) struct SessionOptions {
    /// PCI segment of the function.
    pub(crate) segment: u16,
    /// Requester id: bus in 15:8, device and function in 7:0.
    pub(crate) rid: u16,
    /// What SPDM is asked for.
    pub(crate) config: SpdmConfig,
    /// Where its memory comes from: best the node of the device.
    pub(crate) node: Node,
}

impl<T: Transport> Session<T> {
    /// Makes a session with a function, for the user that is registered so. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a segment above 255, which no function id can name; `EEXIST` if the TDX Module
    /// has a session with the function; `ENODEV` if no IOMMU is set up for it; `EIO`, `ENOMEM`,
    /// `ESHUTDOWN`. Each is told in one line, and no page is lost.
    pub(crate) fn new(
        registration: &Registration,
        options: &SessionOptions,
        transport: T,
    ) -> Result<Arc<Self>> {
        let kernel = registration.kernel();
        kernel.look_again();
        let Ok(segment) = u8::try_from(options.segment) else {
            if may_tell_misuse() {
                pr_warn!(
                    "{}: PCI segment {} is above 255: a function id has 8 bits for it\n",
                    registration.user().name(),
                    options.segment
                );
            }
            return Err(EINVAL);
        };
        let function = FunctionId::new(segment, options.rid);
        let owner = Owner::new(registration.user(), Object::Session(function.into()));
        let pages = metadata::spdm_mt_pages(kernel.seam())?;
        let info = metadata::device_info_pages(kernel.seam())?;
        // All that may fail for want of memory comes before the leaf.
        let parts = || {
            let talk = Talk::new(
                kernel,
                &owner,
                transport,
                options.config,
                info,
                options.node,
            )?;
            // All that is needed later as well: there is no way back without the object.
            let place = UniqueArc::<Self>::new_uninit(GFP_KERNEL)?;
            Ok((talk, Blocks::new(pages, options.node)?, Room::new()?, place))
        };
        let (talk, memory, room, place) = parts().inspect_err(|_: &Error| no_memory(&owner))?;
        let (extent, mut id) = ((memory.pages(), memory.node()), 0);
        let held = hand_over(
            kernel,
            &owner,
            memory,
            Leaf::SPDM_CREATE,
            |recorded| match recorded.list(kernel.root()) {
                Ok(listed) => {
                    let (answer, answered) = kernel.seam().spdm_create(function, listed);
                    id = answered;
                    answer
                }
                Err(answer) => answer,
            },
        );
        let held = held.map_err(|error| not_created(&owner, Leaf::SPDM_CREATE, error))?;
        let Some(id) = room.take(kernel, &owner, Space::Session, id) else {
            if may_tell() {
                pr_err!(
                    "{}: the TDX Module calls it {:#x}, as it calls another one: not used, its pages stay out of use\n",
                    owner,
                    id
                );
            }
            held.quarantine(Why::WrongId, Leaf::SPDM_CREATE, Status::SUCCESS);
            return Err(EIO);
        };
        let inner = Inner {
            door: Door::new(kernel.clone()),
            talk,
            pages: Some(held),
            stage: Stage::Created,
            info: KVVec::new(),
        };
        let session = Self::assemble(kernel, &owner, function, id, extent, inner);
        match place.pin_init_with(session) {
            Ok(session) => Ok(session.into()),
            Err(never) => match never {},
        }
    }

    fn assemble(
        kernel: &Kernel,
        owner: &Owner,
        function: FunctionId,
        id: Id,
        (pages, node): (usize, Option<i32>),
        inner: Inner<T>,
    ) -> impl PinInit<Self> {
        let (kernel, owner) = (kernel.clone(), owner.clone());
        pin_init!(Self {
            kernel,
            owner,
            function,
            id,
            pages,
            node,
            streams: Atomic::new(0),
            alive: Atomic::new(0),
            inner <- new_mutex!(inner),
        })
    }

    /// The function that it is with.
    pub(crate) fn function(&self) -> FunctionId {
        self.function
    }

    /// What the TDX Module calls it.
    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }

    /// The number of its control pages.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// The NUMA node that they came from.
    pub(crate) fn node(&self) -> Option<i32> {
        self.node
    }

    /// The kernel's side of everything.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Who owns its next stream.
    pub(crate) fn next_stream(&self) -> Owner {
        let number = self.streams.fetch_add(1, Relaxed);
        let object = Object::Stream(self.function.into(), number);
        Owner::new(self.owner.user(), object)
    }

    /// How far it has come.
    pub(crate) fn stage(&self) -> Stage {
        self.inner.lock().stage
    }

    /// Connects to the device. Gives the length of the device info in bytes. Sleeps.
    ///
    /// # Errors
    ///
    /// `EISCONN` if it is connected, or was; those of [`Talk::run`]. After these it may be called again,
    /// and goes on where it was if the device did not answer.
    pub(crate) fn connect(&self) -> Result<usize> {
        let mut inner = self.inner.lock();
        if !matches!(inner.stage, Stage::Created | Stage::Connecting) {
            if may_tell_misuse() {
                pr_warn!(
                    "{}: is connected, or was, and is so once only: make another session\n",
                    self.owner
                );
            }
            return Err(errno!(EISCONN));
        }
        let connected = inner.session(self.id(), Task::Connect);
        inner.stage = match inner.stage {
            _ if inner.talk.has_succeeded() => Stage::Connected,
            Stage::Created if !inner.talk.was_executed() => Stage::Created,
            _ => Stage::Connecting,
        };
        let len = connected?;
        inner.info = inner.talk.device_info(len)?;
        if may_tell_news() {
            pr_info!("{}: connected, {} bytes of device info\n", self.owner, len);
        }
        Ok(len)
    }

    /// Keeps the session alive, changes its key, or asks for the device info once more. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not connected; those of [`Talk::run`].
    pub(crate) fn manage(&self, operation: Management) -> Result {
        let mut inner = self.inner.lock();
        self.connected(&inner)?;
        let len = inner.session(self.id(), Task::Manage(operation))?;
        if operation == Management::DeviceInfo {
            inner.info = inner.talk.device_info(len)?;
        }
        Ok(())
    }

    /// Copies what fits of the device info, from byte `offset` on; gives how much that was. Sleeps.
    pub(crate) fn device_info(&self, offset: usize, to: &mut [u8]) -> usize {
        let inner = self.inner.lock();
        let from = inner.info.get(offset..).unwrap_or(&[]);
        let len = from.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
        len
    }

    /// Disconnects, which is done at the end else. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not connected; `EBUSY` while it has streams, which could not be deleted any
    /// more; those of [`Talk::run`].
    pub(crate) fn disconnect(&self) -> Result {
        let mut inner = self.inner.lock();
        self.connected(&inner)?;
        let alive = self.alive.load(Relaxed);
        if alive != 0 {
            if may_tell_misuse() {
                pr_warn!(
                    "{}: has {} streams: end them before it is disconnected\n",
                    self.owner,
                    alive
                );
            }
            return Err(EBUSY);
        }
        inner.disconnect(self.id())
    }

    /// An exchange for the stream with this id; and whether its leaf was executed.
    pub(super) fn manage_keys(&self, stream: u64, operation: KeyManagement) -> (Result, bool) {
        let mut inner = self.inner.lock();
        if let Err(error) = self.connected(&inner) {
            return (Err(error), false);
        }
        let Inner { door, talk, .. } = &mut *inner;
        let managed = talk.run(self.id(), Errand::Stream(stream, operation, door));
        (managed.map(drop), talk.was_executed())
    }

    /// A stream's hold on it. Fails unless it is connected.
    pub(super) fn hold(self: &Arc<Self>) -> Result<Hold<T>> {
        let inner = self.inner.lock();
        self.connected(&inner)?;
        self.alive.add(1, Relaxed);
        Ok(Hold(self.clone()))
    }

    fn connected(&self, inner: &Inner<T>) -> Result {
        if inner.stage == Stage::Connected {
            return Ok(());
        }
        if may_tell_misuse() {
            pr_warn!("{}: is not connected: connect it first\n", self.owner);
        }
        Err(EINVAL)
    }
}

impl<T: Transport> Inner<T> {
    /// Runs an exchange. One whose message the device has not answered is brought to its end first:
    /// it has the slot.
    fn session(&mut self, id: u64, task: Task) -> Result<usize> {
        let Self { door, talk, .. } = self;
        let mut slot = door.enter();
        if let Some(left) = talk.left_over().filter(|left| *left != task) {
            talk.run(id, Errand::Session(left, &mut slot))?;
        }
        talk.run(id, Errand::Session(task, &mut slot))
    }

    /// One that fails may be tried again.
    fn disconnect(&mut self, id: u64) -> Result {
        self.session(id, Task::Disconnect)?;
        self.stage = Stage::Disconnected;
        Ok(())
    }

    /// There is no later time for it: waits for a TDX Module that is busy, or not ready. It has told
    /// why, if it fails; TDH.SPDM.DELETE says whether it mattered.
    fn disconnect_at_the_end(&mut self, kernel: &Kernel, id: u64) {
        let begin = Instant::now();
        while self.disconnect(id).is_err() && !self.talk.was_executed() && kernel.seam().wait(begin)
        {
        }
    }
}

/// What a stream has of its session: neither its end nor its disconnection comes before that is
/// dropped.
pub(super) struct Hold<T: Transport>(Arc<Session<T>>);

impl<T: Transport> Deref for Hold<T> {
    type Target = Session<T>;

    fn deref(&self) -> &Session<T> {
        &self.0
    }
}

impl<T: Transport> Drop for Hold<T> {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Relaxed);
    }
}

/// Tells that there is no memory for an object.
pub(super) fn no_memory(owner: &Owner) {
    if may_tell() {
        pr_err!("{}: no memory for it, nothing was handed over\n", owner);
    }
}

/// Tells why a CREATE did not do it. The error to return.
pub(super) fn not_created<M>(owner: &Owner, leaf: Leaf, error: HandOverError<M>) -> Error {
    match error {
        HandOverError::Back(_memory, status) => {
            if may_tell() {
                pr_err!(
                    "{}: not made, {} answered {}; its memory is back\n",
                    owner,
                    leaf,
                    status
                );
            }
            match status.masked() {
                Status::SPDM_ENTRY_ALREADY_PRESENT => EEXIST,
                Status::IOMMU_INVALID_STATE => ENODEV,
                _ if status.is_recoverable() => EBUSY,
                _ => EIO,
            }
        }
        HandOverError::Refused(_memory, why) => {
            if may_tell() {
                pr_err!("{}: not made: {}\n", owner, why.text());
            }
            why.into()
        }
        // The ledger has said it.
        HandOverError::Settled(_settled) => EIO,
    }
}

#[pinned_drop]
impl<T: Transport> PinnedDrop for Session<T> {
    fn drop(self: Pin<&mut Self>) {
        let kernel = &self.kernel;
        // Nobody else has it any more; the lock is for the compiler.
        let mut inner = self.inner.lock();
        if inner.stage == Stage::Connected {
            inner.disconnect_at_the_end(kernel, self.id());
        }
        let Some(pages) = inner.pages.take() else {
            return;
        };
        let ending = Ending {
            kernel,
            owner: &self.owner,
            id: &self.id,
            leaf: Leaf::SPDM_DELETE,
        };
        let release = |pages| ending.release(pages, |id, list| delete(kernel, id, list));
        let pages = match release(pages) {
            // Perhaps it was connected, whatever was said of that.
            Err(ReleaseError::StillHeld(pages, status))
                if inner.stage == Stage::Connecting
                    && !status.is_not_executed()
                    && self.id.take_back() =>
            {
                inner.disconnect_at_the_end(kernel, self.id());
                release(pages)
            }
            released => released,
        };
        ending.told(pages);
    }
}

fn delete<'id>(kernel: &Kernel, id: u64, pages: Recorded<'id, Blocks>) -> Answer<'id> {
    match pages.list(kernel.root()) {
        Ok(listed) => kernel.seam().spdm_delete(id, listed),
        Err(answer) => answer,
    }
}
