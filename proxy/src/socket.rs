//! Socket options: what a connection needs from the kernel beside reading and writing.
//!
//! Owns the original destination, resets, keepalive, dual-stack listening and the limit of open
//! files. Everything goes through safe wrappers; this crate has no `unsafe`.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::SendFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How long a connection is silent before the kernel asks whether its peer still lives.
///
/// Both legs get it, because the application's own setting cannot be seen from here.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Listens on `address` without blocking; an IPv6 wildcard takes IPv4 as well, and becomes an IPv4 wildcard where
/// the machine has no IPv6.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_on(address) {
        Err(err) if is_ipv6_wildcard(address) && lacks_ipv6(&err) => {
            listen_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        outcome => outcome,
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!is_ipv6_wildcard(address))?;
    }
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these on Linux, which saves two calls per connection.
    tune(SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_ipv6_wildcard(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn lacks_ipv6(err: &io::Error) -> bool {
    matches!(
        err.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
    )
}

/// A connection that is being made.
pub(crate) struct Dialling(TcpStream);

/// Begins to connect to `address`, with no timeout but the kernel's.
pub(crate) fn dial(address: SocketAddr) -> io::Result<Dialling> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    tune(SockRef::from(&socket))?;
    match socket.connect(&address.into()) {
        Err(err) if err.raw_os_error() != Some(libc::EINPROGRESS) => return Err(err),
        _ => {}
    }
    TcpStream::from_std(socket.into()).map(Dialling)
}

impl Dialling {
    /// The address that the server will see; it is known from the start.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr().map(canonical)
    }

    /// Waits until the connection stands.
    pub(crate) async fn finish(self) -> io::Result<TcpStream> {
        self.0.writable().await?;
        match self.0.take_error()? {
            Some(err) => Err(err),
            None => Ok(self.0),
        }
    }
}

/// Small messages leave at once, and dead peers are noticed.
fn tune(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))
}

/// Where the client was going before a redirect rule sent it here.
///
/// Fails where no rule redirected the connection and the kernel does not track it.
pub(crate) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let socket = SockRef::from(stream);
    // An IPv4 connection to a dual-stack listener has an IPv6 socket but IPv4 tracking.
    let found = if canonical(stream.local_addr()?).is_ipv4() {
        socket.original_dst_v4()?
    } else {
        socket.original_dst_v6()?
    };
    found
        .as_socket()
        .map(canonical)
        .ok_or_else(|| io::Error::other("the original destination is not an IP address"))
}

/// The address without the wrapping that an IPv6 socket puts around an IPv4 one.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Makes the coming close a reset, and drops what was not sent.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // It can only fail on a descriptor that is not a socket.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Ends the sending direction: the peer reads the end of the stream.
pub(crate) fn finish_sending(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).shutdown(Shutdown::Write)
}

/// Reads what has come. A short read says that the socket is empty, so the runtime is told at once
/// to wait for the next event, which saves the read that would only find out.
pub(crate) fn read_some(from: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let mut count = None;
    let outcome = from.try_io(Interest::READABLE, || {
        let read = retry_on_intr(|| rustix::io::read(from, &mut *room))?;
        count = Some(read);
        if 0 < read && read < room.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    count.map_or_else(|| outcome.map(|()| 0), Ok)
}

/// Writes what the socket takes now, which may be nothing.
pub(crate) fn write_some(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    let outcome = to.try_io(Interest::WRITABLE, || {
        written = retry_on_intr(|| rustix::net::send(to, bytes, SendFlags::NOSIGNAL))?;
        if written < bytes.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match outcome {
        Err(err) if err.kind() != io::ErrorKind::WouldBlock => Err(err),
        _ => Ok(written),
    }
}

/// Raises the limit of open files to what the system allows, and says what it is now.
///
/// Each connection takes two descriptors, and the usual limit of 1,024 is soon reached.
pub(crate) fn raise_open_files_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Whether the process or the system has run out of what a new connection needs.
pub(crate) fn is_exhausted(err: &io::Error) -> bool {
    matches!(
        err.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_loses_its_ipv6_wrapping() {
        let wrapped = "[::ffff:10.0.0.1]:80".parse().unwrap();
        assert_eq!(canonical(wrapped), "10.0.0.1:80".parse().unwrap());
        let plain = "[fd00::1]:80".parse().unwrap();
        assert_eq!(canonical(plain), plain);
    }

    #[tokio::test]
    async fn a_wildcard_listener_takes_ipv4() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (dialled, accepted) = tokio::join!(dial(target).unwrap().finish(), listener.accept());
        let local = dialled.unwrap().local_addr().unwrap();
        assert_eq!(canonical(accepted.unwrap().1), local);
    }
}
