//! Where in a command its keys stand, for the commands of Redis 7 (and what other servers share).
//!
//! A table instead of the server's own `COMMAND` answer, which an observer cannot ask for.

use Shape::*;

/// Which arguments of a command are keys; argument 0 is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// None.
    Keyless,
    /// Its next argument is half of its name, and none is a key.
    Container,
    /// Its next argument is half of its name, and the one behind it a key.
    Behind,
    /// The next one (or a channel).
    First,
    /// The next two.
    Two,
    /// All that follow (or channels).
    All,
    /// All that follow but the last.
    AllButLast,
    /// Every second one, from the next one on.
    EverySecond,
    /// The argument here says how many follow it.
    Counted(u64),
    /// The next one, and as many as the one behind it says.
    StoreCounted,
    /// The first half of what stands behind the word `STREAMS`.
    Streams,
    /// All behind the operation.
    BitOp,
}

/// The name as it is written in records, and the shape of the command. A module's commands
/// (`JSON.GET`) take their key first, as modules do; of others that are not known, none is a key.
pub(super) fn shape_of(name: &str) -> (Option<&'static str>, Shape) {
    match SHAPES.binary_search_by(|(known, _)| (*known).cmp(name)) {
        Ok(place) => SHAPES
            .get(place)
            .map_or((None, Keyless), |(known, shape)| (Some(*known), *shape)),
        Err(_) if name.contains('.') => (None, First),
        Err(_) => (None, Keyless),
    }
}

