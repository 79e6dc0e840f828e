//! What a call asks for, by the same few words on every protocol.

use std::borrow::Cow;

use crate::call::{Call, Detail};
use crate::head::RequestHead;
use crate::route::{key_route, route};

/// The facts of a request that calls are looked for by; empty where the protocol has no such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// `GET` and the like, as sent; the command of a database call.
    pub method: Cow<'a, str>,
    /// Host of a request of HTTP ([`RequestHead::host`]).
    pub host: Cow<'a, str>,
    /// Path without the query; the fingerprint of a statement, the key of a command.
    pub path: Cow<'a, str>,
    /// Query without its `?`.
    pub query: Cow<'a, str>,
    routing: Routing,
}

/// How a route is made of what is in [`About::path`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Routing {
    /// It is a path.
    #[default]
    Path,
    /// It holds nothing variable.
    Same,
    /// It is a key.
    Key,
}

impl<'a> About<'a> {
    /// What `call` asks for.
    pub fn of(call: &'a Call) -> Self {
        match &call.detail {
            Detail::Sql(sql) => Self {
                method: Cow::Borrowed(&sql.command),
                path: Cow::Borrowed(&sql.fingerprint),
                routing: Routing::Same,
                ..Self::default()
            },
            Detail::Redis(redis) => Self {
                method: Cow::Borrowed(&redis.command),
                path: Cow::Borrowed(&redis.key),
                routing: Routing::Key,
                ..Self::default()
            },
            Detail::None | Detail::Tls(_) | Detail::Opaque(_) | Detail::Http2(_) => {
                RequestHead::parse(&call.request.head).into()
            }
        }
    }

    /// What the path is of, without what tells one thing from another of its kind: of a path and of a
    /// key with their ids written `{id}`, of a statement its fingerprint.
    pub fn route(&self) -> Cow<'_, str> {
        match self.routing {
            Routing::Path => Cow::Owned(route(&self.path)),
            Routing::Same => Cow::Borrowed(&self.path),
            Routing::Key => Cow::Owned(key_route(&self.path)),
        }
    }

    pub(crate) fn routing(&self) -> Routing {
        self.routing
    }
}

impl<'a> From<RequestHead<'a>> for About<'a> {
    fn from(head: RequestHead<'a>) -> Self {
        Self {
            method: head.method,
            host: head.host,
            path: head.path,
            query: head.query,
            routing: Routing::Path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, redis_call, sql_call};

    fn told(call: &Call) -> [String; 5] {
        let about = About::of(call);
        let route = about.route().into_owned();
        let About {
            method,
            host,
            path,
            query,
            ..
        } = about;
        [method, host, path, query]
            .map(Cow::into_owned)
            .into_iter()
            .chain([route])
            .collect::<Vec<_>>()
            .try_into()
            .expect("five")
    }

    #[test]
    fn each_protocol_asks_in_its_own_words() {
        let http = call(5, "/api/orders/7?dry=1", 200);
        let expected = ["GET", "shop", "/api/orders/7", "dry=1", "/api/orders/{id}"];
        assert_eq!(told(&http), expected);
        let sql = sql_call(5, "SELECT * FROM orders WHERE id = ?");
        let fingerprint = "SELECT * FROM orders WHERE id = ?";
        assert_eq!(told(&sql), ["SELECT", "", fingerprint, "", fingerprint]);
        let redis = redis_call(5, "GET", "order:17");
        assert_eq!(told(&redis), ["GET", "", "order:17", "", "order:{id}"]);
    }
}
