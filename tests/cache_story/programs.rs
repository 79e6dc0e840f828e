//! The services. Each is told the port it listens on, the ports of its callees, and how it is built.

/// Orders are in PostgreSQL, which takes its time; mended, they are kept in Redis, or their answers may be.
pub const ORDERS: &str = r#"
import sys, json, http.server, psycopg, redis
port, database, store, mode = *map(int, sys.argv[1:4]), sys.argv[4]
orders = psycopg.connect(host="127.0.0.1", port=database, user="postgres", dbname="postgres")
kept = redis.Redis(port=store)

def order(number):
    if mode == "redis" and (known := kept.get(f"order:{number}")):
        return known
    with orders.transaction():
        row = orders.execute("SELECT id, total, pg_sleep(0.02) FROM orders WHERE id = %s", [number]).fetchone()
    text = json.dumps({"id": row[0], "total": row[1]}).encode()
    if mode == "redis":
        kept.set(f"order:{number}", text, ex=60)
    return text

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"{}" if self.path == "/ready" else order(int(self.path.rsplit("/", 1)[1]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if mode == "cacheable":
            self.send_header("Cache-Control", "max-age=60")
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// Pages are orders; they are asked for with requests, and with requests-cache, which keeps them as they may
/// be kept.
pub const WEB: &str = r#"
import sys, http.server, requests, requests_cache
port, orders, mode = *map(int, sys.argv[1:3]), sys.argv[3]
session = requests.Session() if mode == "plain" else requests_cache.CachedSession(backend="memory", cache_control=True)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        number = self.path.rsplit("/", 1)[1]
        body = b"{}" if self.path == "/ready" else session.get(f"http://127.0.0.1:{orders}/api/orders/{number}").content
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;
