//! The floor: a TCP relay that looks at nothing, on one current-thread runtime.

use tokio::net::{TcpListener, TcpStream};

pub fn run(listen: &str, upstream: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.unwrap();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let upstream = upstream.to_owned();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(upstream).await?;
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
}
