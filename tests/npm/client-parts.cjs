// Parts of the official client that it does not export.
const path = require("node:path");

const home = path.dirname(require.resolve("@gladysassistant/gladys-gateway-js"));
module.exports.crypto = require(path.join(home, "lib", "crypto"));
