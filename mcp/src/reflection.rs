//! gRPC server reflection: asking a server what the messages of its services are made of.
//!
//! Speaks `grpc.reflection.v1` and, where a server has only that, `v1alpha`, over HTTP/2 in the clear.
//! All work is bounded: in time, in messages, in files and in bytes. What is done with the answer is
//! left to who asked; [`watch`] keeps asking for the hub.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>

mod channel;
mod files;
mod messages;
mod server;
pub(crate) mod watch;

use std::time::Duration;

use tokio::time::timeout;

use channel::{Channel, Ended, Stream};
use files::Files;
use messages::{Answer, Question};
pub use server::{BadServer, Server};

/// How long one server may take to answer everything.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Most services that are asked about.
const SERVICES: usize = 4_000;

/// The service under its names, the newer one first. Their messages are the same on the wire.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// What a server says of its services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reflected {
    /// A descriptor set as `protoc --include_imports --descriptor_set_out` writes it: every file behind
    /// those that it imports.
    pub set: Vec<u8>,
    /// Full names of the services that are described in it, sorted.
    pub services: Vec<String>,
    /// Services that the server has and does not describe, each with why.
    pub undescribed: Vec<(String, String)>,
}

/// Why a server could not be asked. Every variant names the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReflectError {
    /// Nobody listens there, or the name is not known.
    #[error("connect to {server}")]
    Connect {
        /// The server.
        server: Server,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What listens there does not speak HTTP/2 in the clear, or broke off.
    #[error("speak HTTP/2 in the clear with {server}, which may take TLS alone")]
    Http2 {
        /// The server.
        server: Server,
        /// What was wrong.
        source: h2::Error,
    },
    /// The server has no reflection service.
    #[error(
        "ask {server} what it serves: it offers no reflection, neither v1 nor v1alpha; \
         switch it on there, or write a descriptor set with protoc"
    )]
    Unreflected {
        /// The server.
        server: Server,
    },
    /// The server refused.
    #[error("ask {server} what it serves: it answered {status}")]
    Refused {
        /// The server.
        server: Server,
        /// gRPC's status with its message, or the status of HTTP.
        status: String,
    },
    /// The answer is none, or more than is taken.
    #[error("read what {server} serves: {problem}")]
    Unreadable {
        /// The server.
        server: Server,
        /// What is wrong with it.
        problem: String,
    },
    /// The server took longer than [`PATIENCE`].
    #[error("ask {server} what it serves: it was not done after {PATIENCE:?}")]
    TooSlow {
        /// The server.
        server: Server,
    },
}

/// Asks a server for the descriptors of all its services.
///
/// # Errors
///
/// The server cannot be reached, offers no reflection, describes none of its services, or takes more
/// than is allowed.
pub async fn reflect(server: &Server) -> Result<Reflected, ReflectError> {
    let answered = timeout(PATIENCE, ask(server)).await;
    answered.unwrap_or_else(|_| {
        Err(ReflectError::TooSlow {
            server: server.clone(),
        })
    })
}

async fn ask(server: &Server) -> Result<Reflected, ReflectError> {
    let mut channel = Channel::open(server).await?;
    for path in PATHS {
        match everything(&mut channel, path).await {
            Err(ended) if ended.is_unimplemented() => {}
            Ok(files) => return reflected(server, files),
            Err(ended) => return Err(ended.of(server)),
        }
    }
    Err(ReflectError::Unreflected {
        server: server.clone(),
    })
}

/// The files of all services, with whatever they import.
async fn everything(channel: &mut Channel, path: &str) -> Result<Files, Ended> {
    let mut stream = channel.stream(path).await?;
    let mut files = Files::default();
    for service in services(&mut stream).await? {
        if files.describe(&service) {
            continue;
        }
        match stream.ask(Question::Symbol(service.clone())).await? {
            Answer::Files(found) => {
                files.add_all(found)?;
                if !files.describe(&service) {
                    files.lack(service, "the server gave a file without it".to_owned());
                }
            }
            Answer::Error(error) => files.lack(service, error.message),
            Answer::Services(_) => return Err(Ended::Unreadable("an answer to another question")),
        }
    }
    while let Some(import) = files.next_import() {
        match stream.ask(Question::File(import)).await? {
            Answer::Files(found) => files.add_all(found)?,
            Answer::Error(_) => {}
            Answer::Services(_) => return Err(Ended::Unreadable("an answer to another question")),
        }
    }
    Ok(files)
}

async fn services(stream: &mut Stream) -> Result<Vec<String>, Ended> {
    match stream.ask(Question::Services("*".to_owned())).await? {
        Answer::Services(list) if list.services.len() > SERVICES => {
            Err(Ended::Unreadable("more than 4000 services"))
        }
        Answer::Services(list) => Ok(list.services.into_iter().map(|one| one.name).collect()),
        Answer::Error(error) => Err(Ended::Status(error.code.unsigned_abs(), error.message)),
        Answer::Files(_) => Err(Ended::Unreadable("an answer to another question")),
    }
}

fn reflected(server: &Server, files: Files) -> Result<Reflected, ReflectError> {
    let reflected = files.into_reflected();
    let unreadable = |problem: String| ReflectError::Unreadable {
        server: server.clone(),
        problem,
    };
    if reflected.services.is_empty() {
        let why = reflected.undescribed.first();
        return Err(unreadable(why.map_or_else(
            || "it names no service".to_owned(),
            |(service, why)| format!("it describes none of its services, such as {service}: {why}"),
        )));
    }
    Ok(reflected)
}

#[cfg(test)]
mod tests;
