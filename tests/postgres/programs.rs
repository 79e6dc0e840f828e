//! Clients of PostgreSQL that nobody here wrote, and what they are to do.

/// What psql is given: one statement at a time, errors and copies among them.
pub const TYPED: &str = r"
CREATE TABLE orders (id int PRIMARY KEY, customer text, password text);
INSERT INTO orders VALUES (1, 'ann', 'hunter2-1'), (2, 'bob', NULL), (3, 'größe', '');
SELECT * FROM orders WHERE id IN (1, 2, 3) ORDER BY id;
SELECT id, customer /* not a ; */ FROM orders WHERE customer = 'it''s; not' -- nor a ;
;
SELECT nothing FROM orders;
SELECT 1/0;
INSERT INTO orders VALUES (1, 'again', NULL);
BEGIN;
UPDATE orders SET customer = 'x' WHERE id > 1;
SAVEPOINT here;
SELECT 'aborted'::int;
ROLLBACK TO here;
COMMIT;
DO $$ BEGIN RAISE NOTICE 'a notice'; END $$;
COPY orders FROM STDIN;
4	dan	\N
5	eve	\N
\.
COPY (SELECT id FROM orders ORDER BY id) TO STDOUT;
SELECT repeat('x', 200000) AS long;
SELECT generate_series(1, 5000) AS n;
LISTEN orders;
SELECT NULL AS nothing, true AS yes, 1.50 AS price, '\xdead'::bytea AS bytes;
DELETE FROM orders WHERE id = 5;
";

/// psycopg: bind values of several types, statements that it prepares by itself, pipelines with an error
/// in them, copies and many at once.
pub const PSYCOPG: &str = r#"
import sys, psycopg
dsn = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=through"
with psycopg.connect(dsn, autocommit=True) as c:
    c.execute("CREATE TABLE items (id int PRIMARY KEY, name text, price numeric)")
    for n in range(8):
        c.execute("INSERT INTO items VALUES (%s, %s, %s)", (n, f"it's {n}", None))
    for n in range(8):
        c.execute("SELECT name FROM items WHERE id = %s AND name <> %s", (n, "x")).fetchall()
    c.execute("SELECT id, name FROM items WHERE id = %s", (3,), binary=True).fetchall()
    with c.pipeline():
        for n in range(20, 25):
            c.execute("INSERT INTO items (id, name) VALUES (%s, %s)", (n, "piped"))
    try:
        with c.pipeline():
            c.execute("UPDATE items SET name = %s WHERE id = %s", ("first", 20))
            c.execute("INSERT INTO items (id) VALUES (%s)", (20,))
            c.execute("UPDATE items SET name = %s WHERE id = %s", ("never", 20))
    except psycopg.errors.UniqueViolation:
        pass
    with c.cursor() as cursor:
        with cursor.copy("COPY items (id, name) FROM STDIN") as copy:
            for n in range(100, 200):
                copy.write_row((n, "copied"))
        cursor.executemany("UPDATE items SET name = %s WHERE id = %s", [("many", n) for n in range(5)])
    c.pgconn.exec_params(b"COPY items (id) FROM STDIN", [])
    for n in range(200, 210):
        c.pgconn.put_copy_data(f"{n}\n".encode())
    c.pgconn.put_copy_end()
    while c.pgconn.get_result(): pass
    with c.transaction():
        with c.cursor("named") as cursor:
            cursor.execute("SELECT id FROM items")
            cursor.fetchmany(10)
    c.execute("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
late = psycopg.connect(dsn, autocommit=True)
try:
    with late.pipeline():
        for _ in range(2): late.execute("INSERT INTO late VALUES (%s)", (1,))
except psycopg.Error:
    pass
late.close()
"#;

/// The client of Node, with values, named statements and errors.
pub const NODE: &str = r#"
const { Client } = require("pg");
(async () => {
  const client = new Client({ host: "127.0.0.1", port: +process.argv[1], user: "postgres", database: "through" });
  await client.connect();
  await client.query("CREATE TABLE notes (id int PRIMARY KEY, note text)");
  for (let id = 0; id < 5; id++) await client.query("INSERT INTO notes VALUES ($1, $2)", [id, id % 2 ? null : `note ${id}`]);
  for (let id = 0; id < 5; id++) {
    await client.query({ name: "by-id", text: "SELECT note FROM notes WHERE id = $1", values: [id] });
  }
  await client.query("SELEC 1").catch(() => {});
  await client.query("INSERT INTO notes VALUES ($1, $2)", [1, "again"]).catch(() => {});
  await client.query("SELECT count(*) FROM notes");
  await client.end();
})();
"#;

/// Cancels a statement that runs, once the server says that it does.
pub const CANCEL: &str = r#"
import sys, threading, psycopg
def dsn(port): return f"host=127.0.0.1 port={port} user=postgres dbname=through"
with psycopg.connect(dsn(sys.argv[1]), autocommit=True) as c, psycopg.connect(dsn(sys.argv[2]), autocommit=True) as other:
    def cancel():
        runs = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND query LIKE '%%pg_sleep%%'"
        while other.execute(runs, (c.info.backend_pid,)).fetchone()[0] == 0: pass
        c.cancel()
    thread = threading.Thread(target=cancel)
    thread.start()
    try: c.execute("SELECT pg_sleep(600)")
    except psycopg.errors.QueryCanceled: pass
    thread.join()
"#;

/// Knows a password, and uses it.
pub const PASSWORDS: &str = r#"
import sys, psycopg
def dsn(password): return f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres password={password}"
try: psycopg.connect(dsn("hunter2-wrong"))
except psycopg.OperationalError: pass
with psycopg.connect(dsn("hunter2-of-the-server"), autocommit=True) as c:
    c.execute("CREATE ROLE ann LOGIN PASSWORD 'hunter2-of-ann'")
    c.execute("CREATE TABLE users (id int, password text)")
    c.execute("INSERT INTO users (id, password) VALUES (%s, %s)", (1, "hunter2-of-bob"))
    c.execute("SELECT id FROM users WHERE password = %s", ("hunter2-of-bob",)).fetchall()
    c.execute("SELECT * FROM users").fetchall()
    c.execute("SELECT 'the end'")
"#;

/// A shop that asks an ORM for orders and their items: as one does at first, and as one should; and for the
/// same order again and again.
pub const SHOP: &str = r#"
import sys, http.server
import sqlalchemy as sa
from sqlalchemy import orm
class Base(orm.DeclarativeBase): pass
class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    items: orm.Mapped[list["Item"]] = orm.relationship()
class Item(Base):
    __tablename__ = "items"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    order_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("orders.id"))
engine = sa.create_engine(f"postgresql+psycopg://postgres@127.0.0.1:{sys.argv[2]}/through")
Base.metadata.create_all(engine)
with orm.Session(engine) as session:
    session.add_all([Order(id=n, items=[Item(id=10 * n), Item(id=10 * n + 1)]) for n in range(1, 13)])
    session.commit()
def lazy(session):
    return sum(len(order.items) for order in session.scalars(sa.select(Order)))
def eager(session):
    orders = session.scalars(sa.select(Order).options(orm.selectinload(Order.items)))
    return sum(len(order.items) for order in orders)
def again(session):
    return sum(session.execute(sa.select(Order.id).where(Order.id == 7)).scalar() for _ in range(12))
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with orm.Session(engine) as session:
            body = str(globals()[self.path[1:]](session)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Shop)
print("ready", flush=True)
server.serve_forever()
"#;
