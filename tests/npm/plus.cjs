// Plays Gladys Plus for tests/integration/test_link.py: its shapes, and no word of `companion`. Prints JSON lines:
// {port}, {auth}, {answered} for each ack of ours, {disconnected: reason}. Hears {say: [name, ...args]} (with an ack),
// {drop: true}, {refuse: true}. Ends with its standard input.
const { createServer } = require("node:http");
const readline = require("node:readline");
const { Server } = require("socket.io");

const [pingInterval, pingTimeout] = process.argv.slice(2).map(Number);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
let refuse = false;
let tokens = 0;

const http = createServer((request, response) => {
  const known = request.url === "/instances/access-token" && request.headers.authorization === "refresh";
  response.writeHead(known ? 200 : 401, { "content-type": "application/json" });
  const error = { status: 401, error_code: "UNAUTHORIZED", error_message: "" };
  response.end(JSON.stringify(known ? { access_token: `jwt-${(tokens += 1)}` } : error));
});
const io = new Server(http, { pingInterval, pingTimeout });

io.on("connection", (socket) => {
  print({ auth: socket.handshake.auth });
  if (refuse) {
    refuse = false;
    socket.emit("instance-authentication-failed", { reason: "jwt expired" });
    socket.disconnect();
    return;
  }
  socket.emit("instance-authenticated");
  socket.on("disconnect", (reason) => print({ disconnected: reason }));
});

http.listen(0, "127.0.0.1", () => print({ port: http.address().port }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const told = JSON.parse(line);
  for (const socket of io.of("/").sockets.values()) {
    if (told.say) socket.emit(...told.say, (answer) => print({ answered: answer }));
    if (told.drop) socket.conn.close();
  }
  if (told.refuse) refuse = true;
}).on("close", () => process.exit());
