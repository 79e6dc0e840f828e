// Customers of the street: so many at a time, each with one call after the other.
//
// A line of input is: port over HTTP/1, port over HTTP/2 (or 0), calls, customers, routes, prefix of the truth.
const http = require('http');
const http2 = require('http2');
const { randomBytes, randomUUID } = require('crypto');

let seed = 3;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function target(routes) {
  const route = routes[Math.floor(random() * routes.length)];
  const number = 10000000 + Math.floor(random() * 80000000);
  return {
    list: '/list', orders: `/orders/${Math.floor(random() * 500)}`, page: '/page/1', maybe: '/maybe',
    lookup: `/lookup/${randomUUID()}`, chain: `/chain/${number}`,
  }[route];
}

async function visit(line) {
  const [http1, h2, count, customers, routes, prefix] = line.split(' ');
  const agent = new http.Agent({ keepAlive: true });
  const session = h2 === '0' ? null : http2.connect(`http://127.0.0.1:${h2}`);
  let next = 0;
  async function customer() {
    while (next < Number(count)) {
      const truth = `${prefix}-${next++}`;
      const path = target(routes.split(','));
      const headers = {
        'x-truth': truth, 'x-call': truth, 'x-request-id': randomUUID(),
        traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`,
      };
      await new Promise((done, failed) => {
        const answered = (request) => request.on('error', failed).end();
        if (session && next % 2) {
          const request = session.request({ ':path': path, ...headers });
          answered(request.on('end', done).resume());
        } else {
          const options = { host: '127.0.0.1', port: http1, path, agent, headers };
          answered(http.request(options, (response) => response.resume().on('end', done)));
        }
      });
      await pause(random() * 4);
    }
  }
  await Promise.all(Array.from({ length: Number(customers) }, customer));
  agent.destroy();
  session?.close();
  console.log('done');
}

require('readline').createInterface({ input: process.stdin }).on('line', visit).on('close', () => process.exit(0));
console.log('ready');
