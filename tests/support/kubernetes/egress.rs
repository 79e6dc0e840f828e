//! The way from the API server to the webhooks of its Services, which no node is there to route: it asks for a
//! tunnel, and gets one to a port of this machine.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where tunnels lead, whatever Service they are for.
#[derive(Clone)]
pub struct Egress {
    socket: PathBuf,
    targets: Arc<Mutex<Vec<u16>>>,
}

impl Egress {
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("egress");
        let listener = UnixListener::bind(&socket).unwrap();
        let targets = Arc::new(Mutex::new(Vec::<u16>::new()));
        let of_thread = Arc::clone(&targets);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // In turn, as a Service has it.
                let target = {
                    let mut targets = of_thread.lock().unwrap();
                    if !targets.is_empty() {
                        targets.rotate_left(1);
                    }
                    targets.first().copied()
                };
                thread::spawn(move || tunnel(client, target));
            }
        });
        Self { socket, targets }
    }

    /// What the API server is told of it.
    pub fn configuration(&self) -> String {
        format!(
            "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\n\
             egressSelections:\n- name: cluster\n  connection:\n    proxyProtocol: HTTPConnect\n    \
             transport: {{uds: {{udsName: \"{}\"}}}}\n",
            self.socket.display()
        )
    }

    /// Has new tunnels lead to these ports; with none, they are refused.
    pub fn lead_to(&self, ports: &[u16]) {
        *self.targets.lock().unwrap() = ports.to_vec();
    }
}

fn tunnel(client: UnixStream, target: Option<u16>) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let connected = target.map(|port| TcpStream::connect(("127.0.0.1", port)));
    let Some(Ok(server)) = connected else {
        return (&client).write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    };
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        // Whichever end goes, the other is told.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    (&server).write_all(head.buffer())?;
    let _ = io::copy(&mut &client, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    back.join().unwrap();
    Ok(())
}
