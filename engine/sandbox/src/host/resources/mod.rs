//! What a guest holds a handle to: uploads, exchanges and connections. The generated bindings name these types, so that nothing here
//! may use the bindings; the calls on them are in the file of the interface that offers them.

mod connection;
mod exchange;
mod upload;

pub(crate) use self::connection::{Halves, Socket, Stream};
pub(crate) use self::exchange::{BROKEN, Error as ExchangeError, Shared as ExchangeShared};
pub(crate) use self::upload::Writing;
#[allow(unreachable_pub, reason = "the generated bindings re-export them")]
pub use self::{connection::Connection, exchange::Exchange, upload::Upload};
