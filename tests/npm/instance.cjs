// The official client, as a Gladys at home, for tests/integration/test_gateway_npm.py. argv: the gateway's URL and a
// refresh token. Prints JSON lines: {connected} when its instanceConnect resolved or not, then each {message} that it
// got, which it acks with {status: 200}, or with {status: 422} when the message asks for it. Hears {leave: true}, and
// {connect: true} to come back. Ends with its standard input.
const readline = require("node:readline");
const { webcrypto } = require("node:crypto");
const GladysGateway = require("@gladysassistant/gladys-gateway-js");

const [serverUrl, refreshToken] = process.argv.slice(2);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const client = new GladysGateway({ cryptoLib: webcrypto, serverUrl, logger });

const keys = client.crypto.generateKeyPair();

function answer(message, _, reply) {
  print({ message, transport: client.socket.io.engine.transport.name });
  reply({ status: message.data.refuse ? 422 : 200 });
}

async function connect() {
  const { rsaPrivateKeyJwk, ecdsaPrivateKeyJwk } = await keys;
  client.instanceConnect(refreshToken, rsaPrivateKeyJwk, ecdsaPrivateKeyJwk, answer).then(
    () => print({ connected: true }),
    () => print({ connected: false }),
  );
}

connect();
const heard = { connect, leave: () => client.disconnect() };
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => Object.keys(JSON.parse(line)).forEach((name) => heard[name]()));
lines.on("close", () => process.exit());
