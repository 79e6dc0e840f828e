//! The programs on both ends of a stream. Servers print their port, clients take it as their argument;
//! what is sent next comes a line at a time, so that a test decides how far a stream is.

/// Sends back what it gets.
pub const WEBSOCKET_SERVER: &str = "
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => console.log(server.address().port));
server.on('connection', (c) => c.on('message', (m, binary) => c.send(m, { binary })));
";

/// Sends a line as a message, and prints what comes back.
pub const WEBSOCKET_CLIENT: &str = "
import sys
from websockets.sync.client import connect
with connect('ws://127.0.0.1:%s/chat' % sys.argv[1], ping_interval=None) as c:
    for line in sys.stdin:
        c.send(line.strip())
        print(c.recv(), flush=True)
    c.close(1000, 'done')
    print(c.close_code, flush=True)
";

/// Sends a line as an event; the stream ends with the lines.
pub const EVENT_SERVER: &str = r"
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for line in sys.stdin:
            piece = b'data: %s\n\n' % line.strip().encode()
            self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        self.wfile.write(b'0\r\n\r\n')
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
";

/// Prints events, and that they are over.
pub const EVENT_CLIENT: &str = "
const { EventSource } = require('eventsource');
const source = new EventSource(`http://127.0.0.1:${process.argv[1]}/events`);
source.onmessage = (event) => console.log(event.data);
source.onerror = () => { source.close(); console.log('over'); };
";

/// Sends back what it gets, until it is asked to fail.
pub const GRPC_SERVER: &str = r"
import grpc
from concurrent import futures
def each(requests, context):
    for request in requests:
        if request == b'\x0a\x04fail': context.abort(grpc.StatusCode.INTERNAL, 'no tea left')
        yield request
methods = {'Each': grpc.stream_stream_rpc_method_handler(each)}
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('shop.v1.Orders', methods),))
port = server.add_insecure_port('127.0.0.1:0')
server.start()
print(port, flush=True)
server.wait_for_termination()
";

/// Sends a line as the first field of a message, and prints that of what comes back; at the end the
/// status.
pub const GRPC_CLIENT: &str = "
const grpc = require('@grpc/grpc-js');
const write = (text) => Buffer.concat([Buffer.from([10, text.length]), Buffer.from(text)]);
const read = (message) => String(message.subarray(2));
const c = new grpc.Client(`127.0.0.1:${process.argv[1]}`, grpc.credentials.createInsecure());
const call = c.makeBidiStreamRequest('/shop.v1.Orders/Each', write, read);
call.on('data', (text) => console.log(text));
call.on('error', () => {});
call.on('status', (status) => { console.log(status.code); c.close(); process.exit(); });
const lines = require('readline').createInterface({ input: process.stdin });
lines.on('line', (line) => call.write(line));
lines.on('close', () => call.end());
";
