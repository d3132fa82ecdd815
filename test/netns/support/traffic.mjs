/**
 * Traffic for the data plane's tests, run inside a namespace: `echo` serves TCP and UDP on port
 * 4000; `tcp` and `udp` talk to it and check what comes back. Plain JavaScript, so that it needs
 * no build.
 */
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

const PORT = 4000;
const [mode, ...args] = process.argv.slice(2);

const modes = { echo, tcp, udp };
modes[mode](...args);

function echo() {
  const datagrams = createSocket({ type: "udp6", recvBufferSize: 1 << 20 });
  datagrams.on("message", (data, peer) => datagrams.send(data, peer.port, peer.address));
  datagrams.bind(PORT, "::", () => {
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.pipe(socket);
    }).listen(PORT, "::", () => console.log("ready"));
  });
}

/** Sends `octets` in `rounds` parts, `pauseMs` apart, and compares what comes back. */
function tcp(source, destination, octets, rounds = "1", pauseMs = "0") {
  const socket = connect({ host: destination, port: PORT, localAddress: source });
  const sent = createHash("sha256");
  const received = createHash("sha256");
  let count = 0;
  socket.on("error", (error) => fail(error.message));
  socket.on("data", (data) => {
    received.update(data);
    count += data.length;
  });
  socket.on("end", () => {
    const same = sent.digest("hex") === received.digest("hex");
    if (count !== Number(octets) * Number(rounds) || !same) fail(`${count} octets came back`);
    else console.log("intact");
  });
  let left = Number(rounds);
  const round = () => {
    const data = randomBytes(Number(octets));
    sent.update(data);
    socket.write(data);
    left -= 1;
    if (left === 0) socket.end();
    else setTimeout(round, Number(pauseMs));
  };
  socket.on("connect", () => {
    console.log("connected");
    round();
  });
}

/** Sends `count` datagrams of `octets`, one after the answer to the one before. */
function udp(source, destination, octets, count = "1", sourcePort = "0") {
  const socket = createSocket({ type: "udp6", recvBufferSize: 1 << 20 });
  let left = Number(count);
  let data;
  let timer;
  const next = () => {
    data = Buffer.alloc(Number(octets), left);
    timer = setTimeout(() => fail(`no answer, ${left} to go`), 5000);
    socket.send(data, PORT, destination);
  };
  socket.on("message", (answer) => {
    clearTimeout(timer);
    if (!answer.equals(data)) fail("another datagram came back");
    left -= 1;
    if (left > 0) return next();
    console.log("intact");
    socket.close();
  });
  socket.bind(Number(sourcePort), source, next);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
