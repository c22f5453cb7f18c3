// SPDX-License-Identifier: GPL-2.0

//! The registry: each user has a name, and what it holds is known under that name.
//!
//! A user is in the list from its registration until it is gone and has nothing on record any more.
//! The list is for looking at: counting goes by the [`Owner`] in each record, without a lock.

use super::account::{
    Account,
    Balance, //
};
use crate::abi::function::FunctionId;
use crate::platform::Kernel;
use crate::print::{
    may_tell,
    may_tell_misuse, //
};
use kernel::{
    fmt,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

/// What kind of user it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A part of this kernel module.
    Own,
    /// Another driver.
    Driver,
}

impl Kind {
    /// A word for people.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Driver => "driver",
        }
    }
}

/// A registered user.
pub(crate) struct User {
    name: CString,
    kind: Kind,
    account: Account,
    // Nobody speaks for it any more.
    gone: Atomic<bool>,
}

impl User {
    fn new(name: &str, kind: Kind) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                name: CString::try_from_fmt(fmt!("{name}"))?,
                kind,
                account: Account::default(),
                gone: Atomic::new(false),
            },
            GFP_KERNEL,
        )?)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.name.to_str().unwrap_or("?")
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its pages.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Whether it has unregistered, and something of it is on record still.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }
}

/// All users of one attachment.
#[pin_data]
pub(crate) struct Registry {
    /// The extension pool.
    pub(crate) ext_pool: Arc<User>,
    /// The IOMMU_MT of each IOMMU.
    pub(crate) iommu: Arc<User>,
    // A place for each, before it is needed: [`Registry::remove`] cannot fail.
    #[pin]
    drivers: Mutex<Drivers>,
}

struct Drivers {
    list: KVec<Arc<User>>,
    // What those said at last that are not listed any more.
    past: Balance,
}

impl Registry {
    /// This kernel module's own users.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            ext_pool: User::new("ext_pool", Kind::Own)?,
            iommu: User::new("iommu", Kind::Own)?,
            drivers <- new_mutex!(Drivers {
                list: KVec::new(),
                past: Balance::default(),
            }),
        })
    }

    fn add(&self, name: &str) -> Result<Arc<User>> {
        let valid = |byte: u8| byte.is_ascii_graphic();
        if name.is_empty() || name.len() > 32 || !name.bytes().all(valid) {
            if may_tell_misuse() {
                pr_warn!("a user's name has 1 to 32 visible characters and no blank\n");
            }
            return Err(EINVAL);
        }
        let user = User::new(name, Kind::Driver)?;
        let mut drivers = self.drivers.lock();
        let same = |other: &User| other.name() == name && !other.is_gone();
        if drivers.list.iter().any(|other| same(other)) || same(&self.ext_pool) || same(&self.iommu)
        {
            if may_tell_misuse() {
                pr_warn!("there is a user {} already: choose another name\n", name);
            }
            return Err(EEXIST);
        }
        drivers.list.push(user.clone(), GFP_KERNEL)?;
        Ok(user)
    }

    /// Nobody speaks for a user any more. It is not listed from the time on when nothing of it is on
    /// record.
    fn remove(&self, user: &Arc<User>) {
        user.gone.store(true, Relaxed);
        self.sweep();
    }

    /// Forgets users that are gone and of which nothing is on record.
    fn sweep(&self) {
        let mut drivers = self.drivers.lock();
        let Drivers { list, past } = &mut *drivers;
        list.retain(|user| {
            let balance = user.account().balance();
            let stays = !user.is_gone() || balance.on_record() != 0;
            if !stays {
                *past = past.plus(balance);
            }
            stays
        });
    }

    /// Calls `f` for each user, one after the other.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&User)) {
        self.sweep();
        f(&self.ext_pool);
        f(&self.iommu);
        for user in &self.drivers.lock().list {
            f(user);
        }
    }

    /// The sum of all accounts, of those that are gone as well.
    pub(crate) fn balance(&self) -> Balance {
        self.sweep();
        let drivers = self.drivers.lock();
        let own = [&self.ext_pool, &self.iommu];
        Iterator::chain(own.into_iter(), drivers.list.iter())
            .fold(drivers.past, |sum, user| sum.plus(user.account().balance()))
    }
}

/// A user's registration, until it is dropped.
///
/// Objects hold what they need of it, so it may go before them; what they hold stays known under
/// its name.
pub(crate) struct Registration {
    kernel: Kernel,
    user: Arc<User>,
}

impl Registration {
    /// Registers a user. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a name that cannot be, `EEXIST` for one that is in use, `ENOMEM`.
    pub(crate) fn new(kernel: &Kernel, name: &str) -> Result<Self> {
        Ok(Self {
            user: kernel.users().add(name)?,
            kernel: kernel.clone(),
        })
    }

    /// The kernel's side of everything.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The user.
    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let balance = self.user.account().balance();
        if balance.on_record() != 0 {
            if may_tell() {
                pr_warn!(
                    "{}: unregistered with {} pages held and {} in quarantine, which are tried again\n",
                    self.user.name(),
                    balance.held,
                    balance.quarantined
                );
            }
        }
        self.kernel.users().remove(&self.user);
    }
}

/// Which of its user's objects it is, as a person would look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// The only one.
    Only,
    /// That of the IOMMU with this register base, of the user that has no others.
    RegBase(u64),
    /// The IOMMU with this register base.
    Iommu(u64),
    /// The SPDM session with this function.
    Session(Function),
    /// The IDE stream with this number under it.
    Stream(Function, u32),
}

/// A function id in half the room, so that a record stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function(u32);

impl From<FunctionId> for Function {
    fn from(id: FunctionId) -> Self {
        Self(u32::from(id.segment()) << 16 | u32::from(id.rid()))
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (segment, rid) = (self.0 >> 16, self.0 & 0xffff);
        let (bus, device, function) = (rid >> 8, rid >> 3 & 0x1f, rid & 7);
        write!(f, "{segment:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

/// Who owns an object: a user, and which of its objects it is.
#[derive(Clone)]
pub(crate) struct Owner {
    user: Arc<User>,
    object: Object,
}

impl Owner {
    /// The owner of an object.
    pub(crate) fn new(user: &Arc<User>, object: Object) -> Self {
        Self {
            user: user.clone(),
            object,
        }
    }

    /// The user.
    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Which of its objects it is.
    pub(crate) fn object(&self) -> Object {
        self.object
    }

    /// The user's account.
    pub(crate) fn account(&self) -> &Account {
        &self.user.account
    }
}

impl PartialEq for Owner {
    /// Names may be used again, and the same object may be made again: it is the same user's, then.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.user, &other.user) && self.object == other.object
    }
}

impl Object {
    /// What it is, in one word.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Only => "pool",
            Self::RegBase(_) | Self::Iommu(_) => "iommu",
            Self::Session(_) => "session",
            Self::Stream(..) => "stream",
        }
    }
}

impl fmt::Display for Object {
    /// Which one it is; nothing where there is no other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => Ok(()),
            Self::RegBase(base) => write!(f, "{base:#x}"),
            Self::Iommu(base) => write!(f, "iommu {base:#x}"),
            Self::Session(function) => {
                f.write_str("session ")?;
                function.fmt(f)
            }
            Self::Stream(function, number) => {
                write!(f, "stream {number} of ")?;
                function.fmt(f)
            }
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user.name())?;
        if self.object != Object::Only {
            f.write_str(" ")?;
        }
        self.object.fmt(f)
    }
}
