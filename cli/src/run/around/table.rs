//! The kernel's tables of TCP sockets (`/proc/PID/net/tcp` and `tcp6`), read. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) state: State,
    pub(super) inode: u64,
}

/// As far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The connection stands.
    Connected,
    Listening,
}

/// The sockets of a table that are in one of these states.
pub(super) fn sockets(table: &str) -> impl Iterator<Item = Socket> {
    table.lines().skip(1).filter_map(socket)
}

fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace().skip(1);
    let local = address(words.next()?)?;
    let remote = address(words.next()?)?;
    let state = match words.next()? {
        "01" => State::Connected,
        "0A" => State::Listening,
        _ => return None,
    };
    // Queues, timer, retransmissions, user, timeouts.
    let inode = words.nth(5)?.parse().ok()?;
    Some(Socket {
        local,
        remote,
        state,
        inode,
    })
}

/// An address in hex: words of 32 bits in the order of the machine, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let bytes: [u8; 16] = bytes.try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0
   1: 0100007F:A3F2 0100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0
   2: 0100007F:A3F3 0100007F:1538 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0
   3: 0000000000000000FFFF00000100007F:A3F4 0000000000000000FFFF00000100007F:1538 01 0:0 0:0 0 0 0 44 1
   4: odd
";
        let found: Vec<_> = sockets(table)
            .map(|it| {
                (
                    it.local.to_string(),
                    it.remote.to_string(),
                    it.state,
                    it.inode,
                )
            })
            .collect();
        let line = |local: &str, remote: &str, state, inode| {
            (local.to_owned(), remote.to_owned(), state, inode)
        };
        assert_eq!(
            found,
            [
                line("127.0.0.1:8080", "0.0.0.0:0", State::Listening, 42),
                line("127.0.0.1:41970", "127.0.0.1:5432", State::Connected, 43),
                line("127.0.0.1:41972", "127.0.0.1:5432", State::Connected, 44),
            ]
        );
    }
}
