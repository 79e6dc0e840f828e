//! Descriptor sets: what the messages of a gRPC service are made of, as the hub was given it.
//!
//! Read at start from files that `protoc --descriptor_set_out --include_imports` or `buf build`
//! write. What servers say of themselves is added in [`known`].

pub mod known;

use std::path::{Path, PathBuf};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use remora_store::call::Side;
use remora_store::grpc::Kind;
use serde_json::Value;

/// Largest descriptor set that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024; // 64 MiB
/// Largest payload that is decoded: an empty message of two bytes takes a hundred in memory.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Every service that is known, with its messages.
#[derive(Debug, Clone, Default)]
pub struct Descriptors(Vec<DescriptorPool>);

/// A message that was read with its type.
#[derive(Debug)]
pub struct Decoded {
    /// Full name of its type.
    pub r#type: String,
    /// The message as protobuf's JSON has it, with the names of the `.proto` file.
    pub value: Value,
    /// It has fields that the type does not know.
    pub unknown: bool,
}

impl Descriptors {
    /// Reads descriptor sets; all of them together make up what is known.
    ///
    /// # Errors
    ///
    /// Every file that cannot be read or is none, with the reason.
    pub fn read(files: &[PathBuf]) -> Result<Self, Vec<String>> {
        let mut pool = DescriptorPool::new();
        let mut problems = Vec::new();
        for file in files {
            let added = read(file).and_then(|bytes| {
                pool.decode_file_descriptor_set(bytes.as_slice())
                    .map_err(|error| {
                        format!("{error}; it takes what protoc --include_imports --descriptor_set_out writes")
                    })
            });
            if let Err(problem) = added {
                problems.push(format!("{}: {problem}", file.display()));
            }
        }
        match problems.as_slice() {
            [] => Ok(Self(vec![pool])),
            _ => Err(problems),
        }
    }

    /// The method of a service, if it is known.
    pub fn method(&self, service: &str, method: &str) -> Option<Method> {
        let mut pools = self.0.iter();
        let service = pools.find_map(|pool| pool.get_service_by_name(service))?;
        let found = service.methods().find(|known| known.name() == method);
        found.map(Method)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(file)
        .map_err(|error| error.to_string())?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(format!(
            "it has {size} bytes; at most {MAX_FILE_BYTES} are read"
        ));
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    match bytes.as_slice() {
        [] => Err("it is empty".to_owned()),
        _ => Ok(bytes),
    }
}

/// A method that is known.
#[derive(Debug)]
pub struct Method(MethodDescriptor);

impl Method {
    /// Its kind, as it was declared.
    pub fn kind(&self) -> Kind {
        Kind::of(self.0.is_client_streaming(), self.0.is_server_streaming())
    }

    /// Reads a message that `from` sent; `None` where the bytes are not of its type.
    pub fn decode(&self, from: Side, payload: &[u8]) -> Option<Decoded> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return None;
        }
        let r#type = match from {
            Side::Client => self.0.input(),
            Side::Server | Side::Sidecar => self.0.output(),
        };
        let name = r#type.full_name().to_owned();
        let message = DynamicMessage::decode(r#type, payload).ok()?;
        let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
        let value = message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .ok()?;
        Some(Decoded {
            r#type: name,
            value,
            unknown: message.unknown_fields().next().is_some(),
        })
    }
}
