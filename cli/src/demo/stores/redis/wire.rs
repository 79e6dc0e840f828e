//! RESP2, as far as the shop speaks it: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};

/// Most arguments of a command, and elements of a reply.
const ELEMENTS: usize = 1024;
/// Longest text.
const TEXT_BYTES: usize = 1 << 20;
/// Longest line.
const LINE_BYTES: u64 = 4096;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Status(&'static str),
    Error(String),
    Number(usize),
    Text(Option<Vec<u8>>),
    Array(Vec<Reply>),
}

impl Reply {
    pub(super) fn error(text: &str) -> Self {
        Self::Error(text.to_owned())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Status(text) => format!("+{text}\r\n").into_bytes(),
            Self::Error(text) => format!("-{text}\r\n").into_bytes(),
            Self::Number(number) => format!(":{number}\r\n").into_bytes(),
            Self::Text(None) => b"$-1\r\n".to_vec(),
            Self::Text(Some(text)) => sized(text),
            Self::Array(elements) => {
                let mut bytes = format!("*{}\r\n", elements.len()).into_bytes();
                elements.iter().for_each(|it| bytes.extend(it.to_bytes()));
                bytes
            }
        }
    }
}

/// A command as clients send it.
pub(super) fn command_bytes(arguments: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    arguments
        .iter()
        .for_each(|argument| bytes.extend(sized(argument.as_bytes())));
    bytes
}

fn sized(text: &[u8]) -> Vec<u8> {
    let mut bytes = format!("${}\r\n", text.len()).into_bytes();
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Reads a command, which may be a line typed by hand; `None` where the client has left.
pub(super) async fn read_command(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(line) = read_line(stream).await? else {
        return Ok(None);
    };
    let Some(count) = line.strip_prefix('*') else {
        let words = line.split_ascii_whitespace();
        return Ok(Some(words.map(|word| word.as_bytes().to_vec()).collect()));
    };
    let mut arguments = Vec::new();
    for _ in 0..bounded(count, ELEMENTS)? {
        match read_reply(stream).await? {
            Answer::Text(Some(text)) => arguments.push(text),
            _ => return Err(malformed()),
        }
    }
    Ok(Some(arguments))
}

/// What a client reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A status, a number, or a text; `None` where there is no value.
    Text(Option<Vec<u8>>),
    Error(String),
    Array(Vec<Option<Vec<u8>>>),
}

/// Reads a reply; elements of an array have to be texts.
pub(super) async fn read_answer(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Answer> {
    let answer = read_reply(stream).await?;
    let Answer::Array(ref header) = answer else {
        return Ok(answer);
    };
    let mut elements = Vec::new();
    for _ in 0..header.len() {
        match read_reply(stream).await? {
            Answer::Text(text) => elements.push(text),
            _ => return Err(malformed()),
        }
    }
    Ok(Answer::Array(elements))
}

/// Reads a value; of an array only how many elements follow.
async fn read_reply(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Answer> {
    let line = read_line(stream)
        .await?
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(malformed)?;
    match kind {
        "+" | ":" => Ok(Answer::Text(Some(rest.as_bytes().to_vec()))),
        "-" => Ok(Answer::Error(rest.to_owned())),
        "$" if rest == "-1" => Ok(Answer::Text(None)),
        "$" => {
            let mut text = vec![0; bounded(rest, TEXT_BYTES)?];
            read_exact(stream, &mut text).await?;
            let mut end = [0; 2];
            read_exact(stream, &mut end).await?;
            Ok(Answer::Text(Some(text)))
        }
        "*" => Ok(Answer::Array(vec![None; bounded(rest, ELEMENTS)?])),
        _ => Err(malformed()),
    }
}

async fn read_exact(stream: &mut (impl AsyncRead + Unpin), text: &mut [u8]) -> io::Result<()> {
    stream.read_exact(text).await.map(|_| ())
}

/// Reads a line without its end; `None` where nothing more comes.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    let mut limited = stream.take(LINE_BYTES);
    if limited.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(malformed()),
    }
}

fn bounded(number: &str, most: usize) -> io::Result<usize> {
    let number = number.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no RESP")
}
