"""One transfer over TCP or Multipath TCP, as fast as it goes.

transfer.py receive {tcp|mptcp} ADDRESS PORT
    Takes one connection. At its end, or when standard input ends, prints as JSON how many octets
    came in each millisecond of Unix time, as [[millisecond, octets], ...], without empty ones.
transfer.py send {tcp|mptcp} SOURCE ADDRESS PORT
    Sends until standard input ends.
Both print "ready" first: listening, connected.
"""
import json
import os
import select
import socket
import sys
import time

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "mptcp": getattr(socket, "IPPROTO_MPTCP", 262)}
CHUNK = 1 << 16


def open_socket(protocol):
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM, PROTOCOLS[protocol])


def receive(protocol, address, port):
    listener = open_socket(protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(1)
    print("ready", flush=True)
    connection, _ = listener.accept()
    arrivals = {}
    while True:
        readable, _, _ = select.select([connection, sys.stdin], [], [])
        if sys.stdin in readable:
            break
        octets = len(connection.recv(CHUNK))
        if octets == 0:
            break
        millisecond = time.time_ns() // 1_000_000
        arrivals[millisecond] = arrivals.get(millisecond, 0) + octets
    print(json.dumps(sorted(arrivals.items())), flush=True)
    os._exit(0)


def send(protocol, source, address, port):
    connection = open_socket(protocol)
    connection.bind((source, 0))
    connection.connect((address, int(port)))
    connection.setblocking(False)
    print("ready", flush=True)
    data = bytes(CHUNK)
    while True:
        readable, writable, _ = select.select([sys.stdin], [connection], [])
        if sys.stdin in readable:
            os._exit(0)
        if writable:
            connection.send(data)


if __name__ == "__main__":
    {"receive": receive, "send": send}[sys.argv[1]](*sys.argv[2:])
