// Plays Gladys Plus for in-line mode (tests/inline.py): the routes and events that Gladys and its front end use there.
// Prints JSON lines: {port}; {asked: path, authorization} for each request; {auth} and {left} of instances;
// {answered} for each ack of an event; {reply} or {error} for each dashboard call; {heard: [name, ...]} for what an
// instance says. Hears {say: [name, ...args]}; {call: data, keys} to send an encrypted dashboard call, as the front end
// does; {refuse: n} to answer the next n token requests with 403; {drop: true}; {flood: n}. Ends with its input.
const { createServer } = require("node:http");
const { webcrypto } = require("node:crypto");
const readline = require("node:readline");
const { Server } = require("socket.io");
const { crypto: Crypto } = require("./client-parts.cjs");

const crypto = Crypto({ cryptoLib: webcrypto });
const port = Number(process.argv[2] || 0);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const user = crypto.generateKeyPair();
let refuse = 0;
let tokens = 0;

async function route(request) {
  const { authorization = "" } = request.headers;
  if (request.url === "/instances/access-token") {
    if (refuse > 0) {
      refuse -= 1;
      return [403, { status: 403, error_code: "FORBIDDEN", error_message: "" }];
    }
    return authorization === "the-refresh-token" ? [200, { access_token: `jwt-${(tokens += 1)}` }] : [401, { status: 401 }];
  }
  if (request.url === "/instances/users") {
    if (!/^jwt-\d+$/.test(authorization)) return [401, { status: 401 }];
    const { rsaPublicKeyJwk, ecdsaPublicKeyJwk } = await user;
    return [200, [{
      id: "the-user", name: "Anna", gladys_4_user_id: "gladys-user", connected: true,
      rsa_public_key: JSON.stringify(rsaPublicKeyJwk), ecdsa_public_key: JSON.stringify(ecdsaPublicKeyJwk),
    }]];
  }
  return [404, { status: 404, error_code: "NOT_FOUND" }];
}

const http = createServer(async (request, response) => {
  print({ asked: request.url, authorization: request.headers.authorization });
  const [status, body] = await route(request);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
});
const io = new Server(http, { maxHttpBufferSize: 26214400, pingInterval: 25000, pingTimeout: 20000 });

io.on("connection", (socket) => {
  print({ auth: socket.handshake.auth });
  socket.on("disconnect", (reason) => print({ left: reason }));
  socket.onAny((name, ...args) => {
    const reply = typeof args.at(-1) === "function" ? args.pop() : () => {};
    if (name === "latency") reply(args[0]);
    else if (name !== "silence") print({ heard: [name, ...args].map((one) => (JSON.stringify(one).length > 200 ? JSON.stringify(one).length : one)) });
    if (name === "ask") reply({ status: 200, got: JSON.stringify(args[0]).length });
  });
  socket.emit("instance-authenticated");
});

async function call(socket, { call: data, keys }) {
  const { ecdsaKeys, rsaKeys } = await user;
  const rsa = await crypto.importKey(keys.rsa, "RSA-OEAP", true);
  const encryptedMessage = await crypto.encryptMessage(rsa, ecdsaKeys.privateKey, data);
  const began = performance.now();
  socket.emit("message", { sender_id: "the-user", encryptedMessage, sent_at: Date.now() }, async (response) => {
    const ms = performance.now() - began;
    if (response && response.status && response.error_code) {
      print({ error: response });
      return;
    }
    const ecdsa = await crypto.importKey(keys.ecdsa, "ECDSA", true);
    print({ reply: await crypto.decryptMessage(rsaKeys.privateKey, ecdsa, response), ms });
  });
}

http.listen(port, "127.0.0.1", () => print({ port: http.address().port }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const told = JSON.parse(line);
  if (told.refuse) refuse = told.refuse;
  for (const socket of io.of("/").sockets.values()) {
    if (told.say) socket.emit(...told.say, (answer) => print({ answered: answer }));
    if (told.call) call(socket, told);
    if (told.drop) socket.conn.close();
    for (let number = 0; number < (told.flood || 0); number += 1) {
      socket.emit("message", { number, text: "x".repeat(told.size || 10) }, (answer) => print({ answered: answer }));
    }
  }
}).on("close", () => process.exit());
