//! How a hub is reached, and what is shown to be let in.

use std::path::PathBuf;

use hyper::{StatusCode, Uri};

use super::kubernetes::Kubernetes;

/// Longest token file that is read.
const TOKEN_FILE_BYTES: usize = 4 * 1024;

/// The way to one hub.
pub(super) enum Way {
    /// An address, and the file in which the token stands, if there is one.
    Address {
        url: Uri,
        token_file: Option<PathBuf>,
    },
    /// Through kubectl.
    Kubernetes(Box<Kubernetes>),
}

/// What one message needs.
pub(super) struct Access {
    pub(super) url: Uri,
    pub(super) token: Option<String>,
}

/// Where MCP is at a hub.
///
/// # Errors
///
/// The text names no hub; what is wrong with it.
pub(super) fn endpoint(hub: &str) -> Result<Uri, String> {
    let wrong = || format!("{hub} is no address of a hub; write it like http://127.0.0.1:8899");
    let given: Uri = hub.parse().map_err(|_| wrong())?;
    if given.scheme_str() != Some("http") || given.query().is_some() {
        return Err(wrong());
    }
    let authority = given.authority().ok_or_else(wrong)?;
    let path = given.path().trim_end_matches('/').trim_end_matches("/mcp");
    format!("http://{authority}{path}/mcp")
        .parse()
        .map_err(|_| wrong())
}

impl Way {
    /// What a message needs now.
    ///
    /// # Errors
    ///
    /// There is no way; what to do about it.
    pub(super) async fn find(&self) -> Result<Access, String> {
        match self {
            Self::Address { url, token_file } => Ok(Access {
                url: url.clone(),
                token: token_file.as_ref().map(read_token).transpose()?,
            }),
            Self::Kubernetes(cluster) => {
                let (port, token) = cluster.enter().await?;
                Ok(Access {
                    url: endpoint(&format!("http://127.0.0.1:{port}"))?,
                    token: Some(token),
                })
            }
        }
    }

    /// What a message needs whose token was refused; `None` where there is no other token to be had.
    ///
    /// # Errors
    ///
    /// As with [`Self::find`].
    pub(super) async fn find_another(&self, refused: Access) -> Result<Option<Access>, String> {
        match (self, refused.token) {
            (Self::Kubernetes(cluster), Some(token)) => Ok(Some(Access {
                url: refused.url,
                token: Some(cluster.another_token(&token).await?),
            })),
            _ => Ok(None),
        }
    }

    /// A message found no hub at the end of the way; what to do about it.
    pub(super) async fn is_lost(&self, access: &Access) -> &'static str {
        match self {
            Self::Address { .. } => {
                "Is `remora hub` running there, or the port-forward to it? Nothing needs to be restarted here: ask again \
                 when it is."
            }
            Self::Kubernetes(cluster) => {
                if let Some(port) = access.url.port_u16() {
                    cluster.leave(port).await;
                }
                "The port is forwarded anew with the next message: ask again. If it stays so, see whether the hub's pod is ready."
            }
        }
    }

    /// What to do about an answer of this status.
    pub(super) fn advice(&self, status: StatusCode) -> &'static str {
        match (self, status) {
            (Self::Address { .. }, StatusCode::UNAUTHORIZED) => {
                ". Start `remora mcp` with --token-file FILE, and write the hub's token into that file"
            }
            (Self::Kubernetes(_), StatusCode::UNAUTHORIZED) => {
                ". kubectl has just made the token: does the hub run with --kubernetes, and in this cluster?"
            }
            (Self::Address { .. }, StatusCode::NOT_FOUND) => {
                ". Is --hub the address of a hub's API, such as http://127.0.0.1:8899?"
            }
            _ => "",
        }
    }
}

/// The token as it stands in its file now: whoever renews it writes it there.
fn read_token(file: &PathBuf) -> Result<String, String> {
    let token = std::fs::read_to_string(file)
        .map_err(|error| format!("the token cannot be read from {}: {error}", file.display()))?;
    let token = token.trim();
    let is_token = !token.is_empty()
        && token.len() <= TOKEN_FILE_BYTES
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token {
        Ok(token.to_owned())
    } else {
        Err(format!("{} holds no token", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("http://127.0.0.1:8899", Some("http://127.0.0.1:8899/mcp"); "a hub")]
    #[test_case("http://hub:1/", Some("http://hub:1/mcp"); "with a slash")]
    #[test_case("http://hub:1/mcp", Some("http://hub:1/mcp"); "with its path")]
    #[test_case("http://gate/remora", Some("http://gate/remora/mcp"); "behind a path")]
    #[test_case("https://hub", None; "a scheme that is not spoken")]
    #[test_case("127.0.0.1:8899", None; "no scheme")]
    fn endpoint_of(hub: &str, expected: Option<&str>) {
        assert_eq!(
            endpoint(hub).ok().map(|uri| uri.to_string()).as_deref(),
            expected
        );
    }
}
