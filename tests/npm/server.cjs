// A Socket.IO server for tests/integration/test_socketio_npm.py. argv: pingInterval and pingTimeout in milliseconds.
// Prints one JSON object a line: {port}, then {disconnected: reason} of each socket. Ends with its standard input.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const [pingInterval, pingTimeout] = process.argv.slice(2).map(Number);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const http = createServer();
const io = new Server(http, { pingInterval, pingTimeout, transports: ["websocket"] });

io.use((socket, next) => {
  if (socket.handshake.auth.access_token === "good") next();
  else next(Object.assign(new Error("jwt expired"), { data: { code: "EXPIRED" } }));
});

io.on("connection", (socket) => {
  socket.emit("instance-authenticated");
  socket.on("echo", (...args) => args.pop()(...args));
  // Asks us `name` with `args`, and tells in "answered" what we answered.
  socket.on("ask", (name, ...args) => socket.emit(name, ...args, (...answer) => socket.emit("answered", ...answer)));
  socket.on("blob", () => socket.emit("blob", Buffer.from([0, 1, 2])));
  socket.on("dismiss", () => socket.disconnect());
  socket.on("hang-up", () => socket.disconnect(true));
  socket.on("disconnect", (reason) => print({ disconnected: reason }));
});

http.listen(0, "127.0.0.1", () => print({ port: http.address().port }));
process.stdin.on("end", () => process.exit()).resume();
