// SPDX-License-Identifier: GPL-2.0

//! What a handle stands for.

use super::{
    array::Array,
    handle::Kind,
    iommu::Unit,
    session::Doe,
    user::Registered, //
};
use crate::users::{
    registry::Function,
    session::Session,
    stream::Stream, //
};
use kernel::{
    fmt,
    sync::Arc, //
};

/// What a handle stands for.
pub(super) enum Item {
    User(Arc<Registered>),
    Array(Arc<Array>),
    Iommu(Arc<Unit>),
    Session(Arc<Session<Doe>>),
    Stream(Arc<Stream<Doe>>),
}

/// An object that can have a handle.
pub(super) trait Known: Sized {
    /// Its kind.
    const KIND: Kind;
    /// As an item.
    fn item(object: Arc<Self>) -> Item;
    /// From an item.
    fn of(item: &Item) -> Option<&Arc<Self>>;
}

macro_rules! known {
    ($($kind:ident: $type:ty),+ $(,)?) => {
        $(
            impl Known for $type {
                const KIND: Kind = Kind::$kind;

                fn item(object: Arc<Self>) -> Item {
                    Item::$kind(object)
                }

                fn of(item: &Item) -> Option<&Arc<Self>> {
                    match item {
                        Item::$kind(object) => Some(object),
                        _ => None,
                    }
                }
            }
        )+
    };
}

known! {
    User: Registered,
    Array: Array,
    Iommu: Unit,
    Session: Session<Doe>,
    Stream: Stream<Doe>,
}

/// Pages of an object, and the NUMA node of the first one.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// The number of pages.
    pub(crate) pages: usize,
    /// The node.
    pub(crate) node: Option<i32>,
}

impl Item {
    /// Takes no lock. [`None`] for a user.
    pub(super) fn extent(&self) -> Option<Extent> {
        let (pages, node) = match self {
            Self::User(_) => return None,
            Self::Array(array) => (array.pages(), array.node()),
            Self::Iommu(unit) => (unit.iommu().pages(), unit.iommu().node()),
            Self::Session(session) => (session.pages(), session.node()),
            Self::Stream(stream) => (stream.pages(), stream.node()),
        };
        Some(Extent { pages, node })
    }
}

impl fmt::Display for Item {
    /// What it is with, as a person would look for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(registered) => f.write_str(registered.name()),
            Self::Array(array) => write!(f, "{} pages", array.pages()),
            Self::Iommu(unit) => write!(f, "{:#x}", unit.reg_base()),
            Self::Session(session) => Function::from(session.function()).fmt(f),
            Self::Stream(stream) => write!(f, "IDE stream {:#x}", stream.ide_id()),
        }
    }
}
