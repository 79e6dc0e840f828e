// A service of the street. It answers over HTTP/1 and HTTP/2, and asks the service behind it.
//
// Its way of passing on what a call belongs to: plain (not at all), traced (traceparent with a span of its own),
// or named (x-request-id). Every call carries x-truth, by which the test knows what caused what: nothing but the
// test looks at it.
const http = require('http');
const http2 = require('http2');
const crypto = require('crypto');
const { randomBytes } = crypto;

const [way, spread] = [process.argv[1], Number(process.argv[2])];
let seed = 7;
// Always the same numbers: what differs between two runs is the machine alone.
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

let behind = null;
let session = null;
const agent = new http.Agent({ keepAlive: true });
let calls = 0;

function headersFor(cause) {
  const headers = { 'x-truth': cause.truth, 'x-call': `${cause.truth}/${process.pid}-${++calls}` };
  if (way === 'traced' && cause.trace) {
    headers.traceparent = `00-${cause.trace}-${randomBytes(8).toString('hex')}-01`;
  }
  if (way === 'named' && cause.request) headers['x-request-id'] = cause.request;
  return headers;
}

function ask(cause, path, method = 'GET') {
  return cause.http2 ? askHttp2(cause, path, method) : askHttp1(cause, path, method);
}

function askHttp1(cause, path, method) {
  return new Promise((done, failed) => {
    const options = { host: '127.0.0.1', port: behind.http1, path, method, agent, headers: headersFor(cause) };
    const request = http.request(options, (response) => response.resume().on('end', done));
    request.on('error', failed);
    request.end();
  });
}

function askHttp2(cause, path, method) {
  session ??= http2.connect(`http://127.0.0.1:${behind.http2}`);
  return new Promise((done, failed) => {
    const request = session.request({ ':path': path, ':method': method, ...headersFor(cause) });
    request.on('end', done).on('error', failed).resume();
    request.end();
  });
}

async function work(cause, path) {
  const [, route, id] = path.split('/');
  switch (route) {
    case 'list':
      return ask(cause, '/all');
    case 'orders':
      await ask(cause, `/item/${id}`);
      await pause(random() * 2);
      await ask(cause, `/price/${id}`);
      return ask(cause, '/audit', 'POST');
    case 'page':
      return Promise.all(['/item/1', '/item/2', '/price/3'].map((path) => ask(cause, path)));
    case 'lookup':
      return ask(cause, `/by-id/${id}`);
    case 'maybe':
      return random() < 0.5 ? ask(cause, '/item/9') : pause(2);
    case 'chain':
      return ask(cause, path);
    default:
      return pause(spread * random());
  }
}

async function answer(headers, path, isHttp2, respond) {
  const cause = {
    truth: headers['x-truth'],
    trace: (headers.traceparent ?? '').split('-')[1],
    request: headers['x-request-id'],
    http2: isHttp2,
  };
  await pause(random());
  if (behind) await work(cause, path);
  else await pause(1 + random() * spread);
  respond();
}

const one = http.createServer((request, response) =>
  answer(request.headers, request.url, false, () => response.end('ok')));
one.keepAliveTimeout = 60_000;
const two = http2.createServer();
two.on('stream', (stream, headers) =>
  answer(headers, headers[':path'], true, () => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  }));

// What every service does on the side.
function poll() {
  const background = { truth: 'nobody', http2: false };
  setTimeout(() => askHttp1(background, '/config', 'GET').then(poll, poll), 40 + random() * 80);
}

one.listen(0, '127.0.0.1', () =>
  two.listen(0, '127.0.0.1', () => console.log(`${one.address().port} ${two.address().port}`)));
require('readline').createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [http1, http2, polls] = line.split(' ');
    behind = { http1, http2 };
    if (polls === 'polls') poll();
    console.log('ready');
  })
  .on('close', () => process.exit(0));