/// In the order of their names.
#[rustfmt::skip]
const SHAPES: &[(&str, Shape)] = &[
    ("ACL", Container), ("APPEND", First), ("ASKING", Keyless), ("AUTH", Keyless), ("BGREWRITEAOF", Keyless),
    ("BGSAVE", Keyless), ("BITCOUNT", First), ("BITFIELD", First), ("BITFIELD_RO", First), ("BITOP", BitOp),
    ("BITPOS", First), ("BLMOVE", Two), ("BLMPOP", Counted(2)), ("BLPOP", AllButLast), ("BRPOP", AllButLast),
    ("BRPOPLPUSH", Two), ("BZMPOP", Counted(2)), ("BZPOPMAX", AllButLast), ("BZPOPMIN", AllButLast),
    ("CLIENT", Container), ("CLUSTER", Container), ("COMMAND", Container), ("CONFIG", Container), ("COPY", Two),
    ("DBSIZE", Keyless), ("DEBUG", Container), ("DECR", First), ("DECRBY", First), ("DEL", All),
    ("DISCARD", Keyless), ("DUMP", First), ("ECHO", Keyless), ("EVAL", Counted(2)), ("EVALSHA", Counted(2)),
    ("EVALSHA_RO", Counted(2)), ("EVAL_RO", Counted(2)), ("EXEC", Keyless), ("EXISTS", All), ("EXPIRE", First),
    ("EXPIREAT", First), ("EXPIRETIME", First), ("FAILOVER", Keyless), ("FCALL", Counted(2)),
    ("FCALL_RO", Counted(2)), ("FLUSHALL", Keyless), ("FLUSHDB", Keyless), ("FUNCTION", Container),
    ("GEOADD", First), ("GEODIST", First), ("GEOHASH", First), ("GEOPOS", First), ("GEORADIUS", First),
    ("GEORADIUSBYMEMBER", First), ("GEORADIUSBYMEMBER_RO", First), ("GEORADIUS_RO", First), ("GEOSEARCH", First),
    ("GEOSEARCHSTORE", Two), ("GET", First), ("GETBIT", First), ("GETDEL", First), ("GETEX", First),
    ("GETRANGE", First), ("GETSET", First), ("HDEL", First), ("HELLO", Keyless), ("HEXISTS", First),
    ("HEXPIRE", First), ("HGET", First), ("HGETALL", First), ("HINCRBY", First), ("HINCRBYFLOAT", First),
    ("HKEYS", First), ("HLEN", First), ("HMGET", First), ("HMSET", First), ("HRANDFIELD", First),
    ("HSCAN", First), ("HSET", First), ("HSETNX", First), ("HSTRLEN", First), ("HTTL", First), ("HVALS", First),
    ("INCR", First), ("INCRBY", First), ("INCRBYFLOAT", First), ("INFO", Keyless), ("KEYS", Keyless),
    ("LASTSAVE", Keyless), ("LATENCY", Container), ("LCS", Two), ("LINDEX", First), ("LINSERT", First),
    ("LLEN", First), ("LMOVE", Two), ("LMPOP", Counted(1)), ("LOLWUT", Keyless), ("LPOP", First), ("LPOS", First),
    ("LPUSH", First), ("LPUSHX", First), ("LRANGE", First), ("LREM", First), ("LSET", First), ("LTRIM", First),
    ("MEMORY", Behind), ("MGET", All), ("MIGRATE", Keyless), ("MODULE", Container), ("MONITOR", Keyless),
    ("MOVE", First), ("MSET", EverySecond), ("MSETNX", EverySecond), ("MULTI", Keyless), ("OBJECT", Behind),
    ("PERSIST", First), ("PEXPIRE", First), ("PEXPIREAT", First), ("PEXPIRETIME", First), ("PFADD", First),
    ("PFCOUNT", All), ("PFMERGE", All), ("PING", Keyless), ("PSETEX", First), ("PSUBSCRIBE", All),
    ("PSYNC", Keyless), ("PTTL", First), ("PUBLISH", First), ("PUBSUB", Container), ("PUNSUBSCRIBE", All),
    ("QUIT", Keyless), ("RANDOMKEY", Keyless), ("READONLY", Keyless), ("READWRITE", Keyless), ("RENAME", Two),
    ("RENAMENX", Two), ("REPLCONF", Keyless), ("REPLICAOF", Keyless), ("RESET", Keyless), ("RESTORE", First),
    ("ROLE", Keyless), ("RPOP", First), ("RPOPLPUSH", Two), ("RPUSH", First), ("RPUSHX", First), ("SADD", First),
    ("SAVE", Keyless), ("SCAN", Keyless), ("SCARD", First), ("SCRIPT", Container), ("SDIFF", All),
    ("SDIFFSTORE", All), ("SELECT", Keyless), ("SENTINEL", Container), ("SET", First), ("SETBIT", First),
    ("SETEX", First), ("SETNX", First), ("SETRANGE", First), ("SHUTDOWN", Keyless), ("SINTER", All),
    ("SINTERCARD", Counted(1)), ("SINTERSTORE", All), ("SISMEMBER", First), ("SLAVEOF", Keyless),
    ("SLOWLOG", Container), ("SMEMBERS", First), ("SMISMEMBER", First), ("SMOVE", Two), ("SORT", First),
    ("SORT_RO", First), ("SPOP", First), ("SPUBLISH", First), ("SRANDMEMBER", First), ("SREM", First),
    ("SSCAN", First), ("SSUBSCRIBE", All), ("STRLEN", First), ("SUBSCRIBE", All), ("SUBSTR", First),
    ("SUNION", All), ("SUNIONSTORE", All), ("SUNSUBSCRIBE", All), ("SWAPDB", Keyless), ("SYNC", Keyless),
    ("TIME", Keyless), ("TOUCH", All), ("TTL", First), ("TYPE", First), ("UNLINK", All), ("UNSUBSCRIBE", All),
    ("UNWATCH", Keyless), ("WAIT", Keyless), ("WAITAOF", Keyless), ("WATCH", All), ("XACK", First),
    ("XADD", First), ("XAUTOCLAIM", First), ("XCLAIM", First), ("XDEL", First), ("XGROUP", Behind),
    ("XINFO", Behind), ("XLEN", First), ("XPENDING", First), ("XRANGE", First), ("XREAD", Streams),
    ("XREADGROUP", Streams), ("XREVRANGE", First), ("XSETID", First), ("XTRIM", First), ("ZADD", First),
    ("ZCARD", First), ("ZCOUNT", First), ("ZDIFF", Counted(1)), ("ZDIFFSTORE", StoreCounted), ("ZINCRBY", First),
    ("ZINTER", Counted(1)), ("ZINTERCARD", Counted(1)), ("ZINTERSTORE", StoreCounted), ("ZLEXCOUNT", First),
    ("ZMPOP", Counted(1)), ("ZMSCORE", First), ("ZPOPMAX", First), ("ZPOPMIN", First), ("ZRANDMEMBER", First),
    ("ZRANGE", First), ("ZRANGEBYLEX", First), ("ZRANGEBYSCORE", First), ("ZRANGESTORE", Two), ("ZRANK", First),
    ("ZREM", First), ("ZREMRANGEBYLEX", First), ("ZREMRANGEBYRANK", First), ("ZREMRANGEBYSCORE", First),
    ("ZREVRANGE", First), ("ZREVRANGEBYLEX", First), ("ZREVRANGEBYSCORE", First), ("ZREVRANK", First),
    ("ZSCAN", First), ("ZSCORE", First), ("ZUNION", Counted(1)), ("ZUNIONSTORE", StoreCounted),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(SHAPES.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
