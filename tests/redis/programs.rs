//! The clients, and what they do. Each makes one transaction of three commands, and publishes twice on a
//! channel that it listens to.

/// redis-py, in the version of the protocol that is asked for.
pub const REDIS_PY: &str = r#"
import sys, redis
r = redis.Redis(port=int(sys.argv[1]), protocol=int(sys.argv[2]), decode_responses=True)
for number in range(20):
    r.set(f"order:{number}", '{"id": %d}' % number)
    assert r.get(f"order:{number}") == '{"id": %d}' % number
assert r.get("order:none") is None
r.hset("user:1", mapping={"name": "Ann", "age": 7})
assert r.hgetall("user:1") == {"name": "Ann", "age": "7"}
r.rpush("list", "a", "two words", "quo\"te", "naïve")
assert r.lrange("list", 0, -1) == ["a", "two words", "quo\"te", "naïve"]
assert r.mget("order:1", "none") == ['{"id": 1}', None]
r.mset({"a": 1, "b": 2})
assert r.delete("a", "b", "c") == 2
assert r.eval("return {KEYS[1], ARGV[1]}", 1, "k", "v") == ["k", "v"]
assert r.blpop(["none", "list"], timeout=5) == (("list", "a") if sys.argv[2] == "2" else ["list", "a"])
r.set("bytes", b"\x00\xff\r\n")
with r.pipeline(transaction=False) as pipeline:
    for number in range(300):
        pipeline.incr("counter")
    assert pipeline.execute()[-1] == 300
with r.pipeline(transaction=True) as pipeline:
    pipeline.set("c", 7).incr("c").get("c")
    assert pipeline.execute() == [True, 8, "8"]
try:
    r.incr("list")
    raise SystemExit("a list was counted up")
except redis.ResponseError as error:
    assert "WRONGTYPE" in str(error)
listener = r.pubsub(ignore_subscribe_messages=True)
listener.subscribe("news")
listener.get_message(timeout=5)
for text in ["one", "two"]:
    assert r.publish("news", text) == 1
heard = []
while len(heard) < 2:
    message = listener.get_message(timeout=5)
    if message: heard.append(message["data"])
assert heard == ["one", "two"]
listener.unsubscribe("news")
listener.get_message(timeout=5)
listener.close()
r.close()
"#;

pub const IOREDIS: &str = r#"
const Redis = require('ioredis');
const port = Number(process.argv[1]);
(async () => {
  const r = new Redis(port), listener = new Redis(port);
  for (let n = 0; n < 20; n++) await r.set(`order:${n}`, JSON.stringify({ id: n }));
  const all = await Promise.all([...Array(20).keys()].map((n) => r.get(`order:${n}`)));
  if (all[7] !== '{"id":7}') throw new Error(all[7]);
  const pipeline = r.pipeline();
  for (let n = 0; n < 300; n++) pipeline.incr('counter');
  await pipeline.exec();
  const done = await r.multi().set('c', 7).incr('c').get('c').exec();
  if (done[2][1] !== '8') throw new Error(JSON.stringify(done));
  await r.hset('user:1', { name: 'Ann', age: 7 });
  await r.hgetall('user:1');
  await r.lpush('list', 'a');
  await r.incr('list').then(() => process.exit(1), () => {});
  await listener.subscribe('news');
  const heard = [];
  const both = new Promise((done) => listener.on('message', (_, text) => heard.push(text) === 2 && done()));
  await r.publish('news', 'one');
  await r.publish('news', 'two');
  await both;
  await listener.unsubscribe('news');
  r.disconnect();
  listener.disconnect();
})();
"#;

/// In version 3 of the protocol, where messages come between replies on one connection.
pub const NODE_REDIS: &str = r#"
const { createClient } = require('redis');
(async () => {
  const r = createClient({ socket: { port: Number(process.argv[1]) }, RESP: 3 });
  await r.connect();
  for (let n = 0; n < 20; n++) await r.set(`order:${n}`, JSON.stringify({ id: n }));
  const all = await Promise.all([...Array(20).keys()].map((n) => r.get(`order:${n}`)));
  if (all[7] !== '{"id":7}') throw new Error(all[7]);
  const done = await r.multi().set('c', 7).incr('c').get('c').exec();
  if (done[2] !== '8') throw new Error(JSON.stringify(done));
  await r.hSet('user:1', { name: 'Ann', age: 7 });
  const user = await r.hGetAll('user:1');
  if (user.name !== 'Ann') throw new Error(JSON.stringify(user));
  const heard = [];
  let both;
  const two = new Promise((done) => { both = done; });
  await r.subscribe('news', (text) => heard.push(text) === 2 && both());
  await r.publish('news', 'one');
  await r.publish('news', 'two');
  await two;
  await r.unsubscribe('news');
  await r.get('order:1');
  r.destroy();
})();
"#;

/// Typed into redis-cli; one of the values is of a mebibyte.
pub const TYPED: &str = r#"SET greeting "hello \"world\""
GET greeting
GET nothing
INCRBY counter 41
INCR counter
INCR greeting
RPUSH list a b "c d"
LRANGE list 0 -1
HSET hash name Ann age 7
HGETALL hash
ZADD scores 1.5 a 2 b
ZRANGE scores 0 -1 WITHSCORES
SETBIT big 8388608 1
GET big
EVAL "return {1, 'two', {3}}" 0
MULTI
INCR counter
LRANGE list 0 0
INCR list
EXEC
MULTI
INCR counter
DISCARD
NOSUCHCOMMAND a b
XADD log 1-1 level info
XRANGE log - +
OBJECT ENCODING counter
CONFIG GET maxmemory-policy
SUBSCRIBE
PUBLISH news nobody
SELECT 3
GET greeting
PING
ECHO bye
"#;

pub const PASSWORDS: &str = r#"
import sys, redis
port = int(sys.argv[1])
for protocol in [2, 3]:
    r = redis.Redis(port=port, protocol=protocol, password="hunter2-of-the-server")
    r.config_set("requirepass", "hunter2-of-tomorrow")
    r.config_get("*pass*")
    r.config_set("requirepass", "hunter2-of-the-server")
    r.acl_setuser("ann", enabled=True, passwords=["+hunter2-of-ann"], keys=["*"], commands=["+@all"])
    r.acl_getuser("ann")
    a = redis.Redis(port=port, protocol=protocol, username="ann", password="hunter2-of-ann")
    a.set("user:1:password", "hunter2-in-a-value")
    a.get("user:1:password")
    a.hset("user:2", mapping={"name": "Bob", "password": "hunter2-in-a-field"})
    a.hgetall("user:2")
    a.hmget("user:2", "name", "password")
    a.set("session:hunter2-7f3a9c2e1b8d4056", '{"user": 1, "token": "hunter2-in-a-document"}')
    try:
        redis.Redis(port=port, protocol=protocol, password="hunter2-that-is-wrong").ping()
    except redis.RedisError:
        pass
    r.set("the:end", 1)
"#;
