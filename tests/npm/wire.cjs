// Plays Gladys Plus towards the official client in the role of an instance, for tests/record_wire.py. argv: pingInterval
// and pingTimeout in milliseconds. Prints JSON lines: {port}, {authenticated: true or false}, {answered} for each ack.
// Hears {say: [name, ...args]} (with an ack), {tell: [name]} (without), {refuse: true}. Ends with its standard input.
const { createServer } = require("node:http");
const readline = require("node:readline");
const { webcrypto } = require("node:crypto");
const { Server } = require("socket.io");

const [pingInterval, pingTimeout] = process.argv.slice(2).map(Number);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
let refuse = false;

async function publicKey(algorithm, usages) {
  const { publicKey: key } = await webcrypto.subtle.generateKey(algorithm, true, usages);
  return JSON.stringify(await webcrypto.subtle.exportKey("jwk", key));
}

async function start() {
  const rsa = { name: "RSA-OAEP", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
  const user = {
    id: "2f1c1bb5-43e9-4b2e-8b54-0d6f2c0b8f11",
    name: "somebody",
    rsa_public_key: await publicKey(rsa, ["encrypt", "decrypt", "wrapKey", "unwrapKey"]),
    ecdsa_public_key: await publicKey({ name: "ECDSA", namedCurve: "P-256" }, ["sign", "verify"]),
    gladys_4_user_id: null,
    connected: false,
  };
  const routes = {
    "/instances/access-token": [200, { access_token: "the-access-token" }],
    "/instances/users": [200, [user]],
  };
  const missing = [404, { status: 404, error_code: "NOT_FOUND", error_message: "" }];
  const http = createServer((request, response) => {
    const [status, body] = routes[request.url] || missing;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  const io = new Server(http, { pingInterval, pingTimeout, maxHttpBufferSize: 26214400 });
  io.on("connection", (socket) => {
    socket.on("instance-authentication", (data, reply) => {
      reply({ authenticated: !refuse });
      print({ authenticated: !refuse });
      if (refuse) socket.disconnect();
    });
    socket.on("disconnect", (reason) => print({ disconnected: reason }));
  });
  http.listen(0, "127.0.0.1", () => print({ port: http.address().port }));
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const told = JSON.parse(line);
    for (const socket of io.of("/").sockets.values()) {
      if (told.say) socket.emit(...told.say, (answer) => print({ answered: answer }));
      if (told.tell) socket.emit(...told.tell);
    }
    if ("refuse" in told) refuse = told.refuse;
  });
  lines.on("close", () => process.exit());
}

start();
