// The official client in the hands of a test (tests/integration/test_gateway_logins.py). argv: the gateway's URL. Hears
// JSON lines {call: [method, ...args]}, calls that method of the client, and prints {result} or {failed: {status, body}}.
// {instance: [name]} creates one and connects as it, acking every message: prints {instance}, then {message} for each.
// {events: [names]} prints {event: name} for each of these that the socket gets from then on. Ends with its input.
const readline = require("node:readline");
const { webcrypto } = require("node:crypto");
const GladysGateway = require("@gladysassistant/gladys-gateway-js");

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const client = new GladysGateway({ cryptoLib: webcrypto, serverUrl: process.argv[2], logger });
const failed = (error) => ({
  failed: error && error.response ? { status: error.response.status, body: error.response.data } : `${error && error.message}`,
});

function answer(message, raw, reply) {
  print({ message });
  reply({ status: 200 });
}

async function instance(name) {
  const made = await client.createInstance(name);
  await client.instanceConnect(made.instance.refresh_token, made.rsaPrivateKeyJwk, made.ecdsaPrivateKeyJwk, answer);
  return made.instance;
}

const heard = {
  call: async ([method, ...args]) => print({ result: (await client[method](...args)) ?? null }),
  instance: async ([name]) => print({ instance: await instance(name) }),
  events: (names) => names.forEach((name) => client.socket.on(name, () => print({ event: name }))),
};
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => Object.entries(JSON.parse(line)).forEach(async ([name, value]) => {
  try {
    await heard[name](value);
  } catch (error) {
    print(failed(error));
  }
}));
lines.on("close", () => process.exit());
