//! The way to an origin: a connection to it, and one within the sidecar by which requests get there.
//!
//! An engine carries a connection between two sockets. So each origin that a client asks is given a
//! connection of its own over loopback, on which the engine sees an ordinary client of that origin.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use remora_store::call::CallError;
use tokio::net::{TcpListener, TcpStream};

use super::refusal::Unreached;
use super::target::Origin;
use crate::connection::{Dialled, Leash, Plane, connect_to, dial_error};
use crate::socket;

/// Most addresses of a name that are tried, one after the other.
const ADDRESSES: usize = 16;

/// An origin that was not reached.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: Unreached,
    /// The address that was tried last; `None` where there was none to try.
    pub(super) tried: Option<SocketAddr>,
}

/// Connects to an origin; `own` are the addresses of the proxy itself.
pub(super) async fn reach(
    plane: &Rc<Plane>,
    origin: &Origin,
    own: &[SocketAddr],
) -> Result<Dialled, Failure> {
    let mut failure = Failure {
        why: Unreached::NoName,
        tried: None,
    };
    for address in addresses(origin).await {
        failure.tried = Some(address);
        if own.contains(&socket::canonical(address)) {
            failure.why = Unreached::Loop;
            break;
        }
        match connect_to(plane, address).await {
            Ok(server) => return Ok(server),
            Err(err) => failure.why = Unreached::Connect(dial_error(&err)),
        }
    }
    Err(failure)
}

async fn addresses(origin: &Origin) -> Vec<SocketAddr> {
    if let Ok(ip) = origin.host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, origin.port)];
    }
    match tokio::net::lookup_host((origin.host.as_str(), origin.port)).await {
        Ok(found) => found.take(ADDRESSES).collect(),
        Err(err) => {
            tracing::debug!(host = origin.host, error = %err, "a name was not found");
            Vec::new()
        }
    }
}

impl Failure {
    /// The failure as a record names it.
    pub(super) fn error(&self) -> CallError {
        match self.why {
            Unreached::Connect(error) => error,
            Unreached::NoName | Unreached::Loop => CallError::ConnectFailed,
        }
    }
}

/// A client's way to one origin.
pub(super) struct Hop {
    pub(super) origin: Origin,
    /// The client's end of the connection over loopback.
    pub(super) near: Leash,
}

impl Hop {
    /// Whether it stands and nothing has come on it that nobody asked for.
    pub(super) fn is_idle(&self) -> bool {
        let mut room = [0; 1];
        matches!(
            socket::read_some(&self.near.stream, &mut room),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock
        )
    }
}

/// Two ends of a connection over loopback.
pub(super) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let dialling = socket::dial(listener.local_addr()?)?;
    let own = dialling.local_address()?;
    let (near, far) = tokio::try_join!(dialling.finish(), async {
        loop {
            // Others may connect to any port.
            let (far, peer) = listener.accept().await?;
            if peer == own {
                far.set_nodelay(true)?;
                return Ok(far);
            }
        }
    })?;
    Ok((near, far))
}
