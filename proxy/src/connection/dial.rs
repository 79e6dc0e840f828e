//! Connections to servers: by address, or by a name with whichever of its addresses answers first.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use remora_store::call::CallError;
use tokio::net::{TcpStream, ToSocketAddrs};

use super::attempts::{first, in_turn};
use super::{Leash, Plane};
use crate::config::Upstream;
use crate::link::Link;
use crate::socket;

/// A connection that the sidecar made.
pub(crate) struct Dialled {
    /// Where the server is.
    pub(crate) address: SocketAddr,
    /// The name that it was looked up by, with the port.
    pub(super) called: Option<Arc<str>>,
    pub(super) leash: Leash,
    pub(super) local: Local,
}

/// An address of the sidecar's, known as such for as long as this lives.
pub(super) struct Local {
    pub(super) plane: Rc<Plane>,
    pub(super) address: SocketAddr,
}

impl Local {
    fn new(plane: &Rc<Plane>, address: SocketAddr) -> Self {
        plane.dialled.borrow_mut().insert(address);
        Self {
            plane: Rc::clone(plane),
            address,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.plane.dialled.borrow_mut().remove(&self.address);
    }
}

/// Connects to the server, unless the client breaks off first.
pub(super) async fn dial(
    plane: &Rc<Plane>,
    upstream: &Upstream,
    client: &TcpStream,
) -> Result<Dialled, CallError> {
    tokio::select! {
        biased;
        dialled = connect(plane, upstream) => dialled.map_err(|err| dial_error(&err)),
        () = Link::Plain(client).reset_by_peer() => Err(CallError::ClientReset),
    }
}

async fn connect(plane: &Rc<Plane>, upstream: &Upstream) -> io::Result<Dialled> {
    match upstream {
        Upstream::Address(address) => connect_to(plane, *address).await,
        // Boxed, so that connections to an address stay small.
        Upstream::Name(name) => Box::pin(connect_by_name(plane, name.as_str())).await,
    }
}

async fn connect_by_name(plane: &Rc<Plane>, name: &str) -> io::Result<Dialled> {
    let addresses = addresses(name).await?;
    match connect_to_any(plane, &addresses).await {
        Ok(dialled) => Ok(Dialled {
            called: Some(name.into()),
            ..dialled
        }),
        Err(Some((_, err))) => Err(err),
        Err(None) => Err(io::Error::other("the name has no address")),
    }
}

/// The addresses of a name, in the order in which they are to be tried.
pub(crate) async fn addresses(name: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    Ok(in_turn(tokio::net::lookup_host(name).await?))
}

/// Connects to the first of these addresses that answers. Fails as the one that failed last; `None` where there
/// is none.
pub(crate) async fn connect_to_any(
    plane: &Rc<Plane>,
    addresses: &[SocketAddr],
) -> Result<Dialled, Option<(SocketAddr, io::Error)>> {
    first(addresses, async |address| connect_to(plane, address).await).await
}

/// Connects to an address, with no timeout but the kernel's.
pub(super) async fn connect_to(plane: &Rc<Plane>, address: SocketAddr) -> io::Result<Dialled> {
    let dialling = socket::dial(address)?;
    // Noted before anything is awaited: if the rules lead the connection back here, it is
    // recognised when it is accepted.
    let local = Local::new(plane, dialling.local_address()?);
    let stream = dialling.finish().await?;
    Ok(Dialled {
        address,
        called: None,
        leash: Leash::new(stream),
        local,
    })
}

/// What a failure to connect is called in a record.
pub(crate) fn dial_error(err: &io::Error) -> CallError {
    match err.kind() {
        io::ErrorKind::ConnectionRefused => CallError::ConnectRefused,
        io::ErrorKind::TimedOut => CallError::ConnectTimeout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            CallError::ConnectUnreachable
        }
        // It connected, and was reset before anybody looked.
        io::ErrorKind::ConnectionReset => CallError::ServerReset,
        _ => CallError::ConnectFailed,
    }
}
