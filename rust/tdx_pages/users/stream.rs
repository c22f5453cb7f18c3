// SPDX-License-Identifier: GPL-2.0

//! An IDE stream under a session.

use super::{
    ending::{
        may_pass,
        Ending, //
    },
    registry::Owner,
    session::{
        no_memory,
        not_created,
        Hold,
        Session, //
    },
    talk::Transport, //
};
use crate::abi::{
    ide::{
        KeyManagement,
        StreamControl,
        StreamInfo, //
    },
    ide_range::{
        AddressRange,
        RidRange, //
    },
    Leaf,
    Status, //
};
use crate::custody::{
    memory::{
        Memory,
        Platform, //
    },
    transitions::{
        hand_over,
        Held,
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
    may_tell_misuse, //
};
use crate::seam::ids::{
    Id,
    Room,
    Space, //
};
use crate::seam::{
    call::StreamOperands,
    metadata, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        UniqueArc, //
    },
    time::Instant, //
};

/// What a stream is to be like. Fields that must be zero cannot be set.
#[derive(Clone, Copy)]
pub(crate) struct StreamOptions {
    /// Device (7:3) and function (2:0) of the root port.
    pub(crate) root_port: u8,
    /// The control register.
    pub(crate) control: StreamControl,
    /// Requester ids that belong to the stream.
    pub(crate) rids: RidRange,
    /// Addresses that do.
    pub(crate) addresses: AddressRange,
    /// Where its memory comes from: best the node of the root port.
    pub(crate) node: Node,
}

/// A stream; to be held in an [`Arc`]. When it is dropped its keys are stopped, it is blocked and
/// deleted: whatever was built by then.
#[pin_data(PinnedDrop)]
pub(crate) struct Stream<T: Transport> {
    owner: Owner,
    id: Id,
    ide_id: u64,
    pages: usize,
    node: Option<i32>,
    /// Held over an exchange, so that the keys are known. Before the locks of the session in the
    /// order of locks.
    #[pin]
    inner: Mutex<Inner>,
    // The last: it must not go before the stream has.
    session: Hold<T>,
}

struct Inner {
    keys: Keys,
    // `None` once it has been deleted.
    pages: Option<Held<Blocks, Kernel>>,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It has no keys.
    None,
    /// It may have: they were asked for, and that has not come to a good end.
    Begun,
    /// It has.
    SetUp,
    /// They were stopped; after that only its end is left.
    Stopped,
}

impl<T: Transport> Stream<T> {
    /// Makes a stream under a session that is connected. The root port is programmed by it, but
    /// not enabled. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the session is not connected; `EIO`, `EBUSY`, `ENOMEM`, `ESHUTDOWN`. Each is told
    /// in one line, and no page is lost.
    pub(crate) fn new(session: &Arc<Session<T>>, options: &StreamOptions) -> Result<Arc<Self>> {
        let session = session.hold()?;
        let kernel = session.kernel();
        let owner = session.next_stream();
        let pages = metadata::ide_mt_pages(kernel.seam())?;
        let parts = || {
            // All that is needed later as well: there is no way back without the object.
            let place = UniqueArc::<Self>::new_uninit(GFP_KERNEL)?;
            Ok((Blocks::new(pages, options.node)?, Room::new()?, place))
        };
        let (memory, room, place) = parts().inspect_err(|_: &Error| no_memory(&owner))?;
        let operands = StreamOperands {
            info: StreamInfo::selective(options.root_port),
            control: options.control,
            rids: options.rids.images(),
            addresses: options.addresses.images(),
        };
        let (count, node) = (memory.pages(), memory.node());
        let (mut id, mut ide_id) = (0, 0);
        let leaf = Leaf::IDE_STREAM_CREATE;
        let held = hand_over(kernel, &owner, memory, leaf, |recorded| {
            match recorded.list(kernel.root()) {
                Ok(listed) => {
                    let answer;
                    let seam = kernel.seam();
                    (answer, id, ide_id) = seam.ide_stream_create(session.id(), operands, listed);
                    answer
                }
                Err(answer) => answer,
            }
        });
        let held = held.map_err(|error| not_created(&owner, leaf, error))?;
        let space = Space::Stream {
            session: session.id(),
        };
        let Some(id) = room.take(kernel, &owner, space, id) else {
            if may_tell() {
                pr_err!(
                    "{}: the TDX Module calls it {:#x}, as it calls another one: not used, its pages stay out of use\n",
                    owner,
                    id
                );
            }
            held.quarantine(Why::WrongId, leaf, Status::SUCCESS);
            return Err(EIO);
        };
        let inner = Inner {
            keys: Keys::None,
            pages: Some(held),
        };
        let stream = place.pin_init_with(pin_init!(Self {
            owner,
            id,
            ide_id,
            pages: count,
            node,
            inner <- new_mutex!(inner),
            session,
        }));
        match stream {
            Ok(stream) => Ok(stream.into()),
            Err(never) => match never {},
        }
    }

