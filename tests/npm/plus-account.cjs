// Plays Gladys Plus towards who makes an instance of their own (tests/integration/test_own_instance.py), with the server
// half of the official client's SRP. argv: e-mail, password. Prints JSON lines: {port}, {asked: path} for each request,
// {made: name} for each instance. Hears {instances: [names]}, {two_factor: false} (none is set up), {answer: {path:
// [status, body]}} in the place of its own, {lie: true} (a wrong proof of its own). The code is 123456. Instances may
// connect: then {auth} is printed, and {say: [name, ...args]} emits an event to them; {answered} for each ack.
const { createServer } = require("node:http");
const { webcrypto } = require("node:crypto");
const readline = require("node:readline");
const { Server } = require("socket.io");
const server = require("secure-remote-password/server");
const GladysGateway = require("@gladysassistant/gladys-gateway-js");

const [email, password] = process.argv.slice(2);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const told = { instances: [], two_factor: true, answer: {}, lie: false };
const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const client = new GladysGateway({ cryptoLib: webcrypto, serverUrl: "", logger });
const account = client.generateSrpAndKeys(email, password);
const refuse = (status, code) => [status, { status, error_code: code, error_message: "" }];
let login = {};

async function route(path, body, authorization) {
  const { srpSalt, srpVerifier } = await account;
  switch (path) {
    case "POST /users/login-salt":
      return body.email === email ? [200, { srp_salt: srpSalt }] : refuse(404, "NOT_FOUND");
    case "POST /users/login-generate-ephemeral":
      login = { ...server.generateEphemeral(srpVerifier), theirs: body.client_ephemeral_public };
      return [200, { server_ephemeral_public: login.public, login_session_key: "the-session" }];
    case "POST /users/login-finalize": {
      let session;
      try {
        session = server.deriveSession(login.secret, login.theirs, srpSalt, email, srpVerifier, body.client_session_proof);
      } catch (error) {
        return refuse(403, "FORBIDDEN");
      }
      const proof = told.lie ? "00".repeat(32) : session.proof;
      const token = told.two_factor ? { two_factor_token: "a-two-factor-token" } : { access_token: "a-configure-token" };
      return [200, { server_session_proof: proof, ...token }];
    }
    case "POST /users/login-two-factor":
      if (authorization !== "a-two-factor-token") return refuse(401, "UNAUTHORIZED");
      if (body.two_factor_code !== "123456") return refuse(403, "FORBIDDEN");
      return [200, { access_token: "the-access-token", refresh_token: "the-device-token", device_id: "x" }];
    case "GET /instances":
      if (authorization !== "the-access-token") return refuse(401, "UNAUTHORIZED");
      return [200, told.instances.map((name) => ({ id: name, name, primary_instance: true }))];
    case "POST /instances": {
      await client.crypto.importKey(JSON.parse(body.rsa_public_key), "RSA-OEAP", true);
      await client.crypto.importKey(JSON.parse(body.ecdsa_public_key), "ECDSA", true);
      print({ made: body.name });
      return [200, { id: "the-instance", name: body.name, refresh_token: "the-instance-token", access_token: "x" }];
    }
    case "GET /instances/access-token":
      return authorization === "the-instance-token" ? [200, { access_token: "jwt" }] : refuse(401, "UNAUTHORIZED");
    default:
      return refuse(404, "NOT_FOUND");
  }
}

const http = createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  const path = `${request.method} ${request.url}`;
  print({ asked: path });
  const [status, body] = told.answer[path] || (await route(path, text ? JSON.parse(text) : {}, request.headers.authorization));
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
});
const io = new Server(http);
io.on("connection", (socket) => {
  print({ auth: socket.handshake.auth });
  socket.emit("instance-authenticated");
});

http.listen(0, "127.0.0.1", async () => {
  await account;
  print({ port: http.address().port });
});
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { say, ...rest } = JSON.parse(line);
  Object.assign(told, rest);
  if (say) for (const socket of io.of("/").sockets.values()) socket.emit(...say, (answer) => print({ answered: answer }));
}).on("close", () => process.exit());
