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
use crate::connection::{Dialled, Leash, Plane, addresses, connect_to_any, dial_error};
use crate::socket;

/// An origin that was not reached.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: Unreached,
    /// The address that was tried last; `None` where there was none to try.
    pub(super) tried: Option<SocketAddr>,
}

/// Connects to an origin; `own` are the addresses of the proxy itself, which end the attempts.
pub(super) async fn reach(
    plane: &Rc<Plane>,
    origin: &Origin,
    own: &[SocketAddr],
) -> Result<Dialled, Failure> {
    let addresses = addresses_of(origin).await;
    let is_own = |address: &SocketAddr| own.contains(&socket::canonical(*address));
    let itself = addresses.iter().copied().find(is_own);
    let before = addresses.split(is_own).next().unwrap_or_default();
    let failed = match connect_to_any(plane, before).await {
        Ok(server) => return Ok(server),
        Err(failed) => failed,
    };
    let (why, tried) = match (itself, failed) {
        (Some(itself), _) => (Unreached::Loop, Some(itself)),
        (None, Some((address, err))) => (Unreached::Connect(dial_error(&err)), Some(address)),
        (None, None) => (Unreached::NoName, None),
    };
    Err(Failure { why, tried })
}

async fn addresses_of(origin: &Origin) -> Vec<SocketAddr> {
    if let Ok(ip) = origin.host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, origin.port)];
    }
    let name = (origin.host.as_str(), origin.port);
    addresses(name).await.unwrap_or_else(|err| {
        tracing::debug!(host = origin.host, error = %err, "a name was not found");
        Vec::new()
    })
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