    /// What the TDX Module calls it.
    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }

    /// Its IDE stream id at the root port.
    pub(crate) fn ide_id(&self) -> u64 {
        self.ide_id
    }

    /// The number of its control pages.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// The NUMA node that they came from.
    pub(crate) fn node(&self) -> Option<i32> {
        self.node
    }

    /// Programs keys at both ends and enables the root port. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that was done before, or its session is not connected any more; those of
    /// [`Talk::run`](super::talk::Talk::run).
    pub(crate) fn set_up_keys(&self) -> Result {
        self.manage(
            &[Keys::None, Keys::Begun],
            Keys::SetUp,
            KeyManagement::SetUp,
        )
    }

    /// Changes the keys. Sleeps. The errors are as above.
    pub(crate) fn refresh_keys(&self) -> Result {
        self.manage(&[Keys::SetUp], Keys::SetUp, KeyManagement::Refresh)
    }

    /// Stops the keys; only its end is left then. Sleeps. The errors are as above.
    pub(crate) fn stop_keys(&self) -> Result {
        self.manage(
            &[Keys::SetUp, Keys::Begun],
            Keys::Stopped,
            KeyManagement::Stop,
        )
    }

    fn manage(&self, from: &[Keys], to: Keys, operation: KeyManagement) -> Result {
        let mut inner = self.inner.lock();
        if !from.contains(&inner.keys) {
            if may_tell_misuse() {
                pr_warn!(
                    "{}: {:?} does not go with its keys, which are {:?}\n",
                    self.owner,
                    operation,
                    inner.keys
                );
            }
            return Err(EINVAL);
        }
        let (managed, executed) = self.session.manage_keys(self.id(), operation);
        if managed.is_ok() {
            inner.keys = to;
        } else if executed && inner.keys == Keys::None {
            // What was begun is stopped at the end.
            inner.keys = Keys::Begun;
        }
        managed
    }
}

#[pinned_drop]
impl<T: Transport> PinnedDrop for Stream<T> {
    fn drop(self: Pin<&mut Self>) {
        let (id, session) = (self.id(), &self.session);
        let kernel = session.kernel();
        // Nobody else has it any more; the lock is for the compiler.
        let mut inner = self.inner.lock();
        let Some(pages) = inner.pages.take() else {
            return;
        };
        if matches!(inner.keys, Keys::Begun | Keys::SetUp) {
            // It has told why, if it fails; BLOCK says whether it mattered.
            let _ = session.manage_keys(id, KeyManagement::Stop);
        }
        let begin = Instant::now();
        let (blocked, status) = loop {
            let (blocked, status) = kernel.seam().ide_stream_block(session.id(), id);
            if blocked || !may_pass(status) || !kernel.seam().wait(begin) {
                break (blocked, status);
            }
        };
        if !blocked {
            // DELETE wants it blocked, and a stream that may still carry traffic keeps its pages.
            let leaf = Leaf::IDE_STREAM_BLOCK;
            pages.quarantine(Why::ReleaseFailed, leaf, status);
            return;
        }
        let ending = Ending {
            kernel,
            owner: &self.owner,
            id: &self.id,
            leaf: Leaf::IDE_STREAM_DELETE,
        };
        let released = ending.release(pages, |id, recorded| match recorded.list(kernel.root()) {
            Ok(listed) => kernel.seam().ide_stream_delete(session.id(), id, listed),
            Err(answer) => answer,
        });
        ending.told(released);
    }
}
