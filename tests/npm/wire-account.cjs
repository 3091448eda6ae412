// Plays Gladys Plus towards the official client in the role of a person, for tests/record_wire.py, and is that client:
// signs up, logs in (once with a wrong password), sets up two factors, creates an instance, and makes, lists, renames
// and revokes an Open API key. argv: "server", or "client" with a URL. The server prints {port}, the client {done}.
// Ends with its standard input.
const { createServer } = require("node:http");
const { webcrypto, randomBytes, randomUUID } = require("node:crypto");
const readline = require("node:readline");
const srp = require("secure-remote-password/server");
const GladysGateway = require("@gladysassistant/gladys-gateway-js");

const [role, url] = process.argv.slice(2);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const CODE = "123456";
let user = null;
let twoFactor = false;
let instances = [];
let keys = [];
const sessions = {};

function token(scope) {
  const parts = [{ alg: "HS256" }, { scope }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  return [...parts, randomBytes(32).toString("base64url")].join(".");
}

const FORBIDDEN = [403, { status: 403, error_code: "FORBIDDEN", error_message: "" }];
const routes = {
  "POST /users/signup": (body) => [200, { status: 200, ...((user = { id: randomUUID(), ...body }) && {}) }],
  "POST /users/login-salt": () => [200, { srp_salt: user.srp_salt }],
  "POST /users/login-generate-ephemeral": (body) => {
    const ephemeral = srp.generateEphemeral(user.srp_verifier);
    const id = randomUUID();
    sessions[id] = { secret: ephemeral.secret, client: body.client_ephemeral_public };
    return [200, { server_ephemeral_public: ephemeral.public, login_session_key: id }];
  },
  "POST /users/login-finalize": (body) => {
    const { secret, client } = sessions[body.login_session_key];
    try {
      const proof = body.client_session_proof;
      const session = srp.deriveSession(secret, client, user.srp_salt, user.email, user.srp_verifier, proof);
      const given = twoFactor ? { two_factor_token: token("two-factor") } : { access_token: token("two-factor-configure") };
      return [200, { server_session_proof: session.proof, ...given }];
    } catch {
      return FORBIDDEN;
    }
  },
  "POST /users/two-factor-configure": () => [200, { otpauth_url: "otpauth://totp/Gladys?secret=JBSWY3DPEHPK3PXP" }],
  "POST /users/two-factor-enable": (body) => {
    twoFactor = body.two_factor_code === CODE;
    return twoFactor ? [200, { success: true }] : FORBIDDEN;
  },
  "POST /users/login-two-factor": (body) => {
    if (body.two_factor_code !== CODE) return FORBIDDEN;
    const { rsa_encrypted_private_key, ecdsa_encrypted_private_key, rsa_public_key, ecdsa_public_key } = user;
    const keyPairs = { rsa_encrypted_private_key, ecdsa_encrypted_private_key, rsa_public_key, ecdsa_public_key };
    const tokens = { access_token: token("dashboard"), refresh_token: token("dashboard"), device_id: randomUUID() };
    return [200, { ...tokens, ...keyPairs, gladys_4_user_id: null }];
  },
  "GET /instances": () => [200, instances],
  "POST /instances": (body) => {
    instances = [{ id: randomUUID(), ...body, primary_instance: true }];
    return [200, { ...instances[0], refresh_token: token("instance"), access_token: token("instance") }];
  },
  "POST /open-api-keys": (body) => {
    keys = [{ id: randomUUID(), name: body.name, created_at: new Date().toISOString(), last_used: null }];
    return [200, { ...keys[0], api_key: randomBytes(40).toString("hex") }];
  },
  "GET /open-api-keys": () => [200, keys],
};

function serve() {
  const http = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = text ? JSON.parse(text) : null;
    let answer = [200, { success: true }];
    if (request.url.startsWith("/open-api-keys/")) keys = request.method === "DELETE" ? [] : [{ ...keys[0], ...body }];
    else answer = routes[`${request.method} ${request.url}`](body);
    response.writeHead(answer[0], { "content-type": "application/json" });
    response.end(JSON.stringify(answer[1]));
  });
  http.listen(0, "127.0.0.1", () => print({ port: http.address().port }));
}

async function visit() {
  const nothing = () => {};
  const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const client = new GladysGateway({ cryptoLib: webcrypto, serverUrl: url, logger });
  const [email, password] = ["somebody@example.org", "correct horse battery staple"];
  await client.signup("Somebody", email, password, "en");
  await client.login(email, "wrong").catch(nothing);
  const first = await client.login(email, password);
  await client.configureTwoFactor(first.access_token);
  await client.enableTwoFactor(first.access_token, "000000").catch(nothing);
  await client.enableTwoFactor(first.access_token, CODE);
  const second = await client.login(email, password);
  await client.loginTwoFactor(second.two_factor_token, password, "000000", "A browser").catch(nothing);
  await client.loginTwoFactor(second.two_factor_token, password, CODE, "A browser");
  await client.createInstance("Home");
  const key = await client.createApiKey("My phone");
  await client.getApiKeys();
  await client.updateApiKeyName(key.id, "My telephone");
  await client.revokeApiKey(key.id);
  await client.getApiKeys();
  await client.getInstance();
  print({ done: true });
}

if (role === "server") serve();
else visit();
readline.createInterface({ input: process.stdin }).on("close", () => process.exit());
