//! Connections of the program that go around the proxy, and so are not recorded.
//!
//! They are looked for in the kernel's tables now and then, without any privilege. So what is found is true, and
//! a connection that was over before anybody looked is not found.

mod table;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::say::say;
use table::{Socket, State, sockets};

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(250);
/// Most processes, and most files and threads of each, that are looked at.
const PROCESSES: usize = 256;
const FILES: usize = 4096;
/// Most servers that are named.
const NAMED: usize = 8;

/// Names each server that the program, or a process of its own, is connected to other than by one of the
/// `known` addresses; until it is dropped.
pub(super) async fn name_servers(program: u32, known: &[SocketAddr]) -> Infallible {
    let mut named = BTreeSet::new();
    let mut watch = Watch::new(program, inodes(std::process::id()));
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        if named.len() >= NAMED {
            return std::future::pending().await;
        }
        for server in watch.look() {
            if named.len() < NAMED && !known.contains(&server) && named.insert(server) {
                say!("a connection to {server} goes around the proxy and is not recorded");
            }
        }
    }
}

/// A process and those beneath it.
struct Watch {
    program: u32,
    /// Sockets that it did not open. It may listen on one all the same, as a server does that is passed its socket.
    inherited: BTreeSet<u64>,
    /// Ports that it listened on at some time: what is connected there was accepted.
    listened: BTreeSet<u16>,
}

impl Watch {
    fn new(program: u32, inherited: impl IntoIterator<Item = u64>) -> Self {
        Self {
            program,
            inherited: inherited.into_iter().collect(),
            listened: BTreeSet::new(),
        }
    }

    /// The servers that it is connected to now.
    fn look(&mut self) -> Vec<SocketAddr> {
        let opened: BTreeSet<u64> = family(self.program).into_iter().flat_map(inodes).collect();
        let table = |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", self.program));
        let tables = ["tcp", "tcp6"].map(|name| table(name).unwrap_or_default());
        let own: Vec<Socket> = tables
            .iter()
            .flat_map(|table| sockets(table))
            .filter(|it| opened.contains(&it.inode))
            .collect();
        let listening = own.iter().filter(|it| it.state == State::Listening);
        self.listened.extend(listening.map(|it| it.local.port()));
        let connected = own.iter().filter(|it| it.state == State::Connected);
        connected
            .filter(|it| !self.inherited.contains(&it.inode))
            .filter(|it| !self.listened.contains(&it.local.port()))
            .map(|it| it.remote)
            .collect()
    }
}

/// A process and those that it started, as far as they are still beneath it.
fn family(program: u32) -> Vec<u32> {
    let mut family = vec![program];
    let mut next = 0;
    while let Some(id) = family
        .get(next)
        .copied()
        .filter(|_| family.len() < PROCESSES)
    {
        family.extend(children(id));
        next += 1;
    }
    family
}

/// What the threads of a process have started.
fn children(id: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else {
        return Vec::new();
    };
    let lists = threads.take(FILES).filter_map(|thread| {
        let path = thread.ok()?.path().join("children");
        fs::read_to_string(path).ok()
    });
    let started = lists.flat_map(|list| {
        let ids = list.split_whitespace().map(str::parse);
        ids.filter_map(Result::ok).collect::<Vec<_>>()
    });
    started.collect()
}

/// The sockets that a process has open.
fn inodes(id: u32) -> Vec<u64> {
    let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else {
        return Vec::new();
    };
    let links = files
        .take(FILES)
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let sockets = links.filter_map(|link| {
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inode.parse().ok()
    });
    sockets.collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_that_was_made_is_told_from_one_that_was_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let client = TcpStream::connect(server).unwrap();
        let accepted = listener.accept().unwrap();
        let mut watch = Watch::new(std::process::id(), None);
        let found = watch.look();
        assert!(found.contains(&server), "{found:?}");
        assert!(!found.contains(&client.local_addr().unwrap()), "{found:?}");
        // One that goes on after its listener is still one that was accepted.
        drop(listener);
        assert!(!watch.look().contains(&client.local_addr().unwrap()));
        drop((client, accepted));
        assert!(!watch.look().contains(&server));
    }

    #[test]
    fn what_was_accepted_at_a_socket_that_was_inherited_is_nobodys_way_around() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let mut watch = Watch::new(std::process::id(), inodes(std::process::id()));
        let client = TcpStream::connect(server).unwrap();
        let _accepted = listener.accept().unwrap();
        let found = watch.look();
        assert!(found.contains(&server), "{found:?}");
        assert!(!found.contains(&client.local_addr().unwrap()), "{found:?}");
    }

    #[test]
    fn a_socket_that_was_inherited_is_nobodys_way_around() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let _client = TcpStream::connect(server).unwrap();
        let own = inodes(std::process::id());
        let found = Watch::new(std::process::id(), own).look();
        assert!(!found.contains(&server), "{found:?}");
    }
}
