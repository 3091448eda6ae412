// Prints logins (JSON) as Gladys' own client and its server go through them, for tests/fixtures/srp/logins.json:
//   NODE_PATH=.cache/npm/*/node_modules node tests/npm/srp.cjs > tests/fixtures/srp/logins.json
const pbkdf2 = require("@ctrlpanel/pbkdf2");
const encodeUtf8 = require("encode-utf8");
const arrayBufferToHex = require("array-buffer-to-hex");
const hexToArrayBuffer = require("hex-to-array-buffer");
const client = require("secure-remote-password/client");
const server = require("secure-remote-password/server");

const privateKey = async (email, password, salt) => arrayBufferToHex(
  await pbkdf2(encodeUtf8(`${email}:${password}`), hexToArrayBuffer(salt), 100000, 32, "SHA-256"),
);

async function vector(email, password) {
  const salt = client.generateSalt();
  const x = await privateKey(email, password, salt);
  const verifier = client.deriveVerifier(x);
  const ours = client.generateEphemeral();
  const theirs = server.generateEphemeral(verifier);
  const session = client.deriveSession(ours.secret, theirs.public, salt, email, x);
  const answer = server.deriveSession(theirs.secret, ours.public, salt, email, verifier, session.proof);
  client.verifySession(ours.public, session, answer.proof);
  return {
    email, password, salt, x, verifier, client: ours, server: theirs,
    key: session.key, client_proof: session.proof, server_proof: answer.proof,
  };
}

async function vectors() {
  const found = [];
  for (const [email, password] of [
    ["anna@example.org", "correct horse battery staple"],
    ["é@example.org", "mot de passe très long, avec des accents"],
    ["a@b.c", "x"],
    ["carla@example.org", "🔑 emoji"],
  ]) found.push(await vector(email, password));
  process.stdout.write(`${JSON.stringify(found, null, 1)}\n`);
}

vectors();
