//! What becomes of open connections when the sidecar stops.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, within};

#[tokio::test]
async fn an_open_connection_is_reset_when_its_time_is_over() {
    let rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    server.read_exact(&mut [0; 18]).await.unwrap();
    rig.stop().await;
    for end in [&mut client, &mut server] {
        let err = within(end.read(&mut [0; 16])).await.unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    }
}
