//! Which commands of Redis take and tell the values of a key, so that those under the name of a secret are.

/// From which argument on a command takes values of its key; `None` for one that takes none, or of which
/// each value has its own name.
pub(super) fn values_behind_key(command: &str) -> Option<usize> {
    let known = VALUES.iter().find(|(known, _)| *known == command);
    known.map(|(_, from)| *from)
}

/// Whether it answers with values of its first key.
pub(super) fn tells_key(command: &str) -> bool {
    TELL_KEY.contains(&command)
}

/// Whether it answers with values of any key that it names.
pub(super) fn tells_keys(command: &str) -> bool {
    TELL_KEYS.contains(&command)
}

#[rustfmt::skip]
const VALUES: &[(&str, usize)] = &[
    ("HDEL", 2), ("HEXISTS", 2), ("HGET", 2), ("HINCRBY", 2), ("HMSET", 2), ("HSET", 2), ("HSETNX", 2),
    ("HSTRLEN", 2), ("JSON.SET", 3), ("LINSERT", 2), ("LPOS", 2), ("LPUSH", 2), ("LPUSHX", 2), ("LREM", 3),
    ("LSET", 3), ("PFADD", 2), ("PUBLISH", 2), ("RESTORE", 3), ("RPUSH", 2), ("RPUSHX", 2), ("SADD", 2),
    ("SISMEMBER", 2), ("SMISMEMBER", 2), ("SMOVE", 3), ("SPUBLISH", 2), ("SREM", 2), ("XADD", 2), ("ZADD", 2),
    ("ZINCRBY", 3), ("ZMSCORE", 2), ("ZRANK", 2), ("ZREM", 2), ("ZREVRANK", 2), ("ZSCORE", 2),
];

#[rustfmt::skip]
const TELL_KEY: &[&str] = &[
    "BLMOVE", "BRPOPLPUSH", "DUMP", "GET", "GETDEL", "GETEX", "GETRANGE", "GETSET", "HGET", "HGETALL",
    "HGETDEL", "HGETEX", "HKEYS", "HMGET", "HRANDFIELD", "HSCAN", "HVALS", "JSON.GET", "LINDEX", "LMOVE",
    "LPOP", "LRANGE", "RPOP", "RPOPLPUSH", "SET", "SMEMBERS", "SORT", "SORT_RO", "SPOP", "SRANDMEMBER", "SSCAN",
    "SUBSTR", "XAUTOCLAIM", "XCLAIM", "XRANGE", "XREVRANGE", "ZPOPMAX", "ZPOPMIN", "ZRANDMEMBER", "ZRANGE",
    "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZSCAN",
];

#[rustfmt::skip]
const TELL_KEYS: &[&str] = &[
    "BLMPOP", "BLPOP", "BRPOP", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "JSON.MGET", "LCS", "LMPOP", "SDIFF",
    "SINTER", "SUNION", "XREAD", "XREADGROUP", "ZDIFF", "ZINTER", "ZMPOP", "ZUNION",
];
