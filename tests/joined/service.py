# A service of the street that answers each call on a thread of its own, and passes nothing on.
import http.client, http.server, random, sys, threading, time

dice = random.Random(11)
behind = None

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def ask(self, path, method="GET", truth=None):
        connection = http.client.HTTPConnection("127.0.0.1", behind)
        connection.request(method, path, headers={"x-truth": truth or self.headers["x-truth"]})
        connection.getresponse().read()
        connection.close()

    def do_GET(self):
        route, _, identity = self.path[1:].partition("/")
        if route == "list":
            self.ask("/all")
        elif route == "orders":
            self.ask(f"/item/{identity}")
            time.sleep(dice.random() * 0.002)
            self.ask(f"/price/{identity}")
            self.ask("/audit", "POST")
        elif route == "page":
            for path in ("/item/1", "/item/2", "/price/3"):
                self.ask(path)
        elif route == "lookup":
            self.ask(f"/by-id/{identity}")
        elif route == "maybe" and dice.random() < 0.5:
            self.ask("/item/9")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

server = Server(("127.0.0.1", 0), Answer)
print(server.server_port, 0, flush=True)
behind = int(sys.stdin.readline().split()[0])
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
