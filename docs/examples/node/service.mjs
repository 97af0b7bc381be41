// A complete status check service for Node.js 18 or newer, without packages. A
// merge request passes if it has a description.
//
//   LISTEN=127.0.0.1:8090 SHARED_SECRET=... MERGEGATE_URL=https://git.example.com \
//     MERGEGATE_TOKEN=mgat-... node service.mjs

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { LISTEN, SHARED_SECRET, MERGEGATE_URL, MERGEGATE_TOKEN } = process.env;
if (!LISTEN || !SHARED_SECRET) throw new Error('LISTEN or SHARED_SECRET is missing');
const maxBody = 1 << 20;

const seen = new Set(); // Idempotency-Keys; a real service keeps them in a database

const mac = (key, ...parts) => parts.reduce((hmac, part) => hmac.update(part), createHmac('sha256', key));

// standardKey returns the key of webhook-signature. whsec_ is the notation of
// Standard Webhooks.
function standardKey() {
  const encoded = /^whsec_([A-Za-z0-9+/]+)=*$/.exec(SHARED_SECRET)?.[1];
  return encoded && encoded.length % 4 !== 1 ? Buffer.from(encoded, 'base64') : SHARED_SECRET;
}

// equal compares two texts in constant time.
function equal(given, wanted) {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

// signed reports whether Mergegate signed the body and sent it recently.
function signed(headers, body) {
  const timestamp = headers['webhook-timestamp'] ?? '';
  const standard = mac(standardKey(), `${headers['webhook-id']}.${timestamp}.`, body).digest('base64');
  return equal(headers['x-gitlab-signature'], mac(SHARED_SECRET, body).digest('hex'))
    && equal(headers['webhook-signature'], `v1,${standard}`)
    && /^\d+$/.test(timestamp) && Math.abs(Date.now() / 1000 - Number(timestamp)) < 5 * 60;
}

// respond decides and sends the response through the API.
async function respond({ project, object_attributes: mr, external_approval_rule: service }) {
  const [status, description] = mr.description
    ? ['passed', 'The merge request has a description.']
    : ['failed', 'Please describe what changes and why.'];
  const url = `${MERGEGATE_URL}/api/v4/projects/${project.id}/merge_requests/${mr.iid}/status_check_responses`;
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'PRIVATE-TOKEN': MERGEGATE_TOKEN },
      body: JSON.stringify({ external_status_check_id: service.id, sha: mr.last_commit.id, status, description }),
      signal: AbortSignal.timeout(10_000),
    });
    console.error('response sent:', answer.status); // 409: HEAD has changed, another payload follows
  } catch (error) {
    console.error('response not sent:', error.message); // a real service tries again
  }
}

// receive handles a delivery whose body has arrived. It returns the HTTP status.
function receive(headers, body) {
  if (!signed(headers, body)) return 401;
  let payload;
  try {
    payload = JSON.parse(body);
  } catch {
    return 400;
  }
  const key = headers['idempotency-key'];
  if (seen.has(key)) return 200;
  seen.add(key);
  // Answer at once and do the work in the background.
  if (!payload.mergegate?.test && payload.object_attributes.state === 'opened') setImmediate(respond, payload);
  return 202;
}

const server = createServer((request, response) => {
  const chunks = [];
  let length = 0;
  request.on('error', () => {}); // the connection was closed
  request.on('data', (chunk) => {
    length += chunk.length;
    if (length <= maxBody) chunks.push(chunk);
  });
  request.on('end', () => {
    const status = length > maxBody ? 413 : request.method !== 'POST' ? 405 : receive(request.headers, Buffer.concat(chunks));
    response.writeHead(status, { 'Content-Length': 0 }).end();
  });
});
const [, host, port] = /^(.*):(\d+)$/.exec(LISTEN);
server.listen(Number(port), host, () => {
  const { address, port } = server.address();
  console.log(`${address}:${port}`);
});
