// The official client, as a Gladys behind the companion (tests/inline.py). argv: the URL, a refresh token. Prints JSON
// lines: {keys}, its public keys; {connected} when its instanceConnect resolved or not; {message} for each open-api-message,
// {call} for each dashboard call. It acks as told by {ack: "ok" | "never" | {...}}; a dashboard call is answered by
// {size: n} with so many characters. Hears also {emit: [name, ...args]} -> {acked}, {latency: true} -> {latency},
// {connect: true}, {leave: true}. Ends with its input.
const readline = require("node:readline");
const { webcrypto } = require("node:crypto");
const GladysGateway = require("@gladysassistant/gladys-gateway-js");

const [serverUrl, refreshToken] = process.argv.slice(2);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const client = new GladysGateway({ cryptoLib: webcrypto, serverUrl, logger });
const keys = client.crypto.generateKeyPair();
let ack = "ok";

function answer(message, raw, reply) {
  if (message.type === "gladys-open-api") {
    print({ message, at: Date.now() });
    if (ack !== "never") reply(ack === "ok" ? { status: 200 } : ack);
    return;
  }
  print({ call: message, from: raw.sender_id });
  if (ack !== "never") reply({ status: 200, text: "x".repeat(message.size || 0) });
}

async function connect() {
  const { rsaPrivateKeyJwk, ecdsaPrivateKeyJwk, rsaPublicKeyJwk, ecdsaPublicKeyJwk } = await keys;
  print({ keys: { rsa: rsaPublicKeyJwk, ecdsa: ecdsaPublicKeyJwk } });
  client.instanceConnect(refreshToken, rsaPrivateKeyJwk, ecdsaPrivateKeyJwk, answer).then(
    () => print({ connected: true }),
    () => print({ connected: false }),
  );
}

connect();
const heard = {
  ack: (how) => { ack = how; },
  connect,
  emit: (args) => client.socket.emit(...args, (response) => print({ acked: response })),
  latency: async () => print({ latency: await client.calculateLatency() }),
  leave: () => client.disconnect(),
  tell: (args) => client.sendMessageAllUsers(args),
};
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => Object.entries(JSON.parse(line)).forEach(([name, value]) => heard[name](value)));
lines.on("close", () => process.exit());
