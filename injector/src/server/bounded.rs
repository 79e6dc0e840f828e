//! How many connections there may be at a time, whatever is spoken over them.

use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Layer;

/// Takes connections as `A` does, and no more than so many.
#[derive(Debug, Clone)]
pub(super) struct Bounded<A> {
    inner: A,
    room: Arc<Semaphore>,
}

/// The place of one connection among the many; free again when its service is gone.
#[derive(Debug, Clone)]
pub(super) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<A> Bounded<A> {
    /// Takes `most` connections at a time; further ones are closed.
    pub(super) fn new(inner: A, most: usize) -> Self {
        Self {
            inner,
            room: Arc::new(Semaphore::new(most)),
        }
    }
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S>,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
{
    type Stream = A::Stream;
    type Service = AddExtension<A::Service, Place>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return Box::pin(ready(Err(io::Error::other(
                "there are too many connections",
            ))));
        };
        let place = Place {
            _permit: Arc::new(permit),
        };
        // An answer must not wait until what came before it, such as session tickets, is acknowledged. A socket
        // that takes no option is about to fail anyway.
        let _ = stream.set_nodelay(true);
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((stream, Extension(place).layer(service)))
        })
    }
}
